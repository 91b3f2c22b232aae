package record

import (
	"unicode/utf8"
)

// Field is one fact told of a record, as a header or in its envelope.
type Field struct {
	Name  string
	Value []byte
}

// AppendEnvelope appends to dst a JSON object with fields in their order and message last, under FieldMessage. Every
// value is a string. The result is valid JSON whatever the bytes: each byte that is not UTF-8 becomes U+FFFD, so a
// message that is not text is not kept byte for byte; headers keep it. Names are neither checked against each other nor
// against FieldMessage.
func AppendEnvelope(dst []byte, fields []Field, message []byte) []byte {
	dst = append(dst, '{')
	for i := range fields {
		dst = appendText(dst, fields[i].Name)
		dst = append(dst, ':')
		dst = appendText(dst, fields[i].Value)
		dst = append(dst, ',')
	}
	dst = append(dst, `"`+FieldMessage+`":`...)
	dst = appendText(dst, message)
	return append(dst, '}')
}

// plain holds the bytes that stand for themselves in a JSON string. Those of multi-byte characters are looked at apart.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendText appends text as a JSON string. It copies runs of plain bytes, which log lines mostly are.
func appendText[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := decodeRune(text[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, text[start:i]...)
		dst = appendEscaped(dst, c)
		i++
		start = i
	}
	return append(append(dst, text[start:]...), '"')
}

// decodeRune decodes the first character of text; the conversion of its few bytes stays on the stack.
func decodeRune[T string | []byte](text T) (rune, int) {
	return utf8.DecodeRuneInString(string(text[:min(len(text), utf8.UTFMax)]))
}

// appendEscaped appends a byte that cannot stand for itself.
func appendEscaped(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\t':
		return append(dst, `\t`...)
	case c >= utf8.RuneSelf:
		return append(dst, `\ufffd`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
}
