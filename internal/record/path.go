package record

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep a record may nest. The parser's stack grows with it: half a megabyte of "[" would take 64 MiB.
const maxDepth = 1000

// Path leads to a field of a JSON record.
type Path struct {
	nested, flat string
}

// ParsePath parses names separated by dots, such as "user.id".
func ParsePath(dotted string) (Path, error) {
	names := strings.Split(dotted, ".")
	for i, name := range names {
		if name == "" {
			return Path{}, fmt.Errorf("path %q has an empty name", dotted)
		}
		names[i] = gjson.Escape(name)
	}
	return Path{nested: strings.Join(names, "."), flat: gjson.Escape(dotted)}, nil
}

// Lookup returns the field of the JSON object value that p leads to: the text of a string, or a number, true or false
// as it is written. A field {"user.id": 7} is found as well as {"user": {"id": 7}}. It is false if value is not a JSON
// object, nests deeper than 1000 levels or has no such field, or if that is null, an object or an array: a key made of
// those would not be stable.
func (p Path) Lookup(value []byte) (string, bool) {
	if tooDeep(value) || !gjson.ValidBytes(value) {
		return "", false
	}
	object := gjson.ParseBytes(value)
	if !object.IsObject() {
		return "", false
	}
	field := object.Get(p.nested)
	if !field.Exists() && p.flat != p.nested {
		field = object.Get(p.flat)
	}
	switch field.Type {
	case gjson.String:
		return field.Str, true
	case gjson.Number, gjson.True, gjson.False:
		return field.Raw, true
	default:
		return "", false
	}
}

// tooDeep says whether value nests deeper than maxDepth. Few records have so many brackets that they need the long
// look.
func tooDeep(value []byte) bool {
	if bytes.Count(value, []byte{'['})+bytes.Count(value, []byte{'{'}) <= maxDepth {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(value) && depth <= maxDepth; i++ {
		switch c := value[i]; {
		case c == '\\' && inString:
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
	}
	return depth > maxDepth
}
