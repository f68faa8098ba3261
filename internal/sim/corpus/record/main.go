// Command record runs the corpus on the GPU at hand, writes a golden file of
// its answers, and lists where the simulated device answers otherwise.
//
//	record [-o FILE] [-known FILE] [-for DURATION] [-run REGEXP] [-show N] [-dump DIR] [-sim]
//
// FILE belongs in testdata/corpus, and is named after the card: h100.golden.gz.
// With -known, programs whose answers a golden file of the same card has do not run
// again. When the time given by -for has passed, what is there is written and
// compared; a run with -known goes on from there.
//
// The programs run in a process of their own, which is started again behind a
// program that makes the context unusable or does not end. Such a program is listed
// at once.
package main

import (
	"encoding/gob"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/sim/corpus"
)

var (
	output = flag.String("o", "", "golden file to write")
	only   = flag.String("run", "", "regular expression of the programs to run")
	show   = flag.Int("show", 3, "differences to list of each program")
	dump   = flag.String("dump", "", "write the programs' PTX to this folder, and run nothing")
	from   = flag.Int("child", -1, "for this command's own use: run from this program on and write answers to standard output")
	sim    = flag.Bool("sim", false, "take the simulated device for the GPU, to try this command")
	limit  = flag.Duration("limit", 30*time.Second, "how long a program may take")
	known  = flag.String("known", "", "golden file whose answers are kept")
	total  = flag.Duration("for", time.Hour, "how long all programs may take")
)

