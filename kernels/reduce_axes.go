package kernels

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// An axisParam is the kernel parameters of one axis of a loop nest: its size
// with the numbers that divide by it (not for the outermost axis), and its
// stride in bytes for each operand.
type axisParam struct {
	size, mul, shift *ptx.Var
	strides          []*ptx.Var
}

// declareAxes adds the parameters of n axes, in the order of Launch.axes.
func declareAxes(b *ptx.Builder, name string, n int, wide bool, operands ...string) []axisParam {
	axes := make([]axisParam, n)
	for i := range axes {
		a := &axes[i]
		if i > 0 && wide {
			a.size = b.Param(fmt.Sprintf("%s%d_size", name, i), ptx.U64)
		} else if i > 0 {
			a.size = b.Param(fmt.Sprintf("%s%d_size", name, i), ptx.U32)
			a.mul = b.Param(fmt.Sprintf("%s%d_mul", name, i), ptx.U32)
			a.shift = b.Param(fmt.Sprintf("%s%d_shift", name, i), ptx.U32)
		}
		for _, o := range operands {
			a.strides = append(a.strides, b.Param(fmt.Sprintf("%s%d_%s", name, i, o), ptx.U64))
		}
	}
	return axes
}

// emitOffsets adds the byte offset of element i of a nest to each operand's
// address. i is U32, or U64 with wide.
func emitOffsets(b *ptx.Builder, axes []axisParam, i *ptx.Reg, wide bool, addresses ...*ptx.Reg) []*ptx.Reg {
	return emitOffsetsOf(b, b.Ld, axes, i, wide, addresses...)
}

// emitOffsetsOf is emitOffsets for parameters whose values ld returns.
func emitOffsetsOf(b *ptx.Builder, ld func(*ptx.Var) *ptx.Reg, axes []axisParam, i *ptx.Reg, wide bool, addresses ...*ptx.Reg) []*ptx.Reg {
	out := append([]*ptx.Reg(nil), addresses...)
	for k := len(axes) - 1; k >= 0; k-- {
		a, digit := axes[k], i
		switch {
		case k > 0 && wide:
			quo := b.Op("div.u64", i, ld(a.size))
			digit = b.Op("sub.u64", i, b.Op("mul.lo.u64", quo, ld(a.size)))
			i = quo
		case k > 0:
			i, digit = emitDivide(b, i, ld(a.size), ld(a.mul), ld(a.shift))
		}
		if !wide {
			digit = b.Op("cvt.u64.u32", digit)
		}
		for j, s := range a.strides {
			out[j] = b.Op("mad.lo.u64", digit, ld(s), out[j])
		}
	}
	return out
}
