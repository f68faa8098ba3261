package array

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// This file runs random programs of views, copies and assignments on the device
// and, step by step, on a model that keeps every array as a list of positions in
// its memory, without strides or offsets.

// modelMemory is what arrays and views of them share.
type modelMemory[T Element] struct {
	data  []T
	freed bool
}

// modelArray is an array of the program and its model.
type modelArray[T Element] struct {
	name  string
	real  *Array[T]
	mem   *modelMemory[T]
	shape []int
	at    []int // for each element, in row-major order, where it is in mem
	owner bool
}

// program is a random program under way.
type program[T Element] struct {
	*testing.T
	rng     *rand.Rand
	value   func() T
	devices []*Device
	live    []*modelArray[T]
	log     []string
}

func TestRandomPrograms(t *testing.T) {
	fork, err := dev.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := fork.Close(); err != nil {
			t.Error(err)
		}
	}()
	devices := []*Device{dev, dev, fork}
	t.Run("int32", func(t *testing.T) {
		runPrograms(t, devices, func(rng *rand.Rand) int32 { return int32(rng.Uint32()) })
	})
	t.Run("uint8", func(t *testing.T) { runPrograms(t, devices, func(rng *rand.Rand) uint8 { return uint8(rng.Uint32()) }) })
	t.Run("bool", func(t *testing.T) { runPrograms(t, devices, func(rng *rand.Rand) bool { return rng.IntN(2) == 0 }) })
	t.Run("float64", func(t *testing.T) { runPrograms(t, devices, (*rand.Rand).NormFloat64) })
	t.Run("Float16", func(t *testing.T) {
		runPrograms(t, devices, func(rng *rand.Rand) Float16 { return F16(float32(rng.NormFloat64())) })
	})
}

func runPrograms[T Element](t *testing.T, devices []*Device, value func(*rand.Rand) T) {
	seed := rand.Uint64()
	for n := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, n))
		p := &program[T]{T: t, rng: rng, value: func() T { return value(rng) }, devices: devices}
		for range 40 {
			p.step()
		}
		for _, a := range p.live {
			p.compare(a)
		}
		for _, a := range p.live {
			a.real.Free()
		}
		if t.Failed() {
			t.Fatalf("seed %d, program %d:\n%s", seed, n, strings.Join(p.log, "\n"))
		}
	}
}

// step does one thing at random.
func (p *program[T]) step() {
	if len(p.live) == 0 || p.rng.IntN(8) == 0 {
		p.create()
		return
	}
	a := p.live[p.rng.IntN(len(p.live))]
	if len(a.at) > 3000 {
		p.free(a)
		return
	}
	switch p.rng.IntN(22) {
	case 0, 1, 2:
		p.slice(a)
	case 3:
		p.permute(a)
	case 4:
		p.expand(a)
	case 5:
		p.squeeze(a)
	case 6:
		p.broadcast(a)
	case 7:
		p.flip(a)
	case 8, 9:
		p.reshape(a)
	case 10:
		k := p.rng.IntN(len(p.devices)) // the same array, not a view
		p.add(&modelArray[T]{real: a.real.On(p.devices[k]), mem: a.mem, shape: a.shape, at: a.at, owner: a.owner}, "%s.On(devices[%d])", a.name, k)
	case 11:
		p.copied(a, "Clone", a.real.Clone(), a.shape)
	case 12, 13:
		p.assign(a, p.live[p.rng.IntN(len(p.live))])
	case 14:
		p.fill(a)
	case 16, 17:
		p.shift(a)
	case 18, 19, 20, 21: // an expression, with the same elements
		p.copied(a, "Where(equal to itself)", Where(a.real.Equal(a.real), a.real, a.real), a.shape)
	case 15:
		if p.rng.IntN(3) == 0 {
			p.free(a)
		} else {
			p.compare(a)
		}
	}
}

// create makes an array of random elements.
func (p *program[T]) create() {
	shape := make([]int, p.rng.IntN(5))
	n := 1
	for i := range shape {
		shape[i] = []int{0, 1, 1, 2, 2, 3, 3, 4, 5, 6}[p.rng.IntN(10)]
		n *= shape[i]
	}
	if p.rng.IntN(4) == 0 { // more than one block of a kernel
		shape = []int{1 + p.rng.IntN(50), 1 + p.rng.IntN(40)}
		n = shape[0] * shape[1]
	}
	data, at := make([]T, n), make([]int, n)
	for i := range data {
		data[i], at[i] = p.value(), i
	}
	a := &modelArray[T]{real: FromSlice(p.devices[0], data, shape...), mem: &modelMemory[T]{data: data}, shape: shape, at: at, owner: true}
	p.add(a, "FromSlice(%v)", shape)
}

