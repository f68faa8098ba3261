package driver

import (
	"bytes"
	"strconv"
	"strings"
)

// Drivers before CUDA 12.4 do not tell a kernel's parameters, and read as many
// arguments as it has, whatever a launch gives them. For those the parameters are
// taken from the PTX text: from the heads of its entries alone, which is all that
// has to be understood here.

// ptxParams returns the sizes in bytes of the parameters of each entry; nil for
// an image that is no text. An entry whose head it does not understand is left
// out.
func ptxParams(image []byte) map[string][]int {
	if !bytes.Contains(image, []byte(".entry")) || bytes.HasPrefix(image, []byte("\x7fELF")) {
		return nil
	}
	entries := map[string][]int{}
	text := withoutComments(string(image))
	for {
		_, rest, found := strings.Cut(text, ".entry")
		if !found {
			return entries
		}
		text = rest
		head := rest
		if end := strings.IndexByte(head, '{'); end >= 0 {
			head = head[:end]
		}
		name, list, hasList := strings.Cut(head, "(")
		if !hasList {
			name, list = head, ")"
		}
		list, _, closed := strings.Cut(list, ")")
		fields := strings.Fields(name)
		if len(fields) == 0 || !closed {
			continue
		}
		if sizes, ok := paramSizes(list); ok {
			entries[fields[0]] = sizes
		}
	}
}

// paramSizes reads a list such as ".param .u64 p, .param .align 64 .b8 map[128]".
func paramSizes(list string) (sizes []int, ok bool) {
	if strings.TrimSpace(list) == "" {
		return nil, true
	}
	for _, param := range strings.Split(list, ",") {
		size := 0
		for _, word := range strings.Fields(param) {
			if n := ptxTypeBytes(word); n > 0 {
				size = n
				break
			}
		}
		if _, dim, isArray := strings.Cut(param, "["); isArray {
			dim, _, _ = strings.Cut(dim, "]")
			n, err := strconv.Atoi(strings.TrimSpace(dim))
			if err != nil {
				return nil, false
			}
			size *= n
		}
		if size <= 0 {
			return nil, false
		}
		sizes = append(sizes, size)
	}
	return sizes, true
}

// ptxTypeBytes returns the size of a type such as ".f32", and 0 for other words.
func ptxTypeBytes(word string) int {
	if len(word) < 3 || word[0] != '.' || !strings.ContainsRune("bsuf", rune(word[1])) {
		return 0
	}
	switch word[2:] {
	case "8":
		return 1
	case "16":
		return 2
	case "32":
		return 4
	case "64":
		return 8
	}
	return 0
}

// withoutComments replaces each comment by a space.
func withoutComments(text string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '/')
		if i < 0 || i+1 == len(text) {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		end := ""
		switch text[i+1] {
		case '/':
			end = "\n"
		case '*':
			end = "*/"
		default:
			b.WriteByte('/')
			text = text[i+1:]
			continue
		}
		b.WriteByte(' ')
		_, text, _ = strings.Cut(text[i+2:], end)
	}
}
