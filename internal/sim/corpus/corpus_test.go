package corpus

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const goldenFiles = "../../../testdata/corpus/*.golden.gz"

var only = flag.String("program", "", "regular expression of the programs to run")

// unsupported lists, by a prefix of their names, the programs that the
// simulated device does not load yet, and why.
var unsupported = []struct{ prefix, why string }{}

// differing lists, by a prefix of their names, the programs on which the
// simulated device and cards are known to differ, and why that stands.
var differing = []struct{ prefix, why string }{}

func knownToDiffer(name string) bool {
	for _, d := range differing {
		if strings.HasPrefix(name, d.prefix) {
			return true
		}
	}
	return false
}

func reasonFor(name string) string {
	for _, u := range unsupported {
		if strings.HasPrefix(name, u.prefix) {
			return u.why
		}
	}
	return ""
}

// answers runs every program on the simulated device, once for all tests.
var answers = sync.OnceValue(func() []Answer {
	list := make([]Answer, len(Programs()))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(4, runtime.GOMAXPROCS(0)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			m, err := Simulated()
			for i := range next {
				p := Programs()[i]
				a := &list[i]
				if a.Name = p.Name; err != nil {
					a.Err = err.Error()
					continue
				}
				var failed error
				if a.Out, failed = m.Run(p); failed != nil {
					a.Err = failed.Error()
					if load := new(LoadError); !errors.As(failed, &load) {
						a.Err = "fault: " + a.Err
						m.Close()
						m, err = Simulated()
					}
				}
			}
			if err == nil {
				m.Close()
			}
		}()
	}
	match := regexp.MustCompile(*only)
	for i, p := range Programs() {
		if match.MatchString(p.Name) {
			next <- i
		}
	}
	close(next)
	workers.Wait()
	return list
})

// TestProgramsRun: the simulated device runs every program, but for those that
// are listed as unsupported.
func TestProgramsRun(t *testing.T) {
	missing := make(map[string]int)
	for _, a := range answers() {
		why := reasonFor(a.Name)
		switch {
		case a.Name == "":
		case a.Err != "" && why != "" && !strings.HasPrefix(a.Err, "fault: "):
			missing[why]++
		case a.Err != "":
			t.Errorf("%s: %s", a.Name, a.Err)
		case why != "":
			t.Errorf("%s is listed as unsupported (%s), and works: take it off the list", a.Name, why)
		}
	}
	if n := len(Programs()); n < 300 {
		t.Errorf("%d programs, at least 300 are wanted", n)
	}
	t.Logf("%d programs; unsupported: %v", len(Programs()), missing)
}

// TestGolden holds the simulated device against what real cards answered.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(goldenFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { hold(t, file) })
	}
}

func hold(t *testing.T, file string) {
	g, err := ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden := make(map[string]*Answer, len(g.Answers))
	for i := range g.Answers {
		golden[g.Answers[i].Name] = &g.Answers[i]
	}
	held, known, unsupported, stale := 0, 0, 0, 0
	for i, got := range answers() {
		p := Programs()[i]
		want := golden[p.Name]
		switch {
		case got.Name == "":
		case want == nil || want.Key != p.Key():
			stale++
		case want.Err != "":
			t.Errorf("%s did not run on %s: %s", p.Name, g.Card, want.Err)
		case got.Err != "":
			unsupported++
		default:
			held++
			list := p.Compare(got.Out, want.Out)
			if knownToDiffer(p.Name) {
				if known++; len(list) == 0 {
					t.Errorf("%s is listed as differing, and does not: take it off the list", p.Name)
				}
				continue
			}
			for _, d := range list[:min(len(list), 3)] {
				t.Errorf("%s: %s (%d differences)", p.Name, p.Explain(d), len(list))
			}
		}
	}
	t.Logf("%s, driver for CUDA %s, %s: %d programs held, of which %d are known to differ, %d unsupported by the simulated device, %d newer than the file", g.Card, g.Driver, g.Date, held, known, unsupported, stale)
}

// TestAssembles: ptxas takes every program. Those of a target are put into one
// module.
func TestAssembles(t *testing.T) {
	ptxas, err := exec.LookPath("ptxas")
	if err != nil {
		t.Skip("no ptxas on the path")
	}
	type module struct {
		head string
		body strings.Builder
		n    int
	}
	modules := make(map[string]*module)
	for i, p := range Programs() {
		head, body, _ := strings.Cut(p.PTX, ".address_size 64\n")
		target := head[strings.Index(head, ".target"):]
		m := modules[target]
		if m == nil {
			m = &module{head: head}
			modules[target] = m
		}
		m.head = max(m.head, head) // the newest PTX version
		unique := strings.NewReplacer(".entry k(", fmt.Sprintf(".entry k%d(", i), "table", fmt.Sprint("table", i))
		fmt.Fprintf(&m.body, "// %s\n%s\n", p.Name, unique.Replace(body))
		m.n++
	}
	for target, m := range modules {
		file := filepath.Join(t.TempDir(), "corpus.ptx")
		if err := os.WriteFile(file, []byte(m.head+".address_size 64\n"+m.body.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		arch := strings.TrimSpace(strings.TrimPrefix(target, ".target "))
		out, err := exec.Command(ptxas, "-arch="+arch, "-O0", file, "-o", os.DevNull).CombinedOutput()
		if err != nil {
			t.Errorf("%s, %d programs: %v\n%.3000s", arch, m.n, err, out)
		}
	}
}

// TestInputsAreReproducible: a program is the same each time it is made.
func TestInputsAreReproducible(t *testing.T) {
	for i := range forms[:20] {
		for _, name := range forms[i].expand() {
			if a, b := forms[i].draft(name).finish(), forms[i].draft(name).finish(); a.Key() != b.Key() {
				t.Errorf("%s: two keys", name)
			}
		}
	}
}
