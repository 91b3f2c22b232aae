package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something that is wrong, where, and what to do about it.
type Problem struct {
	File string
	Line int
	// Object is the kind and name; empty where there is none yet.
	Object string
	// Field of the object; empty if it is about the whole.
	Field string
	// Message names the value where there is one, and the remedy.
	Message string
}

// String is one line: FILE:LINE: Kind/name: field: message.
func (p Problem) String() string {
	parts := []string{fmt.Sprintf("%s:%d", p.File, p.Line)}
	for _, part := range []string{p.Object, p.Field, p.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// order sorts by place. Files stay as they were given.
func order(problems []Problem, files map[string]int) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(files[a.File], files[b.File]),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(problems)
}
