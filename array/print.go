package array

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// How arrays print: NumPy's defaults.
const (
	printWidth     = 75   // characters in a line
	printDigits    = 8    // after the decimal point, at most
	printThreshold = 1000 // elements beyond which arrays are elided
	printEdge      = 3    // elements kept at each end of an elided axis
)

// String formats the array like NumPy: nested brackets, columns aligned, long axes
// of large arrays elided. It waits for the elements that it shows. An Array that
// carries an error prints the error.
func (a *Array[T]) String() string { return a.text(-1) }

// Format implements fmt.Formatter: every verb prints what String returns; a
// precision, as in "%.3f", is the number of digits after the decimal point.
func (a *Array[T]) Format(f fmt.State, verb rune) {
	digits := -1
	if p, ok := f.Precision(); ok {
		digits = p
	}
	fmt.Fprint(f, a.text(digits))
}

func (a *Array[T]) text(digits int) string {
	h, shown, err := summary(a.h())
	if err != nil {
		return err.Error()
	}
	values, err := to[T](shown).ToSlice()
	if shown != h {
		free("String", shown)
	}
	if err != nil {
		return err.Error()
	}
	scalars := make([]scalar, len(values))
	for i, v := range values {
		scalars[i] = scalarOf(v)
	}
	p := printer{words: words(scalars, digits), full: h.node.layout, shown: shown.node.layout}
	return p.array(0, " ", printWidth)
}

// summary returns the array and what of it is shown: the array itself, or a new,
// small one of the ends of its long axes.
func summary(h handle) (all, shown handle, err error) {
	c := call{op: "String"}
	if err := c.ready(h); err != nil {
		return h, h, err
	}
	if h.node.Len() <= printThreshold {
		return h, h, nil
	}
	ends := handle{h.dev, h.node}
	for axis, n := range h.node.Shape[:h.node.Rank] {
		if n <= 2*printEdge {
			continue
		}
		var index [kernels.MaxRank]Index
		index[axis] = R(0, printEdge)
		first := sliced("String", ends, index[:axis+1])
		index[axis] = R(-printEdge, End)
		last := sliced("String", ends, index[:axis+1])
		next := join("String", []handle{first, last}, axis, false)
		if ends != h {
			ends.free(c)
		}
		if next.node.err != nil {
			return h, h, next.node.err
		}
		ends = next
	}
	return h, ends, nil
}

// printer lays words out in brackets.
type printer struct {
	words []string
	full  layout // the array's shape
	shown layout // the shape of the elements in words
	next  int    // the next word
}

// array formats the axes from the given one on. indent is what a new line begins
// with, width the columns that are left for what follows.
func (p *printer) array(axis int, indent string, width int) string {
	if axis == p.shown.Rank {
		p.next++
		return p.words[p.next-1]
	}
	n := p.shown.Shape[axis]
	elided := n < p.full.Shape[axis]
	var text, line strings.Builder
	last := axis == p.shown.Rank-1
	line.WriteString(indent)
	add := func(word string, end bool) {
		switch {
		case !last:
			text.WriteString(indent + word)
			if !end {
				text.WriteString(strings.Repeat("\n", p.shown.Rank-1-axis))
			}
			return
		case line.Len() > len(indent) && utf8.RuneCountInString(line.String()+word) > width-1:
			text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
			line.Reset()
			line.WriteString(indent)
		}
		line.WriteString(word)
		if !end {
			line.WriteByte(' ')
		}
	}
	for i := range n {
		if elided && i == printEdge {
			add("...", false)
		}
		add(p.array(axis+1, indent+" ", width-1), i == n-1)
	}
	if last {
		text.WriteString(line.String())
	}
	if n == 0 {
		return "[]"
	}
	return "[" + text.String()[len(indent):] + "]"
}

