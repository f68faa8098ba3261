package kernels

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A keyReader takes a key apart, word by word. The first mistake stays in err,
// and what is read after it is zero.
type keyReader struct {
	key   string
	words []string
	err   error
}

// readKey starts behind the key's first word.
func readKey(key string) *keyReader {
	return &keyReader{key: key, words: strings.Fields(key)[1:]}
}

func (r *keyReader) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("kernel key %q: want %s before %q", r.key, want, strings.Join(r.words, " "))
	}
}

// word reads one of the words given and returns its place among them.
func (r *keyReader) word(words ...string) int {
	if r.err == nil && len(r.words) > 0 {
		for i, w := range words {
			if w == r.words[0] {
				r.words = r.words[1:]
				return i
			}
		}
	}
	r.fail("one of " + strings.Join(words, ", "))
	return 0
}

// flag reads the word if it is next, and says whether it was.
func (r *keyReader) flag(word string) bool {
	if r.err != nil || len(r.words) == 0 || r.words[0] != word {
		return false
	}
	r.words = r.words[1:]
	return true
}

// elem reads the name of an element type.
func (r *keyReader) elem() Type {
	if r.err == nil && len(r.words) > 0 {
		if t := typeByName(r.words[0]); t != Invalid {
			r.words = r.words[1:]
			return t
		}
	}
	r.fail("an element type")
	return Invalid
}

// number reads a word such as "v4": the prefix and a number of at most high.
func (r *keyReader) number(prefix string, high int) int {
	if r.err == nil && len(r.words) > 0 {
		if digits, ok := strings.CutPrefix(r.words[0], prefix); ok {
			if n, err := strconv.Atoi(digits); err == nil && n >= 0 && n <= high {
				r.words = r.words[1:]
				return n
			}
		}
	}
	r.fail(fmt.Sprintf("%s0 to %s%d", prefix, prefix, high))
	return 0
}

// end returns the first mistake, or that words are left.
func (r *keyReader) end() error {
	if r.err == nil && len(r.words) > 0 {
		r.fail("the key's end")
	}
	return r.err
}

// A keyWriter puts a key together. It is used for one key.
type keyWriter struct{ n []byte }

var keyWriters = sync.Pool{New: func() any { return new(keyWriter) }}

func newKey(family string) *keyWriter {
	w := keyWriters.Get().(*keyWriter)
	w.n = append(w.n[:0], family...)
	return w
}

func (w *keyWriter) word(s string) *keyWriter {
	w.n = append(append(w.n, ' '), s...)
	return w
}

func (w *keyWriter) flag(s string, set bool) *keyWriter {
	if set {
		return w.word(s)
	}
	return w
}

func (w *keyWriter) number(prefix string, n int) *keyWriter {
	w.n = strconv.AppendInt(append(append(w.n, ' '), prefix...), int64(n), 10)
	return w
}

func (w *keyWriter) String() string {
	defer keyWriters.Put(w)
	return intern(w.n)
}

// keyName is the name function of families whose keys are short words: the
// words joined.
func keyName(key string) (string, bool) { return strings.ReplaceAll(key, " ", "_"), true }
