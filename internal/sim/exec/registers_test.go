package exec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestSetmaxnreg: a group of warps that asks for more registers than the block has
// left waits for others to give theirs back, for ever if they do not: what three
// groups can have is 504 for each of their threads together, or what .maxnreg says.
func TestSetmaxnreg(t *testing.T) {
	for _, c := range []struct {
		producer, consumers int
		limit, back         string
		hangs               bool
	}{
		{24, 240, "", "", false},
		{40, 232, "", "", false},
		{40, 240, "", "", true},
		{40, 240, "", "bar.sync 1, 256;\nsetmaxnreg.dec.sync.aligned.u32 24;", true}, // the other consumer never comes
		{40, 240, "", "setmaxnreg.dec.sync.aligned.u32 24;", false},
		{24, 176, ".maxnreg 128", "", false}, // 384
		{24, 184, ".maxnreg 128", "", true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			d := hopperDevice(t, fmt.Sprintf(`.visible .entry k()
.maxntid 384 %s
{
	.reg .pred %%p; .reg .b32 %%r;
	mov.u32 %%r, %%tid.x;
	setp.lt.u32 %%p, %%r, 128;
	@%%p bra PRODUCER;
	setmaxnreg.inc.sync.aligned.u32 %d;
	%s
	bra END;
PRODUCER:
	setmaxnreg.dec.sync.aligned.u32 %d;
END:
	ret;
}`, c.limit, c.consumers, c.back, c.producer))
			err := d.cluster(1, 384, 1)
			f := new(Fault)
			if hangs := errors.As(err, &f); hangs != c.hangs || hangs && (f.Kind != Deadlock || !strings.Contains(f.Error(), fmt.Sprintf("asks for %d", c.consumers))) {
				t.Errorf("got %v, hangs: %v", err, c.hangs)
			}
		})
	}
}
