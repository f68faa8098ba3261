package array

import "github.com/seed6486a2bb/gpuarray/driver"

// A stream is a queue of work with what is needed to order it against the other
// streams of its device: work is numbered, and a block of memory remembers the
// numbers of the work that wrote and read it last. Fields are guarded by the
// shared device's lock.
type stream struct {
	queue *driver.Stream
	event *driver.Event // recorded when another stream must wait, at number recorded

	last     uint64 // number of the latest work
	recorded uint64 // all work up to here is before event
	done     uint64 // all work up to here is known to be complete
	waits    []mark // what this stream's later work has been told to wait for, one entry a stream
	tickets  *block // counters that kernels find zero and leave zero, or nil
	closed   bool

	transfers int // host copies under way that put their parts into it without the lock

	waiting *anchor // the latest product, while operations after it may become its epilogue
}

// A mark is a place in a stream: after its work number seq. The zero mark is
// always reached.
type mark struct {
	stream *stream
	seq    uint64
}

// reached says whether the mark's work is known to be complete.
func (m mark) reached() bool {
	return m.stream == nil || m.stream.closed || m.seq <= m.stream.done
}

// next numbers a new piece of work.
func (s *stream) next() mark {
	s.last++
	return mark{s, s.last}
}

// now is the mark after all work so far.
func (s *stream) now() mark { return mark{s, s.last} }

// waitFor makes the stream's later work wait for m. It makes a driver call only
// where m is in another stream and no earlier wait covers it.
func (s *stream) waitFor(m mark) error {
	if m.stream == s || m.reached() {
		return nil
	}
	slot := slotFor(&s.waits, m.stream)
	if slot.seq >= m.seq {
		return nil
	}
	if m.stream.recorded < m.seq {
		if err := m.stream.event.Record(m.stream.queue); err != nil {
			return err
		}
		m.stream.recorded = m.stream.last
	}
	if err := s.queue.Wait(m.stream.event); err != nil {
		return err
	}
	slot.seq = m.stream.recorded
	return nil
}

// slotFor returns the entry of a stream in a list that has at most one for each,
// adding it where there is none.
func slotFor(list *[]mark, s *stream) *mark {
	free := -1
	for i := range *list {
		switch m := &(*list)[i]; {
		case m.stream == s:
			return m
		case m.stream.closed:
			free = i
		}
	}
	if free < 0 {
		free = len(*list)
		*list = append(*list, mark{})
	}
	(*list)[free] = mark{stream: s}
	return &(*list)[free]
}

// A history is the work that may still use a block of memory: who writes next
// waits for all of it, who reads for the last write.
type history struct {
	wrote mark
	reads []mark // since wrote, the last of each stream
}

// read notes that the work at m reads the block.
func (h *history) read(m mark) {
	if slot := slotFor(&h.reads, m.stream); slot.seq < m.seq {
		slot.seq = m.seq
	}
}

// write notes that the work at m overwrites the block, having waited for all
// earlier work.
func (h *history) write(m mark) {
	h.wrote = m
	h.reads = h.reads[:0]
}

// beforeRead makes s wait for the last write.
func (h *history) beforeRead(s *stream) error { return s.waitFor(h.wrote) }

// beforeWrite makes s wait for all work on the block.
func (h *history) beforeWrite(s *stream) error {
	if err := s.waitFor(h.wrote); err != nil {
		return err
	}
	for _, m := range h.reads {
		if err := s.waitFor(m); err != nil {
			return err
		}
	}
	return nil
}

// merge adds the work of another history, for memory that becomes one block.
func (h *history) merge(other *history) {
	if !other.wrote.reached() {
		h.read(other.wrote)
	}
	for _, m := range other.reads {
		if !m.reached() {
			h.read(m)
		}
	}
}

// empty returns a history of no work that reuses h's memory.
func (h *history) empty() history { return history{reads: h.reads[:0]} }
