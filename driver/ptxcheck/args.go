package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// arg is one argument of the kernel.
type arg struct {
	text string
	kind string // what stands before the colon
	add  func(to *driver.Args, ctx *driver.Context, label func() string) error
	size int         // of bytes
	mem  *driver.Mem // of buf and in, once made
}

// kinds are the forms of an argument; a parser gets what stands behind the colon.
var kinds = map[string]func(a *arg, s string) error{
	"buf": func(a *arg, s string) error {
		n, err := strconv.ParseUint(s, 0, 62)
		if err == nil && n == 0 {
			err = strconv.ErrRange
		}
		a.add = func(to *driver.Args, ctx *driver.Context, label func() string) error {
			return a.alloc(to, ctx, n, label)
		}
		return err
	},
	"in": func(a *arg, file string) error {
		content, err := readFile(file)
		a.add = func(to *driver.Args, ctx *driver.Context, label func() string) error {
			if err := a.alloc(to, ctx, uint64(len(content)), label); err != nil {
				return err
			}
			return driver.Write(a.mem, 0, content)
		}
		return err
	},
	"bytes": func(a *arg, file string) error {
		content, err := readFile(file)
		a.size = len(content)
		return a.constant(func(to *driver.Args) { to.Struct(content) }, err)
	},
	"u32": func(a *arg, s string) error {
		n, err := strconv.ParseUint(s, 0, 32)
		return a.constant(func(to *driver.Args) { to.U32(uint32(n)) }, err)
	},
	"s32": func(a *arg, s string) error {
		n, err := strconv.ParseInt(s, 0, 32)
		return a.constant(func(to *driver.Args) { to.I32(int32(n)) }, err)
	},
	"u64": func(a *arg, s string) error {
		n, err := strconv.ParseUint(s, 0, 64)
		return a.constant(func(to *driver.Args) { to.U64(n) }, err)
	},
	"f32": func(a *arg, s string) error {
		x, err := strconv.ParseFloat(s, 32)
		return a.constant(func(to *driver.Args) { to.F32(float32(x)) }, err)
	},
	"f64": func(a *arg, s string) error {
		x, err := strconv.ParseFloat(s, 64)
		return a.constant(func(to *driver.Args) { to.F64(x) }, err)
	},
}

const kindsList = "buf:BYTES, in:FILE, u32:N, s32:N, u64:N, f32:X, f64:X or bytes:FILE"

func readFile(name string) ([]byte, error) {
	content, err := os.ReadFile(name)
	if err == nil && len(content) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	return content, err
}

func (a *arg) constant(add func(to *driver.Args), err error) error {
	a.add = func(to *driver.Args, _ *driver.Context, _ func() string) error { add(to); return nil }
	return err
}

// fits says why the argument cannot be the value of a parameter, which has a type
// that the other kinds of arguments do not have, or a size.
func (a *arg) fits(p *ptx.Var) error {
	size := p.Type.Size() * p.Count
	if a.kind == "bytes" {
		if a.size != size {
			return fmt.Errorf("%s has %d bytes, parameter %s has %d", a.text, a.size, p.Name, size)
		}
		return nil
	}
	is := map[string]ptx.Type{"buf": ptx.U64, "in": ptx.U64, "u32": ptx.U32, "s32": ptx.S32, "u64": ptx.U64, "f32": ptx.F32, "f64": ptx.F64}[a.kind]
	bits := p.Type.String()[0] == 'b'
	if size != is.Size() || !bits && p.Type.Integer() != is.Integer() {
		return fmt.Errorf("%s is not a value of parameter .%s %s, of %d bytes", a.text, p.Type, p.Name, size)
	}
	return nil
}

// alloc makes the buffer, content undefined, under the name that reports use.
func (a *arg) alloc(to *driver.Args, ctx *driver.Context, bytes uint64, label func() string) error {
	m, err := ctx.Alloc(bytes)
	if err != nil {
		return err
	}
	a.mem = m
	ctx.MarkMemory(m.Ptr(), bytes, driver.MemoryPoisoned, label)
	to.Ptr(m.Ptr())
	return nil
}

// give adds the argument, the ith, to those of a launch.
func (a *arg) give(to *driver.Args, ctx *driver.Context, i int) error {
	err := a.add(to, ctx, func() string { return fmt.Sprintf("argument %d (%s)", i, a.text) })
	if err != nil {
		return fmt.Errorf("argument %d, %s: %w", i, a.text, err)
	}
	return nil
}

// parseArgs reads the list of -args.
func parseArgs(list string) ([]arg, error) {
	if list == "" {
		return nil, nil
	}
	texts := strings.Split(list, ",")
	args := make([]arg, len(texts))
	for i, text := range texts {
		kind, rest, _ := strings.Cut(text, ":")
		parse := kinds[kind]
		if parse == nil {
			return nil, fmt.Errorf("argument %d is %q: expected %s", i, text, kindsList)
		}
		args[i].text, args[i].kind = text, kind
		if err := parse(&args[i], rest); err != nil {
			return nil, fmt.Errorf("argument %d is %q: %w", i, text, err)
		}
	}
	return args, nil
}
