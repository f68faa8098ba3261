package array

import (
	"errors"
	"fmt"
	"math"
	"runtime"
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
func (a *Array[T]) String() string { return a.text(printing(), style{digits: -1}) }

// Format implements fmt.Formatter: %e, %f and %g write each floating-point element,
// %d, %x, %o and %b each integer, as package fmt does, with the width, precision and
// flags given, and all as wide as the widest. Other verbs print what String returns,
// with the precision, as in "%.3v", as the number of digits after the decimal point.
func (a *Array[T]) Format(f fmt.State, verb rune) {
	how := style{digits: -1}
	if p, ok := f.Precision(); ok {
		how.digits = p
	}
	if strings.ContainsRune(verbsOf(typeOf[T]()), verb) {
		how.verb = fmt.FormatString(f, verb)
		how.width, _ = f.Width()
	}
	fmt.Fprint(f, a.text(printing(), how))
}

// style is how elements are formatted.
type style struct {
	digits int    // after the decimal point, -1 for as many as tell elements apart
	verb   string // of package fmt, with its flags, where it formats the elements
	width  int    // that the verb has
}

// verbsOf is the verbs that format elements of type t as package fmt does.
func verbsOf(t kernels.Type) string {
	switch {
	case t.IsFloat():
		return "eEfFgG"
	case t == kernels.Bool:
		return ""
	}
	return "dxXob"
}

// printing is here for what package fmt may have called: the caller is who called
// that.
func printing() call {
	var pcs [16]uintptr
	n := runtime.Callers(3, pcs[:]) // past Callers, printing and the method of Array
	for i := range n {
		f, _ := runtime.CallersFrames(pcs[i : i+1]).Next()
		if !strings.HasPrefix(f.Function, "fmt.") && !strings.HasPrefix(f.Function, "log.") {
			return call{"String", pcs[i]}
		}
	}
	return call{op: "String"}
}

func (a *Array[T]) text(c call, how style) string {
	h, shown, err := c.summary(a.h())
	if err != nil {
		return c.failure(err, h)
	}
	if shown != h {
		defer shown.free(c)
	}
	r, err := c.open(shown, nil)
	if err != nil {
		return c.failure(err, h)
	}
	values := make([]T, r.size())
	if err := r.fetch(bytesOf(values)); err != nil {
		return c.failure(err, h)
	}
	scalars := make([]scalar, len(values))
	for i, v := range values {
		scalars[i] = scalarOf(v)
	}
	return formatted(scalars, &h.node.layout, &shown.node.layout, how)
}

// failure is what is printed of h where an error shows: the call's own errors name
// h, not the parts that are shown.
func (c call) failure(err error, h handle) string {
	var e *Error
	if errors.As(err, &e) && e.pc == c.pc {
		err = c.fail(e.Err, h)
	}
	return err.Error()
}

// formatted prints the values shown of an array.
func formatted(values []scalar, all, shown *layout, how style) string {
	switch {
	case all.Len() == 0:
		return "[]"
	case all.Rank == 0 && values[0].typ.IsFloat() && values[0].finite() && how == style{digits: -1}:
		return single(values[0])
	}
	p := printer{words: words(values, how), full: *all, shown: *shown}
	return p.array(0, " ", printWidth)
}

// single formats the element of an array of rank 0, which is aligned with nothing:
// with all its digits.
func single(v scalar) string {
	if x := math.Abs(v.float()); x >= 1e16 || x < 1e-4 && x > 0 {
		return shortestText(v, 'e')
	}
	text := shortestText(v, 'f')
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// summary returns the array and what of it is shown: the array itself, or a new,
// small one of the ends of its long axes.
func (c call) summary(h handle) (all, shown handle, err error) {
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
		first := c.sliced(ends, index[:axis+1])
		index[axis] = R(-printEdge, End)
		last := c.sliced(ends, index[:axis+1])
		next := c.join([]handle{first, last}, axis, false)
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
	return "[" + text.String()[len(indent):] + "]"
}

// words formats values of one type to one width.
func words(values []scalar, how style) []string {
	list := make([]string, len(values))
	if len(values) == 0 {
		return list
	}
	if t := values[0].typ; t.IsFloat() && how.verb == "" {
		floatWords(list, values, how.digits)
		return list
	}
	for i, v := range values {
		if how.verb != "" {
			list[i] = v.verbWord(how.verb)
		} else {
			list[i] = v.integerWord()
		}
	}
	rightAlign(list, how.width)
	return list
}

// rightAlign widens words to the widest, and to width at least.
func rightAlign(list []string, width int) {
	for _, w := range list {
		width = max(width, len(w))
	}
	for i, w := range list {
		list[i] = strings.Repeat(" ", width-len(w)) + w
	}
}

// verbWord formats a number as package fmt does; NaN and infinities as String does.
func (s scalar) verbWord(verb string) string {
	switch {
	case s.typ.IsFloat() && !s.finite():
		return floatWord(s, 'f', -1)
	case s.typ == kernels.Float64:
		return fmt.Sprintf(verb, s.float())
	case s.typ.IsFloat():
		return fmt.Sprintf(verb, float32(s.float()))
	case s.typ.IsSigned():
		return fmt.Sprintf(verb, s.int())
	}
	return fmt.Sprintf(verb, s.bits)
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
	var wide decimal
	for i, v := range values {
		if list[i] = floatWord(v, format, digits); v.finite() {
			d := cut(list[i])
			wide = decimal{max(wide.point, d.point), max(wide.fraction, d.fraction), max(wide.exponent, d.exponent)}
		}
	}
	for i, v := range values {
		if v.finite() {
			list[i] = align(list[i], wide)
		}
	}
	rightAlign(list, wide.point+wide.fraction+wide.exponent)
}

// decimal is how many columns the parts of a number take: before the point, from
// the point on, and from the e on.
type decimal struct{ point, fraction, exponent int }

func cut(w string) decimal {
	mantissa, _, _ := strings.Cut(w, "e")
	whole, _, _ := strings.Cut(mantissa, ".")
	return decimal{len(whole), len(mantissa) - len(whole), len(w) - len(mantissa)}
}

// align widens the parts of a number: with zeros where an exponent follows, else
// with spaces.
func align(w string, to decimal) string {
	d := cut(w)
	left, end := strings.Repeat(" ", to.point-d.point), d.point+d.fraction
	more := to.fraction - d.fraction
	if d.exponent == 0 {
		return left + w + strings.Repeat(" ", more)
	}
	return left + w[:end] + strings.Repeat("0", more) + w[end:end+2] + strings.Repeat("0", to.exponent-d.exponent) + w[end+2:]
}

// finite says whether a floating-point scalar is neither NaN nor infinite.
func (s scalar) finite() bool { return !math.IsNaN(s.float()) && !math.IsInf(s.float(), 0) }

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