// add names an array and checks its shape.
func (p *program[T]) add(a *modelArray[T], format string, args ...any) {
	a.name = fmt.Sprintf("a%d", len(p.log))
	p.log = append(p.log, a.name+" = "+fmt.Sprintf(format, args...))
	if a.mem.freed {
		if err := a.real.Err(); !errors.Is(err, ErrFreed) {
			p.Errorf("%s of freed memory: %v", a.name, err)
		}
		return
	}
	if err := a.real.Err(); err != nil {
		p.Errorf("%s: %v", a.name, err)
	}
	if !slices.Equal(a.real.Shape(), a.shape) {
		p.Errorf("%s has shape %v, want %v", a.name, a.real.Shape(), a.shape)
	}
	p.live = append(p.live, a)
}

// keep adds a view of a.
func (p *program[T]) keep(a *modelArray[T], what string, real *Array[T], shape, at []int) {
	p.add(&modelArray[T]{real: real, mem: a.mem, shape: shape, at: at}, "%s.%s", a.name, what)
}

// copied adds an array with memory of its own and the elements of a.
func (p *program[T]) copied(a *modelArray[T], what string, real *Array[T], shape []int) {
	c := &modelArray[T]{real: real, mem: &modelMemory[T]{freed: a.mem.freed}, shape: shape, owner: true}
	for i, at := range a.at {
		c.mem.data = append(c.mem.data, a.mem.data[at])
		c.at = append(c.at, i)
	}
	p.add(c, "%s.%s", a.name, what)
}

// view adds a view whose element at an index is a's at from(index).
func (p *program[T]) view(a *modelArray[T], what string, real *Array[T], shape []int, from func(index []int) []int) {
	var at []int
	eachIndex(shape, func(index []int) {
		p := 0
		for i, x := range from(index) {
			p = p*a.shape[i] + x
		}
		at = append(at, a.at[p])
	})
	p.keep(a, what, real, shape, at)
}

