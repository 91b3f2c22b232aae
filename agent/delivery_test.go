package agent

import (
	"os"
	"testing"

	"github.com/logpipe/logpipe/agent/journal"
)

// TestNewFilesAreNotedBeforeTheirLinesAreSent looks into the journal of an agent that delivers at least once when Kafka
// has the first line of a file: if that was rotated now, it would not be looked for unless it is known.
func TestNewFilesAreNotedBeforeTheirLinesAreSent(t *testing.T) {
	b := newBench(t)
	b.cfg.Delivery = AtLeastOnce
	b.cfg.Inputs = []Input{{Files: &FilesInput{Include: []string{b.path("*.log")}}}}
	b.write("app.log", "one\n")
	b.run()
	b.read(1)
	b.write("other.log", "two\n")
	b.read(2)
	data, err := os.ReadFile(b.path("state/journal"))
	dir := t.TempDir()
	if err == nil {
		err = os.WriteFile(dir+"/journal", data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if n := len(j.State().Files); n != 2 {
		t.Errorf("the journal knows %d files, not 2", n)
	}
}
