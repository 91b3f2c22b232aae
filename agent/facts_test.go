package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFacts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nodes.json")
	f := &facts{file: file}
	began := time.Unix(1_000_000, 0)
	written := began
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		written = written.Add(time.Second) // an own time, however fast the test is
		if err := os.Chtimes(file, written, written); err != nil {
			t.Fatal(err)
		}
	}

	if err := f.reload(); err != nil {
		t.Errorf("a file that is not there yet: %v", err)
	}
	if f.settled("n1", began) || f.settled("n1", began.Add(factsPatience-1)) {
		t.Error("what is not known is not waited for")
	}
	if !f.settled("n1", began.Add(factsPatience)) {
		t.Error("what is not known is waited for without end")
	}
	write(`{"n1":{"zone":"a"}}`)
	if err := f.reload(); err != nil || f.labels["n1"]["zone"] != "a" || !f.settled("n1", began) {
		t.Errorf("labels %v, error %v", f.labels, err)
	}
	write(`{"n1":`)
	if err := f.reload(); err == nil || !strings.Contains(err.Error(), file) || f.labels["n1"]["zone"] != "a" {
		t.Errorf("a damaged file: labels %v, error %v", f.labels, err)
	}
	write(`{"n1":{"zone":"b"}}`)
	if err := f.reload(); err != nil || f.labels["n1"]["zone"] != "b" {
		t.Errorf("a changed file: labels %v, error %v", f.labels, err)
	}
	if none := (&facts{}); none.reload() != nil || !none.settled("n1", began) {
		t.Error("an agent without facts waits")
	}
}
