package main

import (
	"bytes"
	"os"
	"testing"
)

func TestForwardIsUpToDate(t *testing.T) {
	seam, err := os.ReadFile("../../seam.go")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(seam)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../forward.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("forward.go is not what seam.go makes: run go generate ./internal/abi/abitest")
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, src := range []string{
		"package abi",
		"package abi\ntype API interface{ Other }",
		"package abi\ntype API interface{ F(int32) Result }",
		"package abi\ntype API interface{ F(api int32) Result }",
		"package abi\ntype API interface{ F(x int32) error }",
	} {
		if out, err := generate([]byte(src)); err == nil {
			t.Errorf("%q: no error, but\n%s", src, out)
		}
	}
}
