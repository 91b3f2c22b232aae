package agent

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/conf"
)

// TestIgnoreOlderIsOfItsInput has old files in three inputs: those of the one that ignores them are left out, unless
// another input wants them too.
func TestIgnoreOlderIsOfItsInput(t *testing.T) {
	b := newBench(t)
	hour := conf.Duration(time.Hour)
	b.cfg.Inputs = []Input{
		{Files: &FilesInput{Include: []string{b.path("a*.log")}, IgnoreOlder: hour}},
		{Files: &FilesInput{Include: []string{b.path("b.log")}, IgnoreOlder: 100 * hour}},
		{Files: &FilesInput{Include: []string{b.path("c.log"), b.path("ac.log")}}},
	}
	for _, name := range []string{"a.log", "b.log", "c.log", "ac.log"} {
		b.write(name, name+"\n")
		old := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(b.path(name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.write("a2.log", "a2.log\n")
	b.run()
	seen := map[string]bool{}
	for _, value := range values(b.read(4)) {
		seen[value] = true
	}
	if diff := cmp.Diff(map[string]bool{"b.log": true, "c.log": true, "ac.log": true, "a2.log": true}, seen); diff != "" {
		t.Errorf("files that were read (-want +got):\n%s", diff)
	}
}
