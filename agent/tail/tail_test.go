package tail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// lab is a directory of logs, and a set that is looked at step by step.
type lab struct {
	t   *testing.T
	dir string
	now time.Time
	set *Set
	cfg Config
	// order are the files in the order in which the set told of them.
	order  []*File
	before map[*File]*File
	lost   int64
	refs   uint32
	// renamed says that a file was renamed between a scan and a read, or could not be read for now.
	renamed bool
	// trails are kept as an owner does.
	trails map[*File]Trail
	// unchained allows files that follow no other.
	unchained bool
}

func newLab(t *testing.T, change func(*Config)) *lab {
	l := &lab{t: t, dir: t.TempDir(), now: time.Now(), before: map[*File]*File{}, trails: map[*File]Trail{}}
	l.cfg = Config{Include: []string{l.dir + "/app.log"}, Compressed: true, Now: func() time.Time { return l.now }}
	if change != nil {
		change(&l.cfg)
	}
	l.set = NewSet(l.cfg, nil)
	t.Cleanup(func() { _ = l.set.Close() })
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) append(name, text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	l.check(err)
	_, err = f.WriteString(text)
	l.check(errors.Join(err, f.Close()))
}

func (l *lab) rename(from, to string) { l.t.Helper(); l.check(os.Rename(l.path(from), l.path(to))) }

func (l *lab) remove(name string) { l.t.Helper(); l.check(os.Remove(l.path(name))) }

// compress does what the kubelet does: through a temporary file, with the original removed last.
func (l *lab) compress(name string) {
	l.t.Helper()
	data, err := os.ReadFile(l.path(name))
	l.check(err)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err = w.Write(data)
	l.check(errors.Join(err, w.Close()))
	l.check(os.WriteFile(l.path(name+".tmp"), zipped.Bytes(), 0o644))
	l.scan()
	l.rename(name+".tmp", name+".gz")
	l.scan()
	l.remove(name)
}

func (l *lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// scan takes what changed.
func (l *lab) scan() {
	l.t.Helper()
	changes := l.set.Scan()
	for _, p := range changes.Problems {
		if !passing(p.Err) {
			l.t.Fatalf("problem with %s: %v", p.Path, p.Err)
		}
	}
	for _, found := range changes.New {
		l.refs++
		found.File.Ref = l.refs
		l.order = append(l.order, found.File)
		l.before[found.File] = found.Before
		if found.Before == nil && len(l.order) > 1 && !found.File.finished && !l.unchained {
			l.t.Errorf("%s has no file before it", found.File.Path())
		}
	}
	for _, gone := range changes.Gone {
		l.lost += gone.Lost
	}
}

// read returns what is unread of f in whole lines, and with it the unterminated tail of a final file.
func (l *lab) read(f *File) string {
	l.t.Helper()
	var out strings.Builder
	buf := make([]byte, 100)
	for {
		n, err := f.Read(buf)
		if l.renamed = errors.Is(err, fs.ErrNotExist) || passing(err); l.renamed || errors.Is(err, io.EOF) ||
			errors.Is(err, ErrReplaced) || errors.Is(err, ErrNotFound) {
			return out.String()
		}
		l.check(err)
		if end := bytes.LastIndexByte(buf[:n], '\n') + 1; end > 0 {
			n = end
		} else if !f.Final() {
			return out.String()
		}
		out.Write(buf[:n])
		l.trails[f] = l.trails[f].Then(f.mark)
		f.Advance(n, buf[:n])
	}
}

// readAll reads every file in order, as often as scans bring new ones, and returns all text.
func (l *lab) readAll() string {
	l.t.Helper()
	var out strings.Builder
	for range 4 {
		l.scan()
		for _, f := range l.order {
			if f.finished && f.Lag() == 0 {
				continue
			}
			if out.WriteString(l.read(f)); l.renamed {
				break
			}
		}
	}
	return out.String()
}

// want compares what was read; nothing may have been lost.
func (l *lab) want(want, got string) {
	l.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" || l.lost > 0 {
		l.t.Errorf("%d bytes are lost; text (-want +got):\n%s", l.lost, diff)
	}
}

// restart does what an agent does that was down: it knows only what was stored.
func (l *lab) restart() {
	l.t.Helper()
	var known []Known
	for _, f := range l.set.Files() {
		known = append(known, l.known(f))
	}
	l.startWith(known)
}

