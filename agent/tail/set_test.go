package tail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestOnlyRegularFilesAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		make       func(w *world, path string) error
		wantReason string
	}{
		"a symbolic link": {
			make:       func(w *world, path string) error { return os.Symlink(w.path("secret"), path) },
			wantReason: "x.log: a symbolic link, not a regular file",
		},
		"a FIFO": {
			make:       func(_ *world, path string) error { return unix.Mkfifo(path, 0o644) },
			wantReason: "x.log: a FIFO, not a regular file",
		},
		"a directory named like a log": {
			make:       func(_ *world, path string) error { return os.Mkdir(path, 0o755) },
			wantReason: "x.log: a directory, not a regular file",
		},
		"a socket": {
			make: func(w *world, path string) error {
				t.Chdir(w.dir) // socket names are short
				listener, err := net.Listen("unix", filepath.Base(path))
				if err == nil {
					t.Cleanup(func() { _ = listener.Close() })
				}
				return err
			},
			wantReason: "x.log: a socket, not a regular file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "*.log")
			w.append("secret", "secret\n")
			w.must(test.make(w, w.path("x.log")))
			w.append("fine.log", "one\n")
			w.start()
			w.step()
			w.step() // told once
			w.wantText(map[string]string{"fine.log": "one\n"})
			if diff := cmp.Diff([]string{test.wantReason}, w.refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFIFOOrLinkThatTakesAFilesPlaceIsNotOpened(t *testing.T) {
	for name, replace := range map[string]func(w *world){
		"a FIFO": func(w *world) { w.must(unix.Mkfifo(w.path("sub/a.log"), 0o644)) },
		"a link": func(w *world) { w.must(os.Symlink(w.path("secret"), w.path("sub/a.log"))) },
		"a directory on the way": func(w *world) {
			w.rename("sub", "moved")
			w.append("elsewhere/a.log", "secret\n")
			w.must(os.Symlink(w.path("elsewhere"), w.path("sub")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for how, open := range map[string]func(root int, name string, flags int) (int, error){
				"with openat2": openBeneath, "without openat2": walkBeneath,
			} {
				w := newWorld(t, "*/a.log")
				w.append("secret", "secret\n")
				w.append("sub/a.log", "one\n")
				w.remove("sub/a.log")
				replace(w)
				root, err := unix.Open(w.dir, directoryFlags, 0)
				w.must(err)
				fd, err := open(root, "sub/a.log", openFlags)
				if err == nil {
					st, statErr := statFD(fd)
					w.must(statErr)
					if st.isRegular() {
						t.Errorf("%s: opened a regular file behind %s", how, name)
					}
					w.must(unix.Close(fd))
				}
				w.must(unix.Close(root))
				if o, err := openFile(w.dir, w.path("sub/a.log")); err == nil {
					t.Errorf("openFile opened %+v", o)
				}
			}
		})
	}
}

func TestOpeningWithoutOpenat2(t *testing.T) {
	w := newWorld(t)
	w.append("a/b/c.log", "one\n")
	root, err := unix.Open(w.dir, directoryFlags, 0)
	w.must(err)
	defer func() { _ = unix.Close(root) }()
	fd, err := walkBeneath(root, "a/b/c.log", openFlags)
	w.must(err)
	w.must(unix.Close(fd))
	if _, err := walkBeneath(root, "../"+filepath.Base(w.dir)+"/a/b/c.log", openFlags); !errors.Is(err, unix.EXDEV) {
		t.Errorf("error %v for a way out of the root, want EXDEV", err)
	}
}

func TestUnreadableFileIsToldOnceAndReadLater(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("nothing is unreadable for root")
	}
	w := newWorld(t, "*.log")
	w.append("app.log", "one\n")
	w.must(os.Chmod(w.path("app.log"), 0))
	w.start()
	w.step()
	w.step()
	if diff := cmp.Diff([]string{"app.log: permission denied"}, w.refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	w.must(os.Chmod(w.path("app.log"), 0o644))
	w.step()
	w.wantText(map[string]string{"app.log": "one\n"})
}

func TestStartAtEndOnlyAtTheFirstRun(t *testing.T) {
	w := newWorld(t, "*.log*")
	w.cfg.StartAtEnd = true
	w.append("app.log", "old\nbegun ")
	w.append("app.log.1", "older\n")
	w.gzip("app.log.1")
	w.start()
	w.step()
	w.append("app.log", "line\n")
	w.append("new.log", "new\n")
	w.step()
	w.start(func() { w.append("down.log", "while down\n") })
	w.settle()
	w.wantText(map[string]string{"app.log": "begun line\n", "new.log": "new\n", "down.log": "while down\n"})
}

func TestIgnoreOlder(t *testing.T) {
	w := newWorld(t, "*.log")
	w.cfg.Inputs[0].IgnoreOlder = time.Hour
	w.append("old.log", "old\n")
	w.append("new.log", "new\n")
	w.must(os.Chtimes(w.path("old.log"), time.Time{}, w.now.Add(-2*time.Hour)))
	w.start()
	w.step()
	w.wantText(map[string]string{"new.log": "new\n"})
	w.append("old.log", "woken\n")
	w.step()
	w.wantText(map[string]string{"new.log": "new\n", "old.log": "old\nwoken\n"})
}

func TestAcceptIsAskedUntilItAccepts(t *testing.T) {
	w := newWorld(t, "*.log")
	accepted := false
	w.cfg.Accept = func(name string) bool { return accepted || strings.HasSuffix(name, "always.log") }
	w.append("app.log", "one\n")
	w.append("always.log", "one\n")
	w.start()
	w.step()
	w.wantText(map[string]string{"always.log": "one\n"})
	accepted = true
	w.step()
	accepted = false
	w.append("app.log", "two\n")
	w.start() // known, but not accepted now: neither read nor forgotten
	w.step()
	w.wantText(map[string]string{"always.log": "one\n", "app.log": "one\n"})
	accepted = true
	w.step()
	w.wantText(map[string]string{"always.log": "one\n", "app.log": "one\ntwo\n"})
	w.wantEnded()
}

func TestFileLimit(t *testing.T) {
	w := newWorld(t, "*.log")
	w.cfg.MaxFiles = 2
	for _, name := range []string{"a.log", "b.log", "c.log", "d.log"} {
		w.append(name, name+"\n")
	}
	w.start()
	if c := w.scan(); c.Skipped != 2 || len(c.Found) != 2 {
		t.Errorf("found %v and skipped %d, want 2 and 2", c.Found, c.Skipped)
	}
	w.read()
	w.remove("a.log")
	w.settle()
	w.wantText(map[string]string{"a.log": "a.log\n", "b.log": "b.log\n", "c.log": "c.log\n"})
}

func TestIdleFilesAreClosedAndReadOn(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", lines("a", 20))
	w.step()
	f := w.set.Lookup(w.path("app.log"))
	w.now = w.now.Add(59 * time.Second)
	w.scan()
	if !f.reader.isOpen() {
		t.Error("closed before a minute was over")
	}
	w.now = w.now.Add(time.Second)
	w.scan()
	if f.reader.isOpen() {
		t.Error("still open after a minute")
	}
	w.append("app.log", "more\n")
	w.step()
	w.wantText(map[string]string{"app.log": lines("a", 20) + "more\n"})
}

func TestUnacknowledgedFilesStayOpen(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", "one\n")
	w.scan()
	f := w.set.Lookup(w.path("app.log"))
	f.Advance(4, []byte("one\n"))
	w.now = w.now.Add(time.Hour)
	w.scan()
	if !f.reader.isOpen() {
		t.Error("closed before the position was acknowledged")
	}
}

func TestRewind(t *testing.T) {
	w := newWorld(t, "*.log*")
	w.start()
	text := lines("a", 50)
	w.append("app.log", text)
	w.append("b.log", text)
	w.gzip("b.log")
	w.scan()
	for _, f := range w.set.snapshot() {
		buf := make([]byte, len(text)+1)
		n, err := f.Read(buf)
		if n != len(text) || err != nil {
			t.Fatalf("read %d bytes of %v: %v", n, f, err)
		}
		mark := f.MarkAt(1000, buf[:n])
		f.Advance(n, buf)
		w.must(f.Rewind(mark))
		n, err = f.Read(buf)
		if string(buf[:n]) != text[1000:] || err != nil {
			t.Errorf("after rewinding %v read %q: %v", f, buf[:n], err)
		}
		if err := f.Rewind(Mark{Offset: 500, Hash: 1}); !errors.Is(err, ErrChanged) {
			t.Errorf("rewind to a wrong mark: %v, want ErrChanged", err)
		}
	}
}

func TestUpdatedTellsOfRenamedFilesAndLongerHeads(t *testing.T) {
	w := newWorld(t, "app.log")
	w.append("app.log", "one\n")
	w.start()
	w.step()
	w.append("app.log", "two\n")
	if c := w.scan(); len(c.Updated) != 1 || c.Updated[0].State(Mark{}).Head != headOf([]byte("one\ntwo\n")) {
		t.Errorf("updated %v after the head grew", c.Updated)
	}
	w.rename("app.log", "app.log.1")
	if c := w.scan(); len(c.Updated) != 1 || c.Updated[0].State(Mark{}).Path != w.path("app.log.1") {
		t.Errorf("updated %v after a rename", c.Updated)
	}
	if c := w.scan(); len(c.Updated) != 0 {
		t.Errorf("updated %v after nothing", c.Updated)
	}
}

func TestScanStopsWithItsContext(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.set.Scan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// BenchmarkScanIdle scans 10,000 files that do not change: in one directory, and in one directory each as pods have.
func BenchmarkScanIdle(b *testing.B) {
	for name, format := range map[string]string{"one directory": "%05d.log", "pods": "ns_pod-%05d_uid/main/0.log"} {
		b.Run(name, func(b *testing.B) {
			const files = 10_000
			dir := b.TempDir()
			for i := range files {
				name := filepath.Join(dir, fmt.Sprintf(format, i))
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(name, []byte("one line\n"), 0o644); err != nil {
					b.Fatal(err)
				}
			}
			now := time.Now()
			set, err := NewSet(Config{
				Inputs: []Input{{Include: []string{dir + "/**/*.log"}}}, StartAtEnd: true, Compressed: true,
				Now: func() time.Time { return now },
			}, nil)
			if err != nil {
				b.Fatal(err)
			}
			set.settle = 0
			scan := func() Changes {
				c, err := set.Scan(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				return c
			}
			if found := len(scan().Found); found != files {
				b.Fatalf("found %d", found)
			}
			now = now.Add(time.Hour)
			scan()
			if descriptors := set.descriptors(); descriptors != 0 {
				b.Fatalf("%d descriptors are open", descriptors)
			}
			b.ReportAllocs()
			for b.Loop() {
				scan()
			}
		})
	}
}

func (s *Set) descriptors() int {
	n := 0
	for _, f := range s.files {
		if f.reader.isOpen() {
			n++
		}
	}
	return n
}
