package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadSeveralFiles(t *testing.T) {
	parts := strings.Split(minimal, "---\n")
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	single := write("source.yaml", parts[1])
	write("more/topic.yml", parts[0])
	write("more/notes.txt", "not: [yaml")
	paths := []string{single, filepath.Join(dir, "more"), Stdin}
	set, problems, err := Load(t.Context(), paths, strings.NewReader(parts[2]))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if len(set.Sources) != 1 || len(set.Topics) != 1 || len(set.Sinks) != 1 {
		t.Errorf("got %d LogSources, %d Topics, %d HDFSSinks", len(set.Sources), len(set.Topics), len(set.Sinks))
	}
}

func TestLoadWhatCannotBeRead(t *testing.T) {
	empty := t.TempDir()
	tests := map[string]struct {
		path, stdin string
		wantErr     string
		wantIs      error
	}{
		"a file that is not there":         {path: filepath.Join(empty, "x"), wantIs: fs.ErrNotExist, wantErr: "find file"},
		"a directory without files":        {path: empty, wantErr: "no .yaml, .yml or .json file"},
		"an empty file":                    {path: Stdin, wantErr: "there are none"},
		"a file with nothing but comments": {path: Stdin, stdin: "# a\n---\n# b\n", wantErr: "there are none"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(t.Context(), []string{tc.path}, strings.NewReader(tc.stdin))
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) || tc.wantIs != nil && !errors.Is(err, tc.wantIs) {
				t.Errorf("error %v, want %q", err, tc.wantErr)
			}
		})
	}
}

func TestLineOf(t *testing.T) {
	documents, problems := parse("f", []byte(`# a comment
---
kind: A
spec:
  list:
    - a: 1
      b: 2
    - {c: 3}
  config:
    retention.ms: x
    retention: y
  more: &anchor
    deep: 1
  again: *anchor
`))
	if len(problems) > 0 || len(documents) != 1 {
		t.Fatal(problems, documents)
	}
	tests := map[string]struct {
		field string
		want  int
	}{
		"the whole object":                   {"", 3},
		"a field":                            {"spec", 4},
		"an element of a list":               {"spec.list[1]", 8},
		"a field of an element":              {"spec.list[0].b", 7},
		"a missing field, told where it was": {"spec.list[0].z.y", 6},
		"an element that is not there":       {"spec.list[7]", 5},
		"a name with a dot":                  {"spec.config.retention.ms", 10},
		"a name with a dot, in brackets":     {"spec.config[retention.ms]", 10},
		"a name that begins another":         {"spec.config.retention", 11},
		"a field behind an alias":            {"spec.again.deep", 13},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := documents[0].lineOf(tc.field); got != tc.want {
				t.Errorf("line %d, want %d", got, tc.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	names := []string{"maxBytes", "maxRecords", "interval", "url"}
	tests := map[string]struct{ name, want string }{
		"a letter is missing":     {"maxByte", "maxBytes"},
		"letters are swapped":     {"intreval", "interval"},
		"other case":              {"MAXRECORDS", "maxRecords"},
		"nothing like it":         {"compression", ""},
		"short names stay strict": {"uri", "url"},
		"a short other name":      {"abc", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := nearest(tc.name, names); got != tc.want {
				t.Errorf("nearest to %q is %q, want %q", tc.name, got, tc.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	tests := map[string]struct {
		a, b string
		want int
	}{
		"equal": {"abc", "abc", 0}, "empty": {"", "abc", 3}, "replaced": {"abc", "axc", 1},
		"swapped": {"abcd", "acbd", 1}, "inserted": {"abc", "abxc", 1}, "deleted twice": {"abcd", "ad", 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, distance(tc.a, tc.b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzParse looks for input that makes parsing or placing a problem panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal), "spec.inputs[0].files")
	f.Add([]byte("a: &a {b: *a}\n---\n- x\n"), "a.b.b[3]")
	f.Fuzz(func(_ *testing.T, data []byte, field string) {
		documents, _ := parse("f", data)
		for _, d := range documents {
			d.lineOf(field)
			valueAt(d.object, field)
			_ = d.problem(field, "x").String()
		}
	})
}
