package manifest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestBadFiles compares what is said of each bad file with the golden file beside it.
func TestBadFiles(t *testing.T) {
	t.Chdir("testdata/bad")
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			_, problems, err := Load(t.Context(), []string{file}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(problems) == 0 {
				t.Fatal("nothing was found to be wrong")
			}
			var got bytes.Buffer
			for _, problem := range problems {
				got.WriteString(problem.String() + "\n")
			}
			compare(t, strings.TrimSuffix(file, ".yaml")+".txt", got.Bytes())
		})
	}
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

// TestSamples holds the samples to the same rules as everything else.
func TestSamples(t *testing.T) {
	set, problems, err := Load(t.Context(), []string{"../../../../config/samples"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
	if len(set.Sources) < 4 || len(set.Sources) != len(set.Sinks) || len(set.Topics) != len(set.Sources) {
		t.Errorf("%d LogSources, %d Topics, %d HDFSSinks in the samples",
			len(set.Sources), len(set.Topics), len(set.Sinks))
	}
}
