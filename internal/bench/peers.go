package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

//go:embed peers.py
var peersScript string

// peers is a Python process that runs the same tasks with other libraries, one
// request and one answer a line.
type peers struct {
	cmd    *exec.Cmd
	script string // the file it runs
	in     io.WriteCloser
	out    *bufio.Reader
}

// A request is one of: prepare a task, time a peer's version of it, or drop it.
type request struct {
	Do    string         `json:"do"`
	Task  string         `json:"task,omitempty"`
	Sizes map[string]any `json:"sizes,omitempty"`
	Graph bool           `json:"graph,omitempty"`
	Peer  string         `json:"peer,omitempty"`
	Batch int            `json:"batch,omitempty"`
}

// An answer names the peers that are ready, and what failed, or is a time in µs.
type answer struct {
	Peers  []string          `json:"peers"`
	Failed map[string]string `json:"failed"`
	Micros float64           `json:"us"`
	Error  string            `json:"error"`
}

// startPeers starts python3 with the script in a file, as compilers of Python code
// want to read it.
func startPeers() (p *peers, err error) {
	f, err := os.CreateTemp("", "peers*.py")
	if err != nil {
		return nil, err
	}
	p = &peers{cmd: exec.Command("python3", "-u", f.Name()), script: f.Name()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting the peers: %w", err), os.Remove(p.script))
		}
	}()
	if _, err = f.WriteString(peersScript); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return nil, err
	}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err = p.cmd.Start(); err != nil {
		return nil, err
	}
	a, err := p.ask(request{Do: "hello"})
	if err != nil {
		return nil, errors.Join(err, p.cmd.Wait())
	}
	fmt.Fprintln(os.Stderr, "bench: peers:", a.Peers)
	return p, nil
}

func (p *peers) ask(r request) (answer, error) {
	var a answer
	b, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return a, fmt.Errorf("asking the peers: %w", err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("the peers' process ended: %w", err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("the peers answered %q: %w", line, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("the peer failed: %s", a.Error)
	}
	return a, nil
}

// prepare makes a task's inputs in every library that has a version of it, and
// returns their names. Without any, or where all fail, there are none.
func (p *peers) prepare(task string, s sizes, graph bool) []string {
	a, err := p.ask(request{Do: "prepare", Task: task, Graph: graph, Sizes: map[string]any{"n": s.n, "side": s.side, "cols": s.cols, "long": s.long, "mid": s.mid, "shrink": s.shrink, "bytes": s.hostBytes}})
	if err != nil {
		a.Failed = map[string]string{"all": err.Error()}
	}
	for name, why := range a.Failed {
		fmt.Fprintf(os.Stderr, "bench: %s: %s: %s\n", task, name, why)
	}
	return a.Peers
}

// timer asks for batches of a peer's version.
func (p *peers) timer(name string) timer {
	return func(batch int) (float64, error) {
		a, err := p.ask(request{Do: "time", Peer: name, Batch: batch})
		return a.Micros, err
	}
}

func (p *peers) drop() { _, _ = p.ask(request{Do: "drop"}) }

// close ends the process, and says what went wrong.
func (p *peers) close() error {
	return errors.Join(p.in.Close(), p.cmd.Wait(), os.Remove(p.script))
}
