package peers

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/lines"
)

// tick is how often a writer appends.
const tick = 5 * time.Millisecond

// writer is a program with a log.
type writer struct {
	path    string
	file    *os.File
	source  *lines.Source
	written atomic.Int64
	// limit is how many lines may be written yet: the writer waits there.
	limit atomic.Int64
	names int
}

func newWriter(path string, limit int64) (*writer, error) {
	w := &writer{path: path, source: lines.NewSource(writerName, 1)}
	w.limit.Store(limit)
	return w, w.open()
}

func (w *writer) open() (err error) {
	w.file, err = os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

// until writes lines, at most rate in a second, until there are so many. Each write ends with a line.
func (w *writer) until(total int64) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	atOnce := int64(*rate) * int64(tick) / int64(time.Second)
	var text []byte
	for written := w.written.Load(); written < total; <-ticker.C {
		n := min(max(atOnce, 1), total-written, max(w.limit.Load()-written, 0))
		text = text[:0]
		for range n {
			text = append(text, w.source.Next(time.Now())...)
		}
		if _, err := w.file.Write(text); err != nil {
			return err
		}
		written = w.written.Add(n)
	}
	return nil
}

// rotate shifts the names of the old logs as logrotate does, writes more lines to the log that was renamed, and
// begins a new one.
func (w *writer) rotate() error {
	for i := w.names; i > 0; i-- {
		if err := os.Rename(w.rotated(i), w.rotated(i+1)); err != nil {
			return err
		}
	}
	w.names++
	if err := os.Rename(w.path, w.rotated(1)); err != nil {
		return err
	}
	err := w.until(w.written.Load() + late)
	return errors.Join(err, w.file.Close(), w.open())
}

func (w *writer) rotated(i int) string { return fmt.Sprintf("%s.%d", w.path, i) }

func TestRotateKeepsAllLines(t *testing.T) {
	w, err := newWriter(t.TempDir()+"/app.log", 5*late)
	for range 2 {
		err = errors.Join(err, w.until(w.written.Load()+late), w.rotate())
	}
	if err = errors.Join(err, w.until(5*late), w.file.Close()); err != nil {
		t.Fatal(err)
	}
	checker := lines.NewChecker()
	for _, name := range []string{w.rotated(2), w.rotated(1), w.path} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(checker.AddAll(file), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if v := checker.Verdict(map[string]uint64{writerName: 5 * late}); !v.Perfect() {
		t.Error(v)
	}
}
