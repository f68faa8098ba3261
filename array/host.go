package array

import (
	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// ToSlice returns the elements in row-major order. It waits for them, and returns
// the first error of what they were computed from. For rank 0 the slice has one
// element.
func (a *Array[T]) ToSlice() ([]T, error) {
	r, err := open("ToSlice", a.h(), nil)
	if err != nil {
		return nil, err
	}
	dst := make([]T, r.size())
	if err := r.fetch(bytesOf(dst)); err != nil {
		return nil, err
	}
	return dst, nil
}

// CopyTo copies the elements, in row-major order, to dst, whose length must be the
// array's size. It waits for them and returns the first error.
func (a *Array[T]) CopyTo(dst []T) error {
	n := len(dst)
	r, err := open("CopyTo", a.h(), &n)
	if err != nil {
		return err
	}
	return r.fetch(bytesOf(dst))
}

// Item returns the element of an array of size 1, of any rank. It waits for it.
func (a *Array[T]) Item() (T, error) {
	var dst [1]T
	r, err := openItem("Item", a.h())
	if err == nil {
		err = r.fetch(bytesOf(dst[:]))
	}
	return dst[0], err
}

// At returns the element at an index, one number for each axis, negative ones
// from the end. It waits for it.
func (a *Array[T]) At(index ...int) (T, error) {
	var dst [1]T
	r, err := openAt("At", a.h(), index)
	if err == nil {
		err = r.fetch(bytesOf(dst[:]))
	}
	return dst[0], err
}

// bytesOf is the memory of host elements.
func bytesOf[T Element](s []T) []byte {
	b, err := driver.Bytes(s)
	if err != nil {
		panic(err) // no Element holds pointers
	}
	return b
}

// A reading is an array, contiguous, that is about to be copied to the host.
type reading struct {
	call
	handle
	copied bool // it is a copy of the reader's own
}

// open checks an array that is to be read, and packs it where it is not contiguous:
// before the host makes room for it, as a broadcast array may be larger than any
// memory. room, if given, must be its size.
func open(op string, h handle, room *int) (reading, error) { return here(op).open(h, room) }

func (c call) open(h handle, room *int) (reading, error) {
	if err := c.ready(h); err != nil {
		return reading{}, err
	}
	if size := h.node.Len(); room != nil && size != *room {
		return reading{}, c.fail(because(ErrShape, "room for %s, the array has %d", elements(*room), size), h)
	}
	if h.node.IsContiguous() {
		return reading{c, h, false}, nil
	}
	packed, err := c.pack(h)
	if err != nil {
		return reading{}, err
	}
	return reading{c, packed, true}, nil
}

// openItem is open for an array of one element.
func openItem(op string, h handle) (reading, error) {
	c := here(op)
	if err := c.ready(h); err != nil {
		return reading{}, err
	}
	if size := h.node.Len(); size != 1 {
		return reading{}, c.fail(because(ErrShape, "Item reads an array of one element, this one has %d; At(index...) reads one of many", size), h)
	}
	return c.open(h, nil)
}

// openAt is open for one element.
func openAt(op string, h handle, index []int) (reading, error) {
	c := here(op)
	if err := c.ready(h); err != nil {
		return reading{}, err
	}
	if len(index) != h.node.Rank {
		return reading{}, c.fail(because(ErrIndex, "%s for an array of rank %d", indices(len(index)), h.node.Rank), h)
	}
	var list [kernels.MaxRank]Index
	for i, x := range index {
		list[i] = I(x)
	}
	l, err := slice(&h.node.layout, list[:len(index)])
	if err != nil {
		return reading{}, c.fail(err, h)
	}
	return reading{c, c.view(h, l), false}, nil
}

// fetch copies the elements to host memory of their size.
func (r *reading) fetch(dst []byte) error {
	if r.copied {
		defer r.handle.free(r.call)
	}
	n := r.node
	return asError(r.of(r.dev.download(r.call, dst, n.root().store, uint64(n.Offset)*uint64(n.typ.Size())), r.handle))
}