// open opens the GPU's driver.
func open() (*driver.Driver, error) {
	if *sim {
		return driver.Simulated(driver.SimulatedConfig{ComputeCapability: 90})
	}
	return driver.Open()
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	old := &corpus.Golden{}
	if *known != "" {
		if old, err = corpus.ReadFile(*known); err != nil {
			log.Fatal(err)
		}
	}
	kept := old.ByKey()
	var programs []*corpus.Program
	for _, p := range corpus.Programs() {
		if a, have := kept[p.Key()]; !(have && a.Err == "") && match.MatchString(p.Name) {
			programs = append(programs, p)
		}
	}
	switch {
	case *dump != "":
		err = write(*dump, programs)
	case *from >= 0:
		err = answer(programs[*from:])
	default:
		err = record(programs, old)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// write puts each program's PTX in a file.
func write(dir string, programs []*corpus.Program) error {
	for i, p := range programs {
		text := "// " + p.Name + "\n" + p.PTX
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.ptx", i)), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// answer is the child: it ends at the first program after which the context is
// of no more use.
func answer(programs []*corpus.Program) error {
	drv, err := open()
	if err != nil {
		return err
	}
	m, err := corpus.NewMachine(drv)
	if err != nil {
		return err
	}
	enc := gob.NewEncoder(os.Stdout)
	// Assembling takes the time, so it goes ahead on several processors.
	ahead := make(chan chan *corpus.Loaded, 16)
	go func() {
		for _, p := range programs {
			c := make(chan *corpus.Loaded, 1)
			ahead <- c
			go func() { c <- m.Load(p) }()
		}
	}()
	for _, p := range programs {
		a := corpus.Answer{Name: p.Name, Key: p.Key()}
		out, err := (<-<-ahead).Run()
		if a.Out = out; err != nil {
			a.Err, a.Out = err.Error(), nil
		}
		if err := enc.Encode(&a); err != nil {
			return err
		}
		if load := new(corpus.LoadError); err != nil && !errors.As(err, &load) {
			os.Exit(0) // without a word: what assembles ahead may not end well
		}
	}
	return nil
}

// record is the parent.
func record(programs []*corpus.Program, old *corpus.Golden) error {
	g, err := describe()
	if err != nil {
		return err
	}
	if len(old.Answers) > 0 && old.Card != g.Card {
		return fmt.Errorf("%s holds answers of %s, this is %s", *known, old.Card, g.Card)
	}
	fmt.Printf("%s, compute capability %d.%d, driver for CUDA %s, %d programs\n", g.Card, g.CC/10, g.CC%10, g.Driver, len(programs))
	start := time.Now()
	for len(g.Answers) < len(programs) && time.Since(start) < *total {
		n := len(g.Answers)
		err := resume(g, n)
		if err != nil && len(g.Answers) < len(programs) {
			p := programs[len(g.Answers)]
			g.Answers = append(g.Answers, corpus.Answer{Name: p.Name, Key: p.Key(), Err: err.Error()})
		}
		if len(g.Answers) == n {
			return errors.New("the child gave no answers")
		}
		if last := g.Answers[len(g.Answers)-1]; last.Err != "" {
			fmt.Printf("%6.1f s %s: %s\n", time.Since(start).Seconds(), last.Name, first(last.Err))
		}
	}
	fmt.Printf("ran %d in %.1f s\n", len(g.Answers), time.Since(start).Seconds())
	if *output != "" {
		if err := merge(old, g).WriteFile(*output); err != nil {
			return err
		}
		if info, err := os.Stat(*output); err == nil {
			fmt.Printf("wrote %s, %d bytes\n", *output, info.Size())
		}
	}
	return compare(programs[:len(g.Answers)], g)
}

// merge is the golden file of the programs there are now.
func merge(old, g *corpus.Golden) *corpus.Golden {
	all := *g
	all.Answers = nil
	kept, fresh := old.ByKey(), g.ByKey()
	for _, p := range corpus.Programs() {
		a, have := fresh[p.Key()]
		if !have {
			a, have = kept[p.Key()]
		}
		if a.Name = p.Name; have {
			all.Answers = append(all.Answers, a)
		}
	}
	return &all
}

func describe() (*corpus.Golden, error) {
	drv, err := open()
	if err != nil {
		return nil, err
	}
	dev, err := drv.Device(0)
	if err != nil {
		return nil, err
	}
	name, err := dev.Name()
	if err != nil {
		return nil, err
	}
	major, minor, err := dev.ComputeCapability()
	if err != nil {
		return nil, err
	}
	return &corpus.Golden{Card: name, CC: 10*major + minor, Driver: drv.Version().String(), Date: time.Now().UTC().Format(time.DateOnly)}, nil
}

// resume runs a child from program n on and appends what it answers. The error
// is about the program behind the last answer.
func resume(g *corpus.Golden, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, "-run", *only, "-known", *known, "-sim="+strconv.FormatBool(*sim), "-child", strconv.Itoa(n))
	var complaint strings.Builder
	child.Stderr = &complaint
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	dog := time.AfterFunc(*limit, func() { child.Process.Kill() })
	defer dog.Stop()
	dec := gob.NewDecoder(out)
	for {
		var a corpus.Answer
		if err = dec.Decode(&a); err != nil {
			break
		}
		g.Answers = append(g.Answers, a)
		dog.Reset(*limit)
	}
	_, _ = io.Copy(io.Discard, out)
	if end := child.Wait(); end != nil {
		return fmt.Errorf("the process ended: %w %s", end, complaint.String())
	}
	return nil
}

// compare runs the programs on the simulated device and prints differences.
func compare(programs []*corpus.Program, g *corpus.Golden) error {
	m, err := corpus.Simulated()
	if err != nil {
		return err
	}
	counts := make(map[string]int)
	var summary []string
	note := func(what string, p *corpus.Program, text string) {
		counts[what]++
		summary = append(summary, fmt.Sprintf("%-12s %s: %s", what, p.Name, text))
	}
	for i, p := range programs {
		want := g.Answers[i]
		if want.Err != "" {
			note("GPU-FAILED", p, first(want.Err))
			continue
		}
		got, err := m.Run(p)
		if load := new(corpus.LoadError); errors.As(err, &load) {
			counts["unsupported by the simulated device"]++
			continue
		} else if err != nil {
			note("SIM-FAILED", p, err.Error())
			m.Close()
			if m, err = corpus.Simulated(); err != nil {
				return err
			}
			continue
		}
		list := p.Compare(got, want.Out)
		switch {
		case len(list) == 0:
			counts["equal"]++
			continue
		case p.NaNsOnly(list):
			note("NaNs", p, fmt.Sprintf("%d of %d, NaNs only", len(list), p.Lanes()*len(p.Outs)))
		default:
			note("DIFFERS", p, fmt.Sprintf("%d of %d", len(list), p.Lanes()*len(p.Outs)))
		}
		for _, d := range list[:min(len(list), *show)] {
			fmt.Printf("%s: %s\n", p.Name, p.Explain(d))
		}
	}
	fmt.Println(strings.Join(summary, "\n"))
	fmt.Println(counts)
	return nil
}

// first is an error's first line, and the assembler's first complaint.
func first(text string) string {
	lines := strings.Split(text, "\n")
	for _, l := range lines[1:] {
		if strings.Contains(l, "error") {
			return lines[0] + " " + l
		}
	}
	return lines[0]
}
