package tail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// refusingDisk refuses one call, and calls for one path.
type refusingDisk struct {
	Disk
	calls, refused int
	path           string
	// op is what is refused for path, "" if all is.
	op string
	// times is how many of the calls for path are refused, 0 if all are.
	times int
}

func (d *refusingDisk) ask(op, path string, err error) error {
	refuse := path != "" && path == d.path && (d.op == "" || d.op == op)
	if refuse && d.times > 0 {
		if d.times--; d.times == 0 {
			d.path = ""
		}
	}
	if d.calls++; refuse || d.calls == d.refused {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// Glob implements Disk: a directory that can't be read has no names for it.
func (d *refusingDisk) Glob(pattern string) ([]string, []Problem) {
	if err := d.ask("open", filepath.Dir(pattern), syscall.EMFILE); err != nil {
		return nil, []Problem{{filepath.Dir(pattern), err}}
	}
	return d.Disk.Glob(pattern)
}

// List implements Disk.
func (d *refusingDisk) List(dir string) ([]string, error) {
	if err := d.ask("open", dir, syscall.EMFILE); err != nil {
		return nil, err
	}
	return d.Disk.List(dir)
}

// Look implements Disk.
func (d *refusingDisk) Look(path string) (Info, error) {
	if err := d.ask("statx", path, syscall.EIO); err != nil {
		return Info{}, err
	}
	return d.Disk.Look(path)
}

// Open implements Disk.
func (d *refusingDisk) Open(root, path string) (Handle, error) {
	if err := d.ask("open", path, syscall.EMFILE); err != nil {
		return nil, err
	}
	h, err := d.Disk.Open(root, path)
	if err != nil {
		return nil, err
	}
	return refusingHandle{h, d}, nil
}

// refusingHandle is an open file of a refusingDisk.
type refusingHandle struct {
	Handle
	disk *refusingDisk
}

// ReadAt implements Handle.
func (h refusingHandle) ReadAt(p []byte, offset int64) (int, error) {
	if err := h.disk.ask("read", "", syscall.EIO); err != nil {
		return 0, err
	}
	return h.Handle.ReadAt(p, offset)
}

// ReadAround implements Handle.
func (h refusingHandle) ReadAround(before, buf []byte, offset int64) (int, error) {
	if err := h.disk.ask("read", "", syscall.EIO); err != nil {
		return 0, err
	}
	return h.Handle.ReadAround(before, buf, offset)
}

// Look implements Handle.
func (h refusingHandle) Look() (Info, error) {
	if err := h.disk.ask("statx", "", syscall.EIO); err != nil {
		return Info{}, err
	}
	return h.Handle.Look()
}

// newRefusingLab has a disk that refuses nothing yet.
func newRefusingLab(t *testing.T, all bool) (*lab, *refusingDisk) {
	disk := &refusingDisk{Disk: machine{}}
	return newLab(t, func(c *Config) {
		if c.Disk = disk; all {
			c.Include[0] += "*"
		}
	}), disk
}

// TestDiskRefuses refuses each of the calls to the disk once: a process has too many open files for a moment, or a
// device does not answer. What a call was to tell is then not known, and nothing may be lost, doubled or moved by it.
func TestDiskRefuses(t *testing.T) {
	tests := map[string]struct {
		// all says that rotated names are configured, too.
		all bool
		// read is how many lines of app.log are read while the disk works; then no agent sees what happens.
		read    int
		happens func(l *lab)
		want    string
	}{
		"a log is there": {happens: func(l *lab) { l.append("app.log", lines(0, 10)) }, want: lines(0, 10)},
		"a log is rotated several times": {
			read: 5,
			happens: func(l *lab) {
				l.append("app.log", lines(5, 10))
				l.rename("app.log", "app.log.3")
				l.append("app.log.2", lines(10, 20))
				l.append("app.log.1", lines(20, 30))
				l.append("app.log", lines(30, 40))
			},
			want: lines(0, 40),
		},
		"rotated logs are compressed": {
			read: 5,
			happens: func(l *lab) {
				l.append("app.log", lines(5, 10))
				l.gz("app.log.2.gz", []byte(lines(0, 10)))
				l.remove("app.log")
				l.gz("app.log.1.gz", []byte(lines(10, 20)))
				l.append("app.log", lines(20, 30))
			},
			want: lines(0, 30),
		},
		"all names are read, and logs compressed": {
			all:  true,
			read: 5,
			happens: func(l *lab) {
				l.append("app.log", lines(5, 10))
				l.gz("app.log-20261121.gz", []byte(lines(0, 10)))
				l.remove("app.log")
				l.append("app.log-20261122", lines(10, 20))
				l.gz("app.log-20261122.gz", []byte(lines(10, 20))) // as if it were just being made
				l.append("app.log", lines(20, 30))
			},
			want: lines(0, 30),
		},
		"a log is copied and truncated": {
			all:  true,
			read: 5,
			happens: func(l *lab) {
				l.append("app.log", lines(5, 10))
				l.copy("app.log.1")
				l.empty()
				l.append("app.log", lines(10, 20))
			},
			want: lines(0, 20),
		},
		"a log is copied and truncated twice": {
			read: 10,
			happens: func(l *lab) {
				l.append("app.log.2", lines(0, 10))
				l.append("app.log.1", lines(10, 20))
				l.empty()
				l.append("app.log", lines(20, 30))
			},
			want: lines(0, 30),
		},
		"a log waits to be truncated": {
			all:     true,
			read:    10,
			happens: func(l *lab) { l.copy("app.log.1") },
			want:    lines(0, 10),
		},
	}
	for name, test := range tests {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, agent restarted %v", name, restarted), func(t *testing.T) {
				for refused, calls := 1, 1; refused <= calls; refused++ {
					t.Run(fmt.Sprint("call ", refused), func(t *testing.T) {
						l, disk := newRefusingLab(t, test.all)
						var text string
						if test.read > 0 {
							l.append("app.log", lines(0, test.read))
							text = l.readAll()
						}
						test.happens(l)
						if disk.calls, disk.refused = 0, refused; restarted {
							l.restart()
						}
						l.want(test.want, text+l.readAll())
						calls = disk.calls
					})
				}
			})
		}
	}
}

