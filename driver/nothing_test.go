package driver

import (
	"reflect"
	"strings"
	"testing"
)

// TestMethodsTakeNothing calls every method of every handle, nil, zero and alive, with
// nil and zero arguments: that is an error or nothing, and no panic.
func TestMethodsTakeNothing(t *testing.T) {
	drv, err := Simulated(SimulatedConfig{}) // a driver of C may not survive address 0
	if err != nil {
		t.Fatal(err)
	}
	runRig(t, drv, func(r rig) {
		s, e, m, k, mem, p, pool, g, x := r.everything()
		node, err := g.AddEmpty(nil)
		r.check(err)
		alive := []any{r.ctx.Device().Driver(), r.ctx.Device(), r.ctx, s, e, m, k, mem, p, pool, g, x, &node, new(TensorMap), NewArgs(), &Error{}}
		calls := 0
		for _, handle := range alive {
			typ := reflect.TypeOf(handle)
			for state, v := range map[string]reflect.Value{"nil": reflect.Zero(typ), "zero": reflect.New(typ.Elem()), "alive": reflect.ValueOf(handle)} {
				if state == "nil" && typ == reflect.TypeOf(&node) {
					continue // a value, which users do not point to
				}
				for i := range typ.NumMethod() {
					if name := typ.Method(i).Name; !strings.HasPrefix(name, "Close") && name != "Release" {
						r.takesNothing(state, v.Method(i), typ, name)
						calls++
					}
				}
			}
		}
		if calls < 300 {
			r.Errorf("only %d calls", calls)
		}
		r.check(r.ctx.Synchronize())
		r.closes(s, e, m, mem, p, pool, x, g)
	})
}

func (r rig) takesNothing(state string, method reflect.Value, typ reflect.Type, name string) {
	r.Helper()
	defer func() {
		if p := recover(); p != nil {
			r.Errorf("%s %v.%s: panic: %v", state, typ, name, p)
		}
	}()
	args := make([]reflect.Value, method.Type().NumIn())
	for i := range args {
		args[i] = reflect.Zero(method.Type().In(i))
	}
	if method.Type().IsVariadic() {
		args = args[:len(args)-1]
	}
	for _, out := range method.Call(args) {
		if c, ok := out.Interface().(interface{ Close() error }); ok && out.Kind() == reflect.Pointer && !out.IsNil() && (c != any(r.ctx)) {
			r.check(c.Close())
		}
	}
}