// words formats values of one type to one width.
func words(values []scalar, digits int) []string {
	list := make([]string, len(values))
	if len(values) == 0 {
		return list
	}
	if t := values[0].typ; t.IsFloat() {
		floatWords(list, values, digits)
		return list
	}
	width := 0
	for i, v := range values {
		list[i] = v.integerWord()
		width = max(width, len(list[i]))
	}
	for i, w := range list {
		list[i] = strings.Repeat(" ", width-len(w)) + w
	}
	return list
}

// integerWord formats an integer or bool.
func (s scalar) integerWord() string {
	switch {
	case s.typ == kernels.Bool:
		return strconv.FormatBool(s.bits != 0)
	case s.typ.IsSigned():
		return strconv.FormatInt(s.int(), 10)
	}
	return strconv.FormatUint(s.bits, 10)
}

// floatWords formats floating-point numbers with their points aligned: with the
// fewest digits that tell each from its neighbours in its type, at most
// printDigits after the point; in scientific notation where magnitudes differ much.
func floatWords(list []string, values []scalar, digits int) {
	format := byte('f')
	if digits < 0 && scientific(values) {
		format = 'e'
	}
	left, right := 0, 0
	cut := func(w string) (point, end int) { // columns before and after the point
		end = len(w)
		if e := strings.IndexByte(w, 'e'); e >= 0 {
			end = e
		}
		if point = strings.IndexByte(w[:end], '.'); point < 0 {
			return end, end
		}
		return point, end
	}
	for i, v := range values {
		list[i] = floatWord(v, format, digits)
		if x := v.float(); math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		point, end := cut(list[i])
		left, right = max(left, point), max(right, end-point)
	}
	width := left + right
	for i, v := range values {
		w := list[i]
		if x := v.float(); !math.IsNaN(x) && !math.IsInf(x, 0) {
			point, end := cut(w)
			pad, fill := right-(end-point), " "
			if format == 'e' {
				fill = "0"
			}
			w = strings.Repeat(" ", left-point) + w[:end] + strings.Repeat(fill, pad) + w[end:]
			list[i] = w
			width = max(width, len(w))
		}
	}
	for i, w := range list {
		width = max(width, len(w))
		list[i] = w
	}
	for i, w := range list {
		list[i] = strings.Repeat(" ", width-len(w)) + w
	}
}

// scientific says whether NumPy would choose scientific notation.
func scientific(values []scalar) bool {
	least, most := math.Inf(1), 0.0
	for _, v := range values {
		if x := math.Abs(v.float()); x > 0 && !math.IsInf(x, 0) {
			least, most = min(least, x), max(most, x)
		}
	}
	return most > 0 && (most >= 1e8 || least < 1e-4 || most/least > 1000)
}

// floatWord formats one number, with a point at least where it is finite.
func floatWord(v scalar, format byte, digits int) string {
	x := v.float()
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	case digits >= 0:
		return strconv.FormatFloat(x, format, digits, 64)
	}
	shortest := shortestText(v, format)
	mantissa, exponent, _ := strings.Cut(shortest, "e")
	if point := strings.IndexByte(mantissa, '.'); point < 0 {
		mantissa += "."
	} else if len(mantissa)-point-1 > printDigits {
		rounded := strconv.FormatFloat(x, format, printDigits, 64)
		mantissa, exponent, _ = strings.Cut(rounded, "e")
		mantissa = strings.TrimRight(mantissa, "0")
	}
	if exponent != "" {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// shortestText is the shortest decimal that reads back as v in v's type.
func shortestText(v scalar, format byte) string {
	x := v.float()
	switch v.typ {
	case kernels.Float64:
		return strconv.FormatFloat(x, format, -1, 64)
	case kernels.Float32:
		return strconv.FormatFloat(x, format, -1, 32)
	}
	for n := 0; ; n++ { // the 16-bit types: at most five significant digits
		text := strconv.FormatFloat(x, 'e', n, 64)
		back, err := strconv.ParseFloat(text, 64)
		if err == nil && number(v.typ, back) == v || n == 8 {
			if format == 'e' {
				return text
			}
			return strconv.FormatFloat(back, 'f', -1, 64)
		}
	}
}
