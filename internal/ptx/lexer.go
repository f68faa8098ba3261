package ptx

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Error is a fault in PTX text.
type Error struct {
	Pos Pos
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("ptx: %v: %s", e.Pos, e.Msg) }

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokWord             // a name, a directive (".reg") or a mnemonic with its modifiers
	tokNumber           // an integer or floating-point literal, as written
	tokString
	tokPunct // one character, or "<<" or ">>"
)

type token struct {
	kind tokenKind
	text string
	pos  Pos
}

// String describes the token for an error message.
func (t token) String() string {
	switch {
	case t.kind == tokEOF:
		return "end of file"
	case t.kind == tokString:
		return "a string"
	case len(t.text) > 40:
		return fmt.Sprintf("%q…", t.text[:40])
	}
	return fmt.Sprintf("%q", t.text)
}

// lexer splits PTX text into tokens.
type lexer struct {
	src       string
	off       int
	line      int
	lineStart int // offset of the line's first byte
}

func (l *lexer) pos() Pos { return Pos{l.line, l.off - l.lineStart + 1} }

// fail stops the parse; Parse recovers the error.
func fail(pos Pos, format string, args ...any) {
	panic(&Error{pos, fmt.Sprintf(format, args...)})
}

// peek returns the byte i after the current one, 0 after the end.
func (l *lexer) peek(i int) byte {
	if l.off+i < len(l.src) {
		return l.src[l.off+i]
	}
	return 0
}

// skipSpace passes white space and comments.
func (l *lexer) skipSpace() {
	for l.off < len(l.src) {
		switch c := l.src[l.off]; {
		case c == '\n':
			l.off++
			l.line, l.lineStart = l.line+1, l.off
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			l.off++
		case c == '/' && l.peek(1) == '/':
			if i := strings.IndexByte(l.src[l.off:], '\n'); i >= 0 {
				l.off += i
			} else {
				l.off = len(l.src)
			}
		case c == '/' && l.peek(1) == '*':
			l.blockComment()
		default:
			return
		}
	}
}

func (l *lexer) blockComment() {
	end := strings.Index(l.src[l.off+2:], "*/")
	if end < 0 {
		fail(l.pos(), "comment without an end")
	}
	end += l.off + 4
	for ; l.off < end; l.off++ {
		if l.src[l.off] == '\n' {
			l.line, l.lineStart = l.line+1, l.off+1
		}
	}
}

func (l *lexer) next() token {
	l.skipSpace()
	t := token{pos: l.pos()}
	if l.off == len(l.src) {
		return t
	}
	start := l.off
	switch c := l.src[l.off]; {
	case isDigit(c) || c == '.' && isDigit(l.peek(1)):
		t.kind = tokNumber
		l.number()
	case isNameByte(c) || c == '%' && isNameByte(l.peek(1)) || c == '.':
		t.kind = tokWord
		l.word()
	case c == '"':
		t.kind = tokString
		l.quoted(t.pos)
	default:
		t.kind = tokPunct
		l.off++
		if (c == '<' || c == '>') && l.peek(0) == c {
			l.off++
		}
	}
	t.text = l.src[start:l.off]
	return t
}

// word passes a name with what follows after dots and double colons, or a
// directive, which ends at the next dot: ".reg.f32" is two.
func (l *lexer) word() {
	directive := l.src[l.off] == '.'
	for l.off++; l.off < len(l.src); {
		switch {
		case isNameByte(l.src[l.off]) || l.src[l.off] == '.' && !directive:
			l.off++
		case l.src[l.off] == ':' && l.peek(1) == ':' && isNameByte(l.peek(2)):
			l.off += 3
		default:
			return
		}
	}
}

// number passes a literal: letters and digits, and the sign of an exponent.
func (l *lexer) number() {
	hex := l.peek(0) == '0' && l.off+1 < len(l.src) && strings.IndexByte("xXfFdD", l.peek(1)) >= 0
	for l.off < len(l.src) {
		c := l.src[l.off]
		l.off++
		if !hex && c|0x20 == 'e' && (l.peek(0) == '+' || l.peek(0) == '-') {
			l.off++
		} else if c != '.' && !isNameByte(c) {
			l.off--
			return
		}
	}
}

func (l *lexer) quoted(pos Pos) {
	for l.off++; l.off < len(l.src) && l.src[l.off] != '\n'; l.off++ {
		if l.src[l.off] == '"' {
			l.off++
			return
		}
	}
	fail(pos, "string without an end")
}

// literal reads a number token: an IntOperand or a FloatOperand.
func literal(t token) Operand {
	s := t.text
	o := Operand{Kind: IntOperand, Pos: t.pos}
	if len(s) > 2 && s[0] == '0' && (s[1]|0x20 == 'f' || s[1]|0x20 == 'd') {
		return hexFloat(t)
	}
	if v, err := strconv.ParseUint(integerText(s), 0, 64); err == nil {
		o.Imm = v
		return o
	}
	if !strings.ContainsAny(s, ".eE") || strings.ContainsAny(s, "xX_pP") {
		fail(t.pos, "%s is no 64-bit integer constant", t)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(v, 0) {
		fail(t.pos, "%s is no number", t)
	}
	return Operand{Kind: FloatOperand, Type: F64, Imm: math.Float64bits(v), Pos: t.pos}
}

// integerText turns a PTX integer literal into Go's form: no suffix U, and no
// underscores, which PTX does not know.
func integerText(s string) string {
	if strings.Contains(s, "_") || strings.HasPrefix(s, "0o") || strings.HasPrefix(s, "0O") {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(s, "U"), "u")
}

// hexFloat reads 0f and eight digits, or 0d and sixteen.
func hexFloat(t token) Operand {
	typ, bits := F32, 32
	if t.text[1]|0x20 == 'd' {
		typ, bits = F64, 64
	}
	v, err := strconv.ParseUint(t.text[2:], 16, bits)
	if err != nil || len(t.text) != 2+bits/4 {
		fail(t.pos, "%s: expected %d hexadecimal digits after %s", t, bits/4, t.text[:2])
	}
	if typ == F32 {
		v = widenBits(uint32(v))
	}
	return Operand{Kind: FloatOperand, Type: typ, Imm: v, Pos: t.pos}
}

// isIdentifier says whether s is a name that PTX allows.
func isIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isNameByte(s[i]) && !(i == 0 && s[i] == '%') {
			return false
		}
	}
	return s != "" && !isDigit(s[0]) && (len(s) > 1 || isLetter(s[0]))
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isNameByte says whether c may follow in a name.
func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '$' }