// TestDiskRefusesForLong has a rotated log that can't be read: what came after it waits, others do not, and it is not
// looked for more often than else.
func TestDiskRefusesForLong(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.cfg.Include = append(l.cfg.Include, l.path("other.log"))
	l.set = NewSet(l.cfg, nil)
	l.unchained = true
	l.append("app.log", lines(0, 10))
	text := l.readAll()
	l.rename("app.log", "app.log.2")
	l.append("app.log.1", lines(10, 20))
	l.append("app.log", lines(20, 30))
	l.append("other.log", lines(100, 110))
	disk.path = l.path("app.log.1")
	l.want(lines(100, 110), l.readAll())
	changes := l.set.Scan()
	if len(changes.Problems) == 0 || changes.Problems[0].Path != disk.path || l.set.NeedsScan() {
		t.Errorf("problems %v, to be looked at again at once: %v", changes.Problems, l.set.NeedsScan())
	}
	disk.path = ""
	l.want(lines(0, 30), text+l.readAll())
}

// TestDiskRefusesWhatIsCompressed does not tell of a rotated log while its compressed form is made: that is not to be
// taken for the log, which would be another one then.
func TestDiskRefusesWhatIsCompressed(t *testing.T) {
	l, disk := newRefusingLab(t, true)
	l.append("app.log", lines(0, 5))
	text := l.readAll()
	l.append("app.log", lines(5, 10))
	l.rename("app.log", "app.log.1")
	l.gz("app.log.1.gz", []byte(lines(0, 10)))
	l.append("app.log", lines(10, 20))
	disk.path = l.path("app.log.1")
	l.scan()
	disk.path = ""
	l.want(lines(0, 20), text+l.readAll())
}

// TestDiskRefusesAtRotation does not tell of the file that took a name: until it is known, the one before is not ended,
// or what goes on in the new one would be cut.
func TestDiskRefusesAtRotation(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.append("app.log", lines(0, 5))
	text := l.readAll()
	l.rename("app.log", "app.log.1")
	l.scan()
	l.now = l.now.Add(2 * defaultQuiet)
	l.append("app.log", lines(5, 10))
	disk.calls, disk.refused = 0, 1 // the directory is not read
	l.scan()
	if l.order[0].Final() && len(l.order) == 1 {
		t.Error("the rotated log counts as ended, and nothing is behind it")
	}
	l.want(lines(0, 10), text+l.readAll())
}

// TestDiskRefusesTheFirstOfTwo does not tell at first of the compressed form of a log whose successor began alike when
// it was last seen: the successor is not to take it.
func TestDiskRefusesTheFirstOfTwo(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.append("app.log", lines(0, 10))
	text := l.readAll()
	l.rename("app.log", "app.log.1")
	l.append("app.log", lines(0, 1))
	l.scan()
	l.remove("app.log.1")
	l.gz("app.log.2.gz", []byte(lines(0, 10)))
	l.remove("app.log")
	l.gz("app.log.1.gz", []byte(lines(0, 1)+lines(10, 20)))
	disk.path, disk.times = l.path("app.log.2.gz"), traceTries
	l.restart()
	l.want(lines(0, 10)+lines(0, 1)+lines(10, 20), text+l.readAll())
}

// TestDiskRefusesTheMiddle refuses each of the reads of a large compressed log once: what was decompressed of a line
// until then is not its end.
func TestDiskRefusesTheMiddle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 400 {
		fmt.Fprintf(&text, "%016x%016x\n", random.Uint64(), random.Uint64())
	}
	for refused, calls := 1, 1; refused <= calls; refused++ {
		l, disk := newRefusingLab(t, true)
		l.gz("app.log.1.gz", []byte(text.String()))
		l.scan()
		disk.calls, disk.refused = 0, refused
		buf := make([]byte, 4<<10)
		for f, err := l.order[0], error(nil); !errors.Is(err, io.EOF); calls = disk.calls {
			var n int
			if n, err = f.Read(buf); n > 0 && n < len(buf) && buf[n-1] != '\n' {
				t.Fatalf("call %d: got %d bytes, and no whole line at the end", refused, n)
			}
			f.Advance(n, buf[:n])
		}
	}
}

// TestDiskRefusesTheCompressedForm does not open the compressed form of a log at first: another one that begins alike
// is not taken for it.
func TestDiskRefusesTheCompressedForm(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.append("app.log", lines(0, 1))
	l.scan()
	l.remove("app.log")
	l.gz("app.log.2.gz", []byte(lines(0, 10)))
	l.gz("app.log.1.gz", []byte(lines(0, 1)+lines(10, 20)))
	l.append("app.log", lines(20, 30))
	disk.path, disk.op, disk.times = l.path("app.log.2.gz"), "open", 1
	l.restart()
	l.want(lines(0, 10)+lines(0, 1)+lines(10, 30), l.readAll())
}
