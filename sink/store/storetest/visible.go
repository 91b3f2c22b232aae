package storetest

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/logpipe/logpipe/sink/store"
)

// Visible lists the files that readers see, in the order of their paths. Names with an underscore in front are no data.
func Visible(t *testing.T, files store.Store) (names []string) {
	t.Helper()
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := files.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			switch name := path.Join(dir, entry.Name()); {
			case strings.HasPrefix(entry.Name(), "_"):
			case entry.IsDir():
				walk(name)
			default:
				names = append(names, name)
			}
		}
	}
	walk(".")
	slices.Sort(names)
	return names
}
