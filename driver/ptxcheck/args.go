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
	make func(ctx *driver.Context, label func() string) (value any, err error)
	mem  *driver.Mem // of buf and in, once made
}

// kinds are the forms of an argument; a parser gets what stands behind the colon.
var kinds = map[string]func(a *arg, s string) error{
	"buf": func(a *arg, s string) error {
		n, err := strconv.ParseUint(s, 0, 62)
		if err == nil && n == 0 {
			err = strconv.ErrRange
		}
		a.make = func(ctx *driver.Context, label func() string) (any, error) { return a.alloc(ctx, n, label) }
		return err
	},
	"in": func(a *arg, file string) error {
		content, err := os.ReadFile(file)
		if err == nil && len(content) == 0 {
			err = fmt.Errorf("%s is empty", file)
		}
		a.make = func(ctx *driver.Context, label func() string) (any, error) {
			m, err := a.alloc(ctx, uint64(len(content)), label)
			if err != nil {
				return nil, err
			}
			return m, driver.Write(m, 0, content)
		}
		return err
	},
	"u32": func(a *arg, s string) error { n, err := strconv.ParseUint(s, 0, 32); return a.constant(uint32(n), err) },
	"s32": func(a *arg, s string) error { n, err := strconv.ParseInt(s, 0, 32); return a.constant(int32(n), err) },
	"u64": func(a *arg, s string) error { n, err := strconv.ParseUint(s, 0, 64); return a.constant(n, err) },
	"f32": func(a *arg, s string) error { x, err := strconv.ParseFloat(s, 32); return a.constant(float32(x), err) },
	"f64": func(a *arg, s string) error { x, err := strconv.ParseFloat(s, 64); return a.constant(x, err) },
}

func (a *arg) constant(v any, err error) error {
	a.make = func(*driver.Context, func() string) (any, error) { return v, nil }
	return err
}

// fits says why the argument cannot be the value of a parameter, which has a type
// that the other kinds of arguments do not have, or a size.
func (a *arg) fits(p *ptx.Var) error {
	is := map[string]ptx.Type{"buf": ptx.U64, "in": ptx.U64, "u32": ptx.U32, "s32": ptx.S32, "u64": ptx.U64, "f32": ptx.F32, "f64": ptx.F64}[a.kind]
	size := p.Type.Size() * p.Count
	bits := p.Type.String()[0] == 'b'
	if size != is.Size() || !bits && p.Type.Integer() != is.Integer() {
		return fmt.Errorf("%s is not a value of parameter .%s %s, of %d bytes", a.text, p.Type, p.Name, size)
	}
	return nil
}

// alloc makes the buffer, content undefined, under the name that reports use.
func (a *arg) alloc(ctx *driver.Context, bytes uint64, label func() string) (m *driver.Mem, err error) {
	if m, err = ctx.Alloc(bytes); err != nil {
		return nil, err
	}
	a.mem = m
	ctx.MarkMemory(m.Ptr(), bytes, driver.MemoryPoisoned, label)
	return m, nil
}

func (a *arg) value(ctx *driver.Context, i int) (any, error) {
	v, err := a.make(ctx, func() string { return fmt.Sprintf("argument %d (%s)", i, a.text) })
	if err != nil {
		return nil, fmt.Errorf("argument %d, %s: %w", i, a.text, err)
	}
	return v, nil
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
			return nil, fmt.Errorf("argument %d is %q: expected buf:BYTES, in:FILE, u32:N, s32:N, u64:N, f32:X or f64:X", i, text)
		}
		args[i].text, args[i].kind = text, kind
		if err := parse(&args[i], rest); err != nil {
			return nil, fmt.Errorf("argument %d is %q: %w", i, text, err)
		}
	}
	return args, nil
}
