package driver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestCandidates goes through the loader's places on each system with a file
// system that exists in the test only: a path is there or it is not.
func TestCandidates(t *testing.T) {
	const wsl = "/usr/lib/wsl/lib/libcuda.so.1"
	for _, test := range []struct {
		goos, goarch string
		there        []string
		want         string // the path opened; empty: none
	}{
		{"linux", "amd64", []string{"libcuda.so.1", wsl}, "libcuda.so.1"},
		{"linux", "amd64", []string{wsl, "/usr/lib64/libcuda.so.1"}, wsl},
		{"linux", "arm64", []string{wsl}, wsl},
		{"linux", "amd64", []string{"libcuda.so"}, "libcuda.so"},
		{"linux", "amd64", []string{"/usr/lib/x86_64-linux-gnu/libcuda.so.1"}, "/usr/lib/x86_64-linux-gnu/libcuda.so.1"},
		{"linux", "arm64", []string{"/usr/lib/aarch64-linux-gnu/libcuda.so.1"}, "/usr/lib/aarch64-linux-gnu/libcuda.so.1"},
		{"linux", "arm64", []string{"/usr/lib/x86_64-linux-gnu/libcuda.so.1"}, ""},
		{"linux", "arm64", []string{"/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1"}, "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1"},
		{"linux", "amd64", nil, ""},
		{"windows", "amd64", []string{"nvcuda.dll"}, "nvcuda.dll"},
		{"windows", "arm64", []string{"libcuda.so.1"}, ""},
		{"darwin", "arm64", []string{"libcuda.so.1"}, ""},
	} {
		candidates := libraryCandidates(test.goos, test.goarch)
		var tried []string
		d, err := openFirst(candidates, func(path string) (*Driver, error) {
			tried = append(tried, path)
			if slices.Contains(test.there, path) {
				return &Driver{source: path}, nil
			}
			return nil, &notLoaded{path, errors.New("no such file")}
		})
		if d.Source() != test.want {
			t.Errorf("%s/%s with %v: opened %q (%v), want %q", test.goos, test.goarch, test.there, d.Source(), err, test.want)
		}
		if test.want != "" {
			continue
		}
		if !errors.Is(err, ErrNoDriver) || !slices.Equal(tried, candidates) {
			t.Errorf("%s/%s: tried %v, %v", test.goos, test.goarch, tried, err)
		}
		for _, path := range candidates {
			if !strings.Contains(err.Error(), path+": no such file") {
				t.Errorf("%s/%s: the error does not tell of %s: %v", test.goos, test.goarch, path, err)
			}
		}
	}
}

// TestBrokenDriver checks that a driver that is there and fails ends the search.
func TestBrokenDriver(t *testing.T) {
	broken := &Error{Op: "cuInit", Code: ErrorSystemDriverMismatch}
	_, err := openFirst([]string{"a", "b"}, func(path string) (*Driver, error) {
		if path == "b" {
			return nil, fmt.Errorf("b was tried after a failed: %w", ErrNoDriver)
		}
		return nil, broken
	})
	if !errors.Is(err, ErrorSystemDriverMismatch) || errors.Is(err, ErrNoDriver) {
		t.Error(err)
	}
}
