package exec

import "sync/atomic"

// bitmap holds one bit a byte of memory: set once the byte was written. Blocks
// on several workers share words at the edges of what they write, so words are
// read and set atomically; a word that is full already is only read, which is
// the common case. There is one word more than the bytes need, so that the
// word after any byte's exists.
type bitmap []uint64

func newBitmap(bytes uint64) bitmap { return make(bitmap, (bytes+63)/64+1) }

// all reports whether the n bytes from off are set.
func (b bitmap) all(off, n uint64) bool {
	if n == 0 {
		return true
	}
	w, last := off>>6, (off+n-1)>>6
	head := ^uint64(0) << (off & 63)
	tail := ^uint64(0) >> (63 - (off+n-1)&63)
	if w == last {
		m := head & tail
		return atomic.LoadUint64(&b[w])&m == m
	}
	if atomic.LoadUint64(&b[w])&head != head {
		return false
	}
	for w++; w < last; w++ {
		if atomic.LoadUint64(&b[w]) != ^uint64(0) {
			return false
		}
	}
	return atomic.LoadUint64(&b[last])&tail == tail
}

// set sets the n bytes from off.
func (b bitmap) set(off, n uint64) { b.change(off, n, true) }

// clear clears them.
func (b bitmap) clear(off, n uint64) { b.change(off, n, false) }

func (b bitmap) change(off, n uint64, to bool) {
	if n == 0 {
		return
	}
	w, last := off>>6, (off+n-1)>>6
	head := ^uint64(0) << (off & 63)
	tail := ^uint64(0) >> (63 - (off+n-1)&63)
	if w == last {
		changeWord(&b[w], head&tail, to)
		return
	}
	changeWord(&b[w], head, to)
	for w++; w < last; w++ {
		changeWord(&b[w], ^uint64(0), to)
	}
	changeWord(&b[last], tail, to)
}

func changeWord(p *uint64, m uint64, to bool) {
	v := atomic.LoadUint64(p)
	switch {
	case to && v&m == m, !to && v&m == 0:
	case m == ^uint64(0) && to:
		atomic.StoreUint64(p, m)
	case m == ^uint64(0):
		atomic.StoreUint64(p, 0)
	case to:
		atomic.OrUint64(p, m)
	default:
		atomic.AndUint64(p, ^m)
	}
}

// few returns the n ≤ 16 bits from off, low bit first.
func (b bitmap) few(off uint64, n uint64) uint64 {
	v := atomic.LoadUint64(&b[off>>6]) >> (off & 63)
	if s := off & 63; s+n > 64 {
		v |= atomic.LoadUint64(&b[off>>6+1]) << (64 - s)
	}
	return v & (1<<n - 1)
}

// copyFrom copies n bits from src at srcOff to b at off.
func (b bitmap) copyFrom(off uint64, src bitmap, srcOff, n uint64) {
	if n == 0 {
		return
	}
	if src.all(srcOff, n) {
		b.set(off, n)
		return
	}
	back := off > srcOff && off < srcOff+n && &b[0] == &src[0]
	for done := uint64(0); done < n; {
		step := min(n-done, 16)
		at := done
		if back {
			at = n - done - step
		}
		v := src.few(srcOff+at, step)
		for i := uint64(0); i < step; i++ {
			changeWord(&b[(off+at+i)>>6], 1<<((off+at+i)&63), v>>i&1 != 0)
		}
		done += step
	}
}
