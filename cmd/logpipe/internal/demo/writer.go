package demo

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/logpipe/logpipe/internal/lines"
)

// keptRotations is how many rotated files stay, as a kubelet keeps them: the newest plain, the others compressed.
const keptRotations = 50

// writer is one server that logs: it writes numbered lines to app.log and rotates it by rename, compressing the file
// before.
type writer struct {
	name    string
	dir     string
	lines   uint64
	rotate  uint64 // lines per file
	limit   *rate.Limiter
	written atomic.Uint64
	bytes   atomic.Int64

	rotations, compressed atomic.Int64
	rotated               []string
}

func (w *writer) live() string { return filepath.Join(w.dir, "app.log") }

// run writes all lines and returns.
func (w *writer) run(ctx context.Context) error {
	source := lines.NewSource(w.name, uint64(len(w.name))+uint64(w.name[len(w.name)-1]))
	for source.Count() < w.lines {
		if err := w.writeFile(ctx, source); err != nil {
			return fmt.Errorf("write logs of %s: %w", w.name, err)
		}
		if source.Count() < w.lines {
			if err := w.rotateFile(); err != nil {
				return fmt.Errorf("rotate logs of %s: %w", w.name, err)
			}
		}
	}
	return nil
}

// writeFile fills one file. Lines are flushed in small groups, as a busy server's logger does.
func (w *writer) writeFile(ctx context.Context, source *lines.Source) error {
	f, err := os.OpenFile(w.live(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 64<<10)
	const group = 50
	for end := min(source.Count()+w.rotate, w.lines); source.Count() < end; {
		n := min(group, end-source.Count())
		if err := w.limit.WaitN(ctx, int(n)); err != nil {
			return err
		}
		now := time.Now()
		for range n {
			line, err := out.Write(source.Next(now))
			if err != nil {
				return err
			}
			w.bytes.Add(int64(line))
		}
		if err := out.Flush(); err != nil {
			return err
		}
		w.written.Store(source.Count())
	}
	return nil
}

// rotateFile renames the live file and compresses the one that was renamed before it.
func (w *writer) rotateFile() error {
	name := fmt.Sprintf("%s.%s-%03d", w.live(), time.Now().Format("20060102-150405"), w.rotations.Load())
	if err := os.Rename(w.live(), name); err != nil {
		return err
	}
	w.rotations.Add(1)
	w.rotated = append(w.rotated, name)
	if n := len(w.rotated); n >= 2 {
		if err := compress(w.rotated[n-2]); err != nil {
			return err
		}
		w.compressed.Add(1)
	}
	if n := len(w.rotated); n > keptRotations {
		return os.Remove(w.rotated[n-keptRotations-1] + ".gz")
	}
	return nil
}

// compress replaces name by name.gz the way the kubelet does: through a temporary file and a rename.
func compress(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(name + ".tmp")
	if err != nil {
		return err
	}
	defer out.Close()
	zip := gzip.NewWriter(out)
	if _, err := io.Copy(zip, in); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name+".gz"); err != nil {
		return err
	}
	return os.Remove(name)
}
