package manifest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// maxShown is how much of a value messages show.
const maxShown = 120

// valueAt returns what is at a path such as spec.inputs[0].files, or nil.
func valueAt(value any, path string) any {
	for path != "" {
		switch v := value.(type) {
		case map[string]any:
			value, path = child(v, path)
		case []any:
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil
			}
			index, err := strconv.Atoi(strings.TrimPrefix(path[:end], "["))
			if err != nil || index < 0 || index >= len(v) {
				return nil
			}
			value, path = v[index], path[end+1:]
		default:
			return nil
		}
	}
	return value
}

// child goes to the entry that path begins with. Names may contain dots, so that the longest one counts.
func child(object map[string]any, path string) (value any, rest string) {
	path = strings.TrimPrefix(path, ".")
	best := -1
	for name, entry := range object {
		for _, form := range []string{name, "[" + name + "]"} {
			tail, ok := strings.CutPrefix(path, form)
			if ok && form != "" && len(form) > best && (tail == "" || tail[0] == '.' || tail[0] == '[') {
				best, value, rest = len(form), entry, tail
			}
		}
	}
	return value, rest
}

// render writes a value for a message.
func render(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	text := string(data)
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return text
}
