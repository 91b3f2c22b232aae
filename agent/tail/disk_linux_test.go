package tail

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGlobTellsWhatIsUnread limits the open files so that no directory can be read: that is not an empty one.
func TestGlobTellsWhatIsUnread(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/app.log", "b/app.log", "file"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		pattern string
		want    []string
		// unread are told while no file can be opened.
		unread []string
	}{
		"a name":            {"a/app.log", []string{"a/app.log"}, nil},
		"a directory":       {"a/*.log", []string{"a/app.log"}, []string{"a"}},
		"some directories":  {"*/app.log", []string{"a/app.log", "b/app.log"}, []string{"."}},
		"any depth":         {"**/*.log", []string{"a/app.log", "b/app.log"}, []string{"."}},
		"one of two":        {"{a,b}/app.*", []string{"a/app.log", "b/app.log"}, []string{"a", "b"}},
		"not there":         {"c/*.log", nil, []string{"c"}},
		"below a file":      {"file/*.log", nil, []string{"file"}},
		"a name below each": {"*/nothing", nil, []string{"."}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			glob := func() (names, unread []string) {
				paths, problems := machine{}.Glob(filepath.Join(dir, test.pattern))
				for _, path := range paths {
					names = append(names, relative(t, dir, path))
				}
				for _, p := range problems {
					if !passing(p.Err) {
						t.Errorf("%s: %v", p.Path, p.Err)
					}
					unread = append(unread, relative(t, dir, p.Path))
				}
				return names, unread
			}
			if names, unread := glob(); !slices.Equal(names, test.want) || unread != nil {
				t.Errorf("found %q, unread %q, want %q", names, unread, test.want)
			}
			defer noMoreFiles(t)()
			if _, unread := glob(); !slices.Equal(slices.Compact(unread), test.unread) {
				t.Errorf("unread %q while no file can be opened, want %q", unread, test.unread)
			}
		})
	}
}

func relative(t *testing.T, dir, path string) string {
	t.Helper()
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

// noMoreFiles lets this process open none until it may again.
func noMoreFiles(t *testing.T) (again func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
}