// known is what an owner stores of a file.
func (l *lab) known(f *File) Known {
	state := f.State(f.mark)
	state.Trail = l.trails[f]
	return Known{Ref: f.Ref, Source: f.source, State: state}
}

// startWith makes a set that knows only what was stored.
func (l *lab) startWith(known []Known) {
	l.t.Helper()
	l.check(l.set.Close())
	l.set = NewSet(l.cfg, known)
	l.order = nil
	for i, f := range l.set.Files() {
		l.order = append(l.order, f)
		l.trails[f] = known[i].State.Trail
	}
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d of a log that is long enough to have a head of its own\n", i)
	}
	return b.String()
}

// TestRotation writes lines 0 to 60 in every way that logs are rotated and expects each once, in order.
func TestRotation(t *testing.T) {
	wide := func(c *Config) { c.Include[0] += "*" }
	tests := map[string]struct {
		change func(*Config)
		act    func(l *lab, read func())
		want   string // default: lines 0 to 60
		lost   int64
	}{
		"by rename and create": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.rename("app.log", "app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"by rename, under a pattern that matches both names": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.rename("app.log", "app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"the writer goes on in the renamed file": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.rename("app.log", "app.log.1")
			read()
			l.append("app.log.1", lines(20, 60))
		}},
		"by rename and gzip, read before": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.rename("app.log", "app.log.1")
			l.compress("app.log.1")
			l.append("app.log", lines(20, 60))
		}},
		"by rename and gzip, unread": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 10))
			read()
			l.append("app.log", lines(10, 20))
			l.rename("app.log", "app.log.1")
			l.compress("app.log.1")
			l.append("app.log", lines(20, 60))
		}},
		"by rename and gzip, under a pattern that matches all names": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 10))
			read()
			l.append("app.log", lines(10, 20))
			l.rename("app.log", "app.log.1")
			l.compress("app.log.1")
			l.append("app.log", lines(20, 60))
		}},
		"by copytruncate": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.copyTruncate("app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"by copytruncate, read further than the copy": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 10))
			read()
			l.append("app.log", lines(10, 20))
			l.copy("app.log.1")
			l.append("app.log", lines(20, 30))
			read()
			l.truncate()
			l.append("app.log", lines(30, 60))
		}},
		"by copytruncate, filled again before anyone looked": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.copy("app.log.1")
			l.empty()
			l.append("app.log", lines(20, 60))
		}},
		"by copytruncate, twice while the agent was down": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.restart()
			l.append("app.log", lines(20, 30))
			l.copy("app.log.1")
			l.empty()
			l.append("app.log", lines(30, 50))
			l.rename("app.log.1", "app.log.2")
			l.copy("app.log.1")
			l.empty()
			l.append("app.log", lines(50, 60))
		}},
		"by copytruncate, and compressed, while the agent was down": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.restart()
			l.append("app.log", lines(20, 30))
			l.copy("app.log.1")
			l.empty()
			l.compress("app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"by copytruncate, the agent down after the copy": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.copy("app.log.1")
			l.restart()
			read()
			l.restart()
			l.truncate()
			l.append("app.log", lines(20, 60))
		}},
		"by copytruncate, under a pattern that matches the copy": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.copyTruncate("app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"truncated and filled again beyond the old position": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 5))
			read()
			l.empty()
			l.append("app.log", lines(5, 60))
		}},
		"truncated and filled again beyond the old position while the agent was down": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 5))
			read()
			l.restart()
			l.empty()
			l.append("app.log", lines(5, 60))
		}},
		"renamed while the agent was down": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.restart()
			l.rename("app.log", "app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"compressed while the agent was down": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.restart()
			l.rename("app.log", "app.log.1")
			data, _ := os.ReadFile(l.path("app.log.1"))
			l.gz("app.log.1.gz", data)
			l.remove("app.log.1")
			l.append("app.log", lines(30, 60))
		}},
		"several rotations while the agent was down": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 30))
			l.restart()
			l.rename("app.log", "app.log.20260101-000000")
			l.append("app.log", lines(30, 40))
			l.rename("app.log", "app.log.20260101-000010")
			l.append("app.log", lines(40, 50))
			l.rename("app.log", "app.log.20260101-000020")
			l.append("app.log", lines(50, 60))
		}},
		"several rotations by number while the agent was down": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.restart()
			l.append("app.log.3", lines(20, 30))
			l.rename("app.log", "app.log.4")
			l.append("app.log.2", lines(30, 40))
			l.append("app.log.1", lines(40, 50))
			l.append("app.log", lines(50, 60))
		}},
		"several rotations between two looks, under a pattern that matches all names": {change: wide,
			act: func(l *lab, read func()) {
				l.append("app.log", lines(0, 20))
				read()
				l.append("app.log", lines(20, 30))
				l.rename("app.log", "app.log.20260101-000000")
				l.append("app.log", lines(30, 40))
				l.rename("app.log", "app.log.20260101-000010")
				l.append("app.log", lines(40, 60))
				l.rename("app.log", "app.log.20260101-000020")
			}},
		"a finished file is not read again when it is compressed": {change: wide, act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.order[0].Finish()
			l.rename("app.log", "app.log.1")
			read()
			l.restart()
			l.compress("app.log.1")
			l.restart()
			l.append("app.log", lines(20, 60))
		}},
		"the kubelet could not reopen and renames back": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.rename("app.log", "app.log.20260101-000000")
			read()
			l.rename("app.log.20260101-000000", "app.log")
			l.append("app.log", lines(20, 60))
		}},
		"deleted while open": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.append("app.log", lines(20, 60))
			l.remove("app.log")
		}},
		"deleted and made again with the same inode": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20))
			read()
			l.order[0].Idle()
			l.remove("app.log")
			l.append("app.log", lines(20, 60))
		}},
		"deleted unread while not open": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 60))
			read()
			l.order[0].Idle()
			l.append("app.log", "lost\n")
			l.scan()
			l.remove("app.log")
		}, lost: 5},
		"an unterminated tail counts when the file is final": {act: func(l *lab, read func()) {
			l.append("app.log", lines(0, 20)+"no newl")
			read()
			l.append("app.log", "ine, ")
			read()
			l.rename("app.log", "app.log.1")
			read()
			l.append("app.log.1", "end")
		}, want: lines(0, 20) + "no newline, end"},
		"rotated files that are there at first are read from old to new": {change: wide, act: func(l *lab, _ func()) {
			l.append("app.log.10", lines(0, 10))
			l.append("app.log.9", lines(10, 20))
			l.gz("app.log.2.gz", []byte(lines(20, 30)))
			l.append("app.log.1", lines(30, 40))
			l.append("app.log", lines(40, 60))
		}},
		"a hard link is the same file": {change: wide, act: func(l *lab, _ func()) {
			l.append("app.log", lines(0, 60))
			l.check(os.Link(l.path("app.log"), l.path("app.log.link")))
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.change)
			var got strings.Builder
			read := func() { got.WriteString(l.readAll()) }
			test.act(l, read)
			read()
			l.now = l.now.Add(2 * time.Minute) // everything is quiet now
			read()
			want := test.want
			if want == "" {
				want = lines(0, 60)
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if l.lost != test.lost {
				t.Errorf("lost %d bytes, want %d", l.lost, test.lost)
			}
		})
	}
}