// eachIndex visits all indices of a shape in row-major order.
func eachIndex(shape []int, visit func(index []int)) {
	if slices.Contains(shape, 0) {
		return
	}
	index := make([]int, len(shape))
	for {
		visit(index)
		i := len(shape) - 1
		for ; i >= 0; i-- {
			if index[i]++; index[i] < shape[i] {
				break
			}
			index[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

func (p *program[T]) slice(a *modelArray[T]) {
	var index []Index
	var shape []int
	var text []string
	positions := make([][]int, len(a.shape)) // of each axis
	for i, n := range a.shape {
		all := make([]int, n)
		for x := range all {
			all[x] = x
		}
		switch kind := p.rng.IntN(5); {
		case kind == 0 || kind == 1 && n == 0:
			positions[i] = all
			index, text = append(index, All), append(text, "All")
			shape = append(shape, n)
		case kind == 1:
			x := p.rng.IntN(n)
			positions[i] = []int{x}
			if p.rng.IntN(2) == 0 {
				x -= n
			}
			index, text = append(index, I(x)), append(text, fmt.Sprintf("I(%d)", x))
		case kind == 2: // backwards
			step := 1 + p.rng.IntN(3)
			for x := n - 1; x >= 0; x -= step {
				positions[i] = append(positions[i], x)
			}
			index, text = append(index, R(End, End, -step)), append(text, fmt.Sprintf("R(End, End, %d)", -step))
			shape = append(shape, len(positions[i]))
		default:
			lo, hi, step := p.rng.IntN(n+1), p.rng.IntN(n+1), 1+p.rng.IntN(3)
			for x := lo; x < hi; x += step {
				positions[i] = append(positions[i], x)
			}
			index, text = append(index, R(lo, hi, step)), append(text, fmt.Sprintf("R(%d, %d, %d)", lo, hi, step))
			shape = append(shape, len(positions[i]))
		}
	}
	p.view(a, "Slice("+strings.Join(text, ", ")+")", a.real.Slice(index...), shape, func(x []int) []int {
		from, k := make([]int, len(a.shape)), 0
		for i := range from {
			if index[i].kind == indexOne {
				from[i] = positions[i][0]
				continue
			}
			from[i] = positions[i][x[k]]
			k++
		}
		return from
	})
}

func (p *program[T]) permute(a *modelArray[T]) {
	axes := p.rng.Perm(len(a.shape))
	shape := make([]int, len(axes))
	for i, axis := range axes {
		shape[i] = a.shape[axis]
	}
	from := func(x []int) []int {
		f := make([]int, len(axes))
		for i, axis := range axes {
			f[axis] = x[i]
		}
		return f
	}
	if slices.IsSortedFunc(axes, func(a, b int) int { return b - a }) {
		p.view(a, "Transpose()", a.real.Transpose(), shape, from)
		return
	}
	p.view(a, fmt.Sprintf("PermuteDims(%v)", axes), a.real.PermuteDims(axes...), shape, from)
}

func (p *program[T]) expand(a *modelArray[T]) {
	if len(a.shape) > 5 {
		return
	}
	axis := p.rng.IntN(len(a.shape) + 1)
	p.keep(a, fmt.Sprintf("ExpandDims(%d)", axis), a.real.ExpandDims(axis), slices.Insert(slices.Clone(a.shape), axis, 1), a.at)
}

func (p *program[T]) squeeze(a *modelArray[T]) {
	shape := slices.DeleteFunc(slices.Clone(a.shape), func(n int) bool { return n == 1 })
	p.keep(a, "Squeeze()", a.real.Squeeze(), shape, a.at)
}

func (p *program[T]) broadcast(a *modelArray[T]) {
	shape := slices.Clone(a.shape)
	for i, n := range shape {
		if n == 1 {
			shape[i] = p.rng.IntN(4)
		}
	}
	more := 0
	if len(shape) < 6 {
		more = p.rng.IntN(2)
		shape = append(slices.Repeat([]int{1 + p.rng.IntN(3)}, more), shape...)
	}
	p.view(a, fmt.Sprintf("BroadcastTo(%v)", shape), a.real.BroadcastTo(shape...), shape, func(x []int) []int {
		from := slices.Clone(x[more:])
		for i := range from {
			from[i] = min(from[i], a.shape[i]-1)
		}
		return from
	})
}

func (p *program[T]) flip(a *modelArray[T]) {
	if len(a.shape) == 0 {
		return
	}
	axis := p.rng.IntN(len(a.shape))
	p.view(a, fmt.Sprintf("Flip(%d)", axis), a.real.Flip(axis), a.shape, func(x []int) []int {
		from := slices.Clone(x)
		from[axis] = a.shape[axis] - 1 - x[axis]
		return from
	})
}

// reshape checks that the result is a view exactly where the elements lie evenly
// along each new axis.
func (p *program[T]) reshape(a *modelArray[T]) {
	rest := len(a.at)
	var shape []int
	for rest > 1 && len(shape) < 4 {
		n := 1 + p.rng.IntN(rest)
		for rest%n != 0 {
			n++
		}
		shape = append(shape, n)
		rest /= n
	}
	if rest != 1 || p.rng.IntN(4) == 0 {
		shape = append(shape, rest)
	}
	what, real := fmt.Sprintf("Reshape(%v)", shape), a.real.Reshape(shape...)
	if p.rng.IntN(4) == 0 {
		shape = []int{len(a.at)}
		what, real = "Flatten()", a.real.Flatten()
	}
	if even(a.at, shape) {
		p.keep(a, what, real, shape, a.at)
	} else {
		p.copied(a, what+" (copies)", real, shape)
	}
}

// even says whether positions are a linear function of the index of a shape.
func even(at, shape []int) bool {
	strides, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] > 1 && len(at) > 0 {
			strides[i] = at[n] - at[0]
		}
		n *= shape[i]
	}
	ok, k := true, 0
	eachIndex(shape, func(index []int) {
		p := at[0]
		for i, x := range index {
			p += x * strides[i]
		}
		ok = ok && p == at[k]
		k++
	})
	return ok
}

// shift assigns a part of an array to a part that overlaps it.
func (p *program[T]) shift(a *modelArray[T]) {
	if len(a.shape) == 0 || a.mem.freed {
		return
	}
	axis := p.rng.IntN(len(a.shape))
	n := p.rng.IntN(min(a.shape[axis], 3) + 1)
	last := make([]Index, axis+1)
	first := slices.Clone(last)
	first[axis], last[axis] = R(0, a.shape[axis]-n), R(n, End)
	part := func(index []Index, by int) *modelArray[T] {
		shape := slices.Clone(a.shape)
		shape[axis] -= n
		p.view(a, fmt.Sprintf("Slice(axis %d: %d of %d from %d)", axis, shape[axis], a.shape[axis], by), a.real.Slice(index...), shape, func(x []int) []int {
			from := slices.Clone(x)
			from[axis] += by
			return from
		})
		return p.live[len(p.live)-1]
	}
	x, y := part(first, 0), part(last, n)
	if p.rng.IntN(2) == 0 {
		x, y = y, x
	}
	if p.rng.IntN(3) == 0 {
		p.flip(x)
		x = p.live[len(p.live)-1]
	}
	p.assign(x, y)
	p.compare(a)
}

func (p *program[T]) assign(dst, src *modelArray[T]) {
	p.log = append(p.log, fmt.Sprintf("%s.Assign(%s)", dst.name, src.name))
	err := dst.real.Assign(src.real)
	values, fits := src.broadcastValues(dst.shape)
	if !fits || dst.repeats() {
		if !errors.Is(err, ErrShape) {
			p.Errorf("%s = %v, want ErrShape", p.log[len(p.log)-1], err)
		}
		return
	}
	if err != nil {
		p.Errorf("%s: %v", p.log[len(p.log)-1], err)
	}
	for i, at := range dst.at {
		dst.mem.data[at] = values[i]
	}
}

// broadcastValues returns the elements, read at once, in a larger shape.
func (a *modelArray[T]) broadcastValues(shape []int) (values []T, fits bool) {
	shift := len(shape) - len(a.shape)
	if shift < 0 {
		return nil, false
	}
	for i, n := range a.shape {
		if n != 1 && n != shape[shift+i] {
			return nil, false
		}
	}
	eachIndex(shape, func(index []int) {
		p := 0
		for i, n := range a.shape {
			p = p*n + min(index[shift+i], n-1)
		}
		values = append(values, a.mem.data[a.at[p]])
	})
	return values, true
}

// repeats says whether an element is shown twice.
func (a *modelArray[T]) repeats() bool {
	at := slices.Clone(a.at)
	slices.Sort(at)
	return len(slices.Compact(at)) < len(a.at)
}

func (p *program[T]) fill(a *modelArray[T]) {
	v := p.value()
	p.log = append(p.log, fmt.Sprintf("%s.Fill(%v)", a.name, v))
	err := a.real.Fill(v)
	if a.repeats() {
		if !errors.Is(err, ErrShape) {
			p.Errorf("%s = %v, want ErrShape", p.log[len(p.log)-1], err)
		}
		return
	}
	if err != nil {
		p.Errorf("%s: %v", p.log[len(p.log)-1], err)
	}
	for _, at := range a.at {
		a.mem.data[at] = v
	}
}

// free frees an array: memory goes with its owner, and takes all views with it.
func (p *program[T]) free(a *modelArray[T]) {
	p.log = append(p.log, a.name+".Free()")
	a.real.Free()
	if !a.owner {
		p.compare(a)
		return
	}
	a.mem.freed = true
	p.live = slices.DeleteFunc(p.live, func(b *modelArray[T]) bool {
		if b.mem != a.mem {
			return false
		}
		if _, err := b.real.ToSlice(); !errors.Is(err, ErrFreed) {
			p.Errorf("%s of freed memory: %v", b.name, err)
		}
		return true
	})
}

// compare reads an array.
func (p *program[T]) compare(a *modelArray[T]) {
	got, err := a.real.ToSlice()
	if err != nil {
		p.Errorf("%s: %v", a.name, err)
		return
	}
	want := make([]T, len(a.at))
	for i, at := range a.at {
		want[i] = a.mem.data[at]
	}
	if !slices.Equal(got, want) {
		p.Errorf("%s, shape %v, is\n%v, want\n%v", a.name, a.shape, got, want)
	}
}
