package format

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendJSON appends rec as one line:
//
//	{"topic":"t","partition":0,"offset":7,"timestamp":"2026-01-31T23:59:59.123Z","key":"k",
//	 "headers":[{"key":"h","value":"v"}],"value":"..."}
//
// The order of the fields is fixed. key is left out when the record has none, headers when there are none; value is
// null in a tombstone, and the value of a header may be null. Bytes that are not UTF-8 are not altered: the field is
// then keyBase64 or valueBase64 and holds them in standard base64. timestamp is null outside the years 0 to 9999.
func (w *Writer) appendJSON(b []byte, rec *Record) []byte {
	b = append(b, `{"topic":`...)
	b = appendString(b, rec.Topic)
	b = append(b, `,"partition":`...)
	b = strconv.AppendInt(b, int64(rec.Partition), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, rec.Offset, 10)
	b = append(b, `,"timestamp":`...)
	b = w.stamp.append(b, rec.Time)
	if rec.Key != nil {
		b = append(b, ',')
		b = appendBytes(b, "key", rec.Key)
	}
	if len(rec.Headers) > 0 {
		b = appendHeaders(append(b, `,"headers":[`...), rec.Headers)
		b = append(b, ']')
	}
	b = append(b, ',')
	b = appendBytes(b, "value", rec.Value)
	return append(b, '}', '\n')
}

func appendHeaders(b []byte, headers []Header) []byte {
	for i := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		key := headers[i].Key
		if key == nil {
			key = []byte{}
		}
		b = appendBytes(b, "key", key)
		b = append(b, ',')
		b = appendBytes(b, "value", headers[i].Value)
		b = append(b, '}')
	}
	return b
}

// appendBytes appends a field, its name and its value, with the value as text where it is text.
func appendBytes(b []byte, name string, value []byte) []byte {
	b = append(append(b, '"'), name...)
	switch {
	case value == nil:
		return append(b, `":null`...)
	case utf8.Valid(value):
		return appendString(append(b, `":`...), value)
	default:
		b = append(b, `Base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, value)
		return append(b, '"')
	}
}

// plain says which bytes of valid UTF-8 stand for themselves in a JSON string (RFC 8259, section 7).
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

const hexDigits = "0123456789abcdef"

// appendString appends s, which is valid UTF-8, as a JSON string.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain[c] {
			continue
		}
		b = append(b, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}

// stamp formats times, mostly of the same second.
type stamp struct {
	second int64
	text   []byte // of the second, with the opening quote and the point; empty when none is cached
}

// append appends t in UTC with milliseconds as a JSON string, or null when RFC 3339 has no form for it.
func (s *stamp) append(b []byte, t time.Time) []byte {
	second := t.Unix()
	if len(s.text) == 0 || second != s.second {
		t = t.UTC()
		if year := t.Year(); year < 0 || year > 9999 {
			return append(b, "null"...)
		}
		s.second = second
		s.text = t.AppendFormat(s.text[:0], `"2006-01-02T15:04:05.`)
	}
	milli := t.Nanosecond() / int(time.Millisecond)
	b = append(b, s.text...)
	return append(b, byte('0'+milli/100), byte('0'+milli/10%10), byte('0'+milli%10), 'Z', '"')
}
