package tail

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is a directory of logs and a reader of them that behaves as the agent does: it reads files behind their
// predecessors, consumes whole lines, and releases what is final. Nothing happens but by its methods.
type world struct {
	t   *testing.T
	dir string
	cfg Config
	now time.Time
	set *Set

	streams map[*File]bool // false when ended
	nextRef uint32
	// text is what was read, by source.
	text map[string]string
	// ended, forgotten and refused as the scans told, by base name.
	ended     []string
	forgotten []string
	refused   []string
	readSize  int
}

func newWorld(t *testing.T, include ...string) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), now: time.Now(), text: map[string]string{}, nextRef: 1, readSize: 1 << 16,
	}
	for i := range include {
		include[i] = filepath.Join(w.dir, include[i])
	}
	w.cfg = Config{
		Inputs:     []Input{{Include: include}},
		Compressed: true,
		Now:        func() time.Time { return w.now },
		Boot:       "boot-1",
	}
	t.Cleanup(func() {
		if w.set != nil {
			_ = w.set.Close()
		}
	})
	return w
}

// start makes a set that knows the files of the one before. down runs in between, while nobody looks.
func (w *world) start(down ...func()) {
	w.t.Helper()
	known := map[uint32]Known{}
	if w.set != nil {
		for _, f := range w.set.files {
			known[f.ref] = Known{State: f.State(f.Mark()), Source: f.Source()}
		}
		_ = w.set.Close()
	}
	for _, do := range down {
		do()
	}
	set, err := NewSet(w.cfg, known)
	if err != nil {
		w.t.Fatal(err)
	}
	w.set, w.streams = set, map[*File]bool{}
}

// scan scans until nothing is in motion, without reading.
func (w *world) scan() Changes {
	w.t.Helper()
	var all Changes
	for range 4 {
		c, err := w.set.Scan(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		w.take(c)
		all.Found, all.Ready = append(all.Found, c.Found...), append(all.Ready, c.Ready...)
		all.Updated, all.Ended = append(all.Updated, c.Updated...), append(all.Ended, c.Ended...)
		all.Skipped = c.Skipped
		if !c.Unsettled {
			return all
		}
	}
	w.t.Fatal("the scans never settle")
	return all
}

func (w *world) take(c Changes) {
	for _, f := range c.Found {
		if f.Ref() == 0 {
			f.SetRef(w.nextRef)
			w.nextRef++
		}
		w.streams[f] = !f.Finished()
	}
	for _, e := range c.Ended {
		w.ended = append(w.ended, fmt.Sprintf("%s %s %d", w.base(e.File.Source()), e.Reason, e.Unread))
		w.streams[e.File] = false
	}
	for _, f := range c.Forgotten {
		w.forgotten = append(w.forgotten, w.base(f.Path()))
		delete(w.streams, f)
	}
	for _, r := range c.Refused {
		w.refused = append(w.refused, w.base(r.Path)+": "+r.Reason)
	}
}

func (w *world) base(name string) string {
	base, err := filepath.Rel(w.dir, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return base
}

// step scans and reads all there is.
func (w *world) step() {
	w.t.Helper()
	w.scan()
	w.read()
}

// settle lets the time pass after which rotated files are final.
func (w *world) settle() {
	w.t.Helper()
	w.step()
	w.now = w.now.Add(6 * time.Second)
	w.step()
	w.step() // of those behind them
}

func (w *world) read() {
	w.t.Helper()
	for again := true; again; {
		again = false
		for _, f := range w.set.snapshot() {
			for w.streams[f] && f.Previous() == nil && w.readOnce(f) {
				again = true
			}
		}
	}
}

func (w *world) readOnce(f *File) bool {
	w.t.Helper()
	buf := make([]byte, w.readSize)
	n, err := f.Read(buf)
	end := bytes.LastIndexByte(buf[:n], '\n') + 1
	switch {
	case errors.Is(err, ErrReplaced), errors.Is(err, ErrDamaged), errors.Is(err, ErrTooLarge), errors.Is(err, ErrMoved):
		return false
	case err != nil && !errors.Is(err, io.EOF):
		w.t.Fatal(err)
	case end > 0:
		w.consume(f, buf[:end])
		return true
	case !f.Final():
		return false
	}
	rest, err := f.Rest()
	if err != nil {
		w.t.Fatal(err)
	}
	w.consume(f, rest)
	w.streams[f] = false
	f.Release()
	return true
}

func (w *world) consume(f *File, data []byte) {
	w.t.Helper()
	position := f.Position()
	mark := f.MarkAt(position+int64(len(data)), data)
	f.Advance(len(data), data)
	if f.Mark() != mark {
		w.t.Fatalf("mark of %v is %v, was to be %v", f, f.Mark(), mark)
	}
	f.Acknowledge(f.Position())
	w.text[w.base(f.Source())] += string(data)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) append(name, text string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	file, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	w.must(err)
	_, err = file.WriteString(text)
	w.must(err)
	w.must(file.Close())
}

func (w *world) rename(from, to string) {
	w.t.Helper()
	w.must(os.Rename(w.path(from), w.path(to)))
}

func (w *world) remove(name string) {
	w.t.Helper()
	w.must(os.Remove(w.path(name)))
}

// truncate cuts the live file.
func (w *world) truncate(size int64) {
	w.t.Helper()
	w.must(os.Truncate(w.path("app.log"), size))
}

// gzip compresses as the kubelet does: into a temporary file, which is renamed before the plain file is removed.
func (w *world) gzip(name string) {
	w.t.Helper()
	plain, err := os.ReadFile(w.path(name))
	w.must(err)
	w.must(os.WriteFile(w.path(name+".tmp"), gzipped(plain), 0o644))
	w.rename(name+".tmp", name+".gz")
	w.remove(name)
}

func gzipped(plain []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(plain)
	_ = zip.Close()
	return out.Bytes()
}

// copy copies the live file.
func (w *world) copy(to string) {
	w.t.Helper()
	data, err := os.ReadFile(w.path("app.log"))
	w.must(err)
	w.must(os.WriteFile(w.path(to), data, 0o644))
}

func (w *world) wantText(want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.text); diff != "" {
		w.t.Errorf("read (-want +got):\n%s", diff)
	}
}

func (w *world) wantEnded(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.ended); diff != "" {
		w.t.Errorf("ended (-want +got):\n%s", diff)
	}
}

// lines makes n numbered lines, the same ones for the same arguments.
func lines(tag string, n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "%s line %04d of a log that is like any other\n", tag, i)
	}
	return out.String()
}