func (l *lab) copyTruncate(to string) {
	l.t.Helper()
	l.copy(to)
	l.scan()
	l.truncate()
}

func (l *lab) copy(to string) {
	l.t.Helper()
	data, err := os.ReadFile(l.path("app.log"))
	l.check(err)
	l.append(to, string(data))
}

func (l *lab) empty() { l.t.Helper(); l.check(os.Truncate(l.path("app.log"), 0)) }

func (l *lab) truncate() {
	l.t.Helper()
	l.empty()
	l.scan()
}

func (l *lab) gz(name string, data []byte) {
	l.t.Helper()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(data)
	l.check(errors.Join(err, w.Close()))
	l.check(os.WriteFile(l.path(name), zipped.Bytes(), 0o644))
}

func TestSuccessorKnowsItsPredecessor(t *testing.T) {
	l := newLab(t, nil)
	l.append("app.log", lines(0, 5))
	l.readAll()
	l.rename("app.log", "app.log.1")
	l.append("app.log", lines(5, 9))
	l.scan()
	if len(l.order) != 2 || l.before[l.order[1]] != l.order[0] {
		t.Fatalf("files %v, before %v", l.order, l.before)
	}
	if l.order[1].Source() != l.path("app.log") || l.order[0].Path() != l.path("app.log.1") {
		t.Errorf("the new file is %s, the old one %s", l.order[1].Source(), l.order[0].Path())
	}
}

