package corpus

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestWarpGroups holds the model of the tensor cores against what the cards
// answered to wgmma with both operands in shared memory.
func TestWarpGroups(t *testing.T) {
	files, err := filepath.Glob(goldenFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		g, err := ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range g.Answers {
			p := byName()[a.Name]
			if p == nil || p.Key() != a.Key || a.Err != "" || !strings.HasPrefix(a.Name, "wgmma") || strings.Contains(a.Name, ",") {
				continue
			}
			holdGroup(t, p, a.Out, rule{2, 16})
		}
	}
}

// cores reads a matrix of core matrices: row (of A, or column of B) i, element k.
func cores(p *Program, first, block, rows, width int) [][]uint64 {
	m := grid(rows, 256/width)
	each := 64 / width
	mask := uint64(1)<<width - 1
	for i := range rows {
		for k := range m[i] {
			thread := i/8*16 + k/(2*each)*8 + i%8
			word := p.In[first+k/each%2][128*block+thread]
			m[i][k] = word >> (k % each * width) & mask
		}
	}
	return m
}

func holdGroup(t *testing.T, p *Program, out []byte, r rule) {
	forms, err := ptx.Forms(p.Name)
	if err != nil {
		t.Error(err)
		return
	}
	x := forms[0]
	of := x.Mods[len(x.Mods)-3:]
	width := map[string]int{"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "u8": 8, "s8": 8}[of[1]]
	_, columns, _ := extent(x.Mods[3])
	bad, n := [kinds]int{}, 0
	for block := range kinds {
		a, b := cores(p, 0, block, 64, width), cores(p, 2, block, columns, width)
		for thread := range 128 {
			g, c2 := thread%32>>2, 2*(thread&3)
			for j := range p.Outs {
				check := func(row, col int, c, d uint64) {
					got := r.product(append(append([]string{}, x.Mods...), of[0]), a[row], b[col], c)
					if width == 8 && layouts[of[1]].bits == 8 {
						// 32 products at a time, 13 fraction bits in the sum and in a float32 result.
						got = rule{13 - 23, 32}.sum(layouts[of[1]], layouts[of[2]], a[row], b[col], c, layouts[of[0]])
						if of[0] == "f32" && !isNaN(ptx.F32, got) {
							got &^= 1<<10 - 1
						}
					}
					if got != d && !(isNaN(p.Outs[0], got) && isNaN(p.Outs[0], d)) {
						bad[block]++
						if n++; n <= 2 {
							t.Errorf("%s, block %d, element %d,%d: the model says %#x, the card %#x, of %#x · %#x + %#x", p.Name, block, row, col, got, d, a[row], b[col], c)
						}
					}
				}
				c, d := p.In[4+j][128*block+thread], p.At(out, j, 128*block+thread)
				row := thread/32*16 + g
				if packed(p.Outs[0]) {
					check(row+8*(j&1), j>>1*8+c2, c&0xffff, d&0xffff)
					check(row+8*(j&1), j>>1*8+c2+1, c>>16, d>>16)
					continue
				}
				check(row+8*(j>>1&1), j>>2*8+c2+j&1, c, d)
			}
		}
	}
	if n > 0 {
		t.Errorf("%s: %d differences, by kind %v", p.Name, n, bad)
	}
}
