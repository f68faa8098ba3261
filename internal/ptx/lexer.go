package ptx

// maxRegs bounds an entry's registers.
const maxRegs = 1 << 20

// isIdentifier says whether s is a name that PTX allows.
func isIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isNameByte(s[i]) && !(i == 0 && s[i] == '%') {
			return false
		}
	}
	return s != "" && !isDigit(s[0]) && !(len(s) == 1 && !isLetter(s[0]))
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isNameByte says whether c may follow in a name.
func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '$' }