func TestStartAtEndSkipsOnlyWhatIsThereAtFirst(t *testing.T) {
	l := newLab(t, func(c *Config) { c.StartAtEnd = true; c.Include[0] += "*" })
	l.unchained = true
	l.append("app.log", lines(0, 2000)+"begun ")
	l.scan()
	l.append("app.log", "later\n")
	l.append("app.log2", "all\n")
	if got := l.readAll(); got != "begun later\nall\n" {
		t.Errorf("got %q", got)
	}
}

func TestIgnoreOlder(t *testing.T) {
	l := newLab(t, func(c *Config) { c.IgnoreOlder = func(string) time.Duration { return time.Hour } })
	l.append("app.log", "old\n")
	l.now = l.now.Add(2 * time.Hour)
	if got := l.readAll(); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		make func(path string) error
		want string
	}{
		"a directory": {func(p string) error { return os.Mkdir(p, 0o755) }, "is a directory, not a regular file"},
		"a FIFO":      {func(p string) error { return unix.Mkfifo(p, 0o644) }, "is a FIFO, not a regular file"},
		"a symbolic link": {
			func(p string) error { return os.Symlink("/etc/passwd", p) }, "is a symbolic link, not a regular file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			l.check(test.make(l.path("app.log")))
			changes := l.set.Scan()
			if len(changes.New) != 0 || len(changes.Problems) != 1 {
				t.Fatalf("changes %+v", changes)
			}
			if got := changes.Problems[0].Err.Error(); !strings.HasSuffix(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestNoSymlinkOnTheWay puts a link to a foreign directory where the pattern has a wildcard.
func TestNoSymlinkOnTheWay(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "app.log"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, func(c *Config) { c.Include[0] = filepath.Dir(c.Include[0]) + "/*/app.log" })
	l.check(os.Symlink(foreign, l.path("pod")))
	changes := l.set.Scan()
	for _, found := range changes.New {
		if n, err := found.File.Read(make([]byte, 100)); err == nil {
			t.Errorf("read %d bytes through a link", n)
		}
	}
}

func TestCheckPattern(t *testing.T) {
	tests := map[string]string{
		"/var/log/*.log":       "",
		"/var/log/**/a-[x].b":  "",
		"/var/{a,b}/c":         "",
		"var/log/*.log":        "it must be absolute, such as /var/log/app/*.log",
		"/var/../etc/*":        `it must not hold ".."`,
		"/var/[":               "it must be a glob pattern: * ? ** [a-z] {a,b}",
		"/**/**/**/x":          `it must not hold more than two "**"`,
		"/var/log/a\x00b":      "it must not hold a NUL",
		"/var/log/pods/a..b/*": "",
	}
	for pattern, want := range tests {
		got := ""
		if err := CheckPattern(pattern); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", pattern, got, want)
		}
	}
}

func TestOpenReadsPendingBytesAgain(t *testing.T) {
	for name, after := range map[string]func(l *lab){
		"where it was": func(*lab) {},
		"renamed":      func(l *lab) { l.rename("app.log", "app.log.1") },
		"compressed":   func(l *lab) { l.rename("app.log", "app.log.1"); l.compress("app.log.1") },
		"deleted":      func(l *lab) { l.remove("app.log") },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			l.append("app.log", lines(0, 5))
			l.readAll()
			mark := l.order[0].mark
			l.append("app.log", lines(5, 10))
			l.readAll()
			after(l)
			l.scan()
			again, err := l.set.Open(l.order[0].Ref, mark)
			l.check(err)
			defer again.Close()
			buf := make([]byte, 64<<10)
			n, err := again.Read(buf)
			l.check(err)
			if diff := cmp.Diff(lines(5, 10), string(buf[:n])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func BenchmarkScanIdle(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.log", i)), []byte("x\n"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	set := NewSet(Config{Include: []string{dir + "/*.log"}}, nil)
	set.Scan()
	for b.Loop() {
		set.Scan()
	}
}
