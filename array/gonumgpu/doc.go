// Package gonumgpu takes gonum's matrices to the device and back:
//
//	x := gonumgpu.FromMatrix[float64](dev, m)   // (rows, columns)
//	g, err := gonumgpu.ToDense(x.Transpose().MatMul(x))
//
// Both directions copy. A matrix that gonum transposed (m.T()) is sent as it lies
// in memory and transposed on the device. Elements are float64, as gonum's are, or
// float32, to which they are rounded on the way to the device and from which they
// are converted, exactly, on the way back.
//
// FromMatrix and FromVector return Arrays that carry their errors, as package
// array's constructors do; ToDense and ToVecDense wait for the device and return
// theirs. None panics: not on nil, and not where a matrix of another package does.
package gonumgpu
