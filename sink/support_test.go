package sink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

// memoryLog is a topic in memory. The record at offset n has the key n%2 and n as its value.
type memoryLog struct {
	mu      sync.Mutex // guards the following
	id      string
	start   int64
	end     int64
	atOnce  int64 // records per fetch
	skip    int64 // no record at its multiples, as after an aborted transaction; 0 is never
	refuse  error
	fetches int
}

func (l *memoryLog) TopicID(context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, l.refuse
}

func (l *memoryLog) Bounds(context.Context) (start, end int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.start, l.end, l.refuse
}

func (l *memoryLog) Fetch(_ context.Context, offset int64) (batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fetches++
	if l.refuse != nil {
		return batch{}, l.refuse
	}
	if offset < l.start || offset > l.end {
		return batch{}, errOutOfRange
	}
	next := min(offset+l.atOnce, l.end)
	return batch{next: next, end: l.end, records: func(yield func(*format.Record) bool) {
		for n := offset; n < next; n++ {
			if l.skip > 0 && n%l.skip == 0 {
				continue
			}
			if !yield(&format.Record{Topic: "lines", Offset: n, Time: time.Unix(1_700_000_000+n, 0),
				Key: strconv.AppendInt(nil, n%2, 10), Value: strconv.AppendInt(nil, n, 10)}) {
				return
			}
		}
	}}, nil
}

func (l *memoryLog) Close() {}

func (l *memoryLog) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
}

// testRecords is how many records a topic has at first.
const testRecords = 14

// bench is a partition's surroundings: a topic in memory and a store in a directory.
type bench struct {
	*testing.T
	log   *memoryLog
	files store.Store
	cfg   Config
	now   time.Time
}

func newBench(t *testing.T) *bench {
	files, err := store.Open(t.Context(), store.Config{URL: "file://" + memoryDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	cfg := Config{Name: "test/sink", Topic: "lines", Path: "{topic}/key={key}"}
	cfg.Default()
	cfg.Roll.MaxRecords = 4 // so that there are more commits than are kept
	return &bench{T: t, files: files, cfg: cfg, log: &memoryLog{id: "id-1", end: testRecords, atOnce: 3},
		now: time.Unix(1_800_000_000, 0)}
}

// memoryDir returns a temporary directory, in memory where the system has a place for that: the tests of every fault
// make tens of thousands of fsyncs.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "logpipe-sink-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// partition returns a new owner of the partition, which sees the store as files.
func (b *bench) partition(files store.Store) *partition {
	path, err := format.ParsePath(b.cfg.Path, b.cfg.TimeZone)
	if err != nil {
		b.Fatal(err)
	}
	t := &tools{cfg: &b.cfg, files: files, open: func(int32) source { return b.log }, path: path,
		slots: make(chan struct{}, 1), metrics: newMetrics(func() Stats { return Stats{} }),
		outside: realOutside()}
	t.now = func() time.Time { return b.now }
	return newPartition(t, 0, logr.Discard(), func(int64) {})
}

// drain writes all that the topic has and commits it, in one session.
func drain(ctx context.Context, p *partition) error {
	defer func() { p.drop(nil) }()
	if err := p.acquire(ctx); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = p.pump(ctx); err != nil {
			return err
		}
	}
	return p.release(ctx)
}

func (b *bench) mustDrain(p *partition) {
	b.Helper()
	if err := drain(b.Context(), p); err != nil {
		b.Fatalf("drain: %v", err)
	}
}

// wantOnce checks that readers see each of the offsets from first to end-1 once, and nothing else.
func (b *bench) wantOnce(first, end int64) {
	b.Helper()
	seen := map[string]int{}
	for _, name := range b.visible() {
		for line := range strings.Lines(b.read(name)) {
			seen[strings.TrimSuffix(line, "\n")]++
		}
	}
	for n := first; n < end; n++ {
		if b.log.skip > 0 && n%b.log.skip == 0 {
			continue
		}
		if count := seen[strconv.FormatInt(n, 10)]; count != 1 {
			b.Errorf("offset %d is visible %d times", n, count)
		}
		delete(seen, strconv.FormatInt(n, 10))
	}
	if len(seen) > 0 {
		b.Errorf("visible, but not of the topic: %v", seen)
	}
}

// wantTidy checks that nothing is left below _logpipe but the newest commits with their manifests.
func (b *bench) wantTidy(p *partition) {
	b.Helper()
	for _, entry := range b.list(p.at.sessions()) {
		b.Errorf("session %s is left", entry.Name())
	}
	commits := b.list(p.at.commits())
	if len(commits) > keepCommits {
		b.Errorf("%d commits are left", len(commits))
	}
	next := int64(-1)
	for _, entry := range commits {
		if files := b.list(path.Join(p.at.commits(), entry.Name())); len(files) != 1 || files[0].Name() != manifestName {
			b.Errorf("commit %s has more than a manifest: %v", entry.Name(), files)
		}
		m, err := parseManifest([]byte(b.read(path.Join(p.at.commits(), entry.Name(), manifestName))), p.at)
		if err != nil {
			b.Error(err)
		}
		if next >= 0 && m.First != next {
			b.Errorf("commit %s follows offset %d", entry.Name(), next-1)
		}
		next = m.Last + 1
	}
}

func (b *bench) list(dir string) []fs.FileInfo {
	b.Helper()
	entries, err := b.files.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// visible lists the files that readers see.
func (b *bench) visible() []string {
	b.Helper()
	return b.below(".")
}

func (b *bench) below(dir string) (names []string) {
	b.Helper()
	for _, entry := range b.list(dir) {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.Name() == controlDir:
		case entry.IsDir():
			names = append(names, b.below(name)...)
		default:
			names = append(names, name)
		}
	}
	return names
}

func (b *bench) read(name string) string {
	b.Helper()
	data, err := b.files.ReadFile(name, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

func (b *bench) write(name, text string) {
	b.Helper()
	file, err := b.files.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(file, bytes.NewReader([]byte(text))); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

var errInjected = errors.New("injected")

// faultyStore counts the calls to a store, writes and closes of its files included, and lets one of them go wrong.
type faultyStore struct {
	store.Store
	// before and after are called around each call with its number; an error of before prevents the call, one of either
	// is returned in place of the result.
	before, after func(n int) error
	calls         int
}

// do makes one call.
func (f *faultyStore) do(call func() error) error {
	n := f.calls
	f.calls++
	if f.before != nil {
		if err := f.before(n); err != nil {
			return err
		}
	}
	err := call()
	if f.after != nil {
		if lost := f.after(n); lost != nil {
			return errors.Join(lost, err)
		}
	}
	return err
}

func (f *faultyStore) MkdirAll(name string) error {
	return f.do(func() error { return f.Store.MkdirAll(name) })
}

func (f *faultyStore) Mkdir(name string) error {
	return f.do(func() error { return f.Store.Mkdir(name) })
}

func (f *faultyStore) RenameDir(from, to string) error {
	return f.do(func() error { return f.Store.RenameDir(from, to) })
}

func (f *faultyStore) RenameFile(from, to string) error {
	return f.do(func() error { return f.Store.RenameFile(from, to) })
}

// RemoveAll removes one file after the other, as a directory on a disk is removed.
func (f *faultyStore) RemoveAll(name string) error {
	if entries, err := f.Store.ReadDir(name); err == nil {
		for _, entry := range entries {
			if err := f.RemoveAll(path.Join(name, entry.Name())); err != nil {
				return err
			}
		}
	}
	return f.do(func() error { return f.Store.RemoveAll(name) })
}

func (f *faultyStore) ReadDir(name string) (infos []fs.FileInfo, err error) {
	err = f.do(func() (err error) { infos, err = f.Store.ReadDir(name); return err })
	return infos, err
}

func (f *faultyStore) Stat(name string) (info fs.FileInfo, err error) {
	err = f.do(func() (err error) { info, err = f.Store.Stat(name); return err })
	return info, err
}

func (f *faultyStore) ReadFile(name string, limit int64) (data []byte, err error) {
	err = f.do(func() (err error) { data, err = f.Store.ReadFile(name, limit); return err })
	return data, err
}

func (f *faultyStore) Create(name string) (store.File, error) {
	var file store.File
	err := f.do(func() (err error) { file, err = f.Store.Create(name); return err })
	if err != nil {
		if file != nil {
			file.Abort()
		}
		return nil, err
	}
	return &faultyFile{File: file, store: f}, nil
}

type faultyFile struct {
	store.File
	store *faultyStore
}

func (f *faultyFile) Write(p []byte) (n int, err error) {
	err = f.store.do(func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *faultyFile) Close() error { return f.store.do(f.File.Close) }

// brokenFiles is a store whose files go wrong without a word until they are closed, or not even then.
type brokenFiles struct {
	store.Store
	closeErr error
	short    bool
}

func (b *brokenFiles) Create(name string) (store.File, error) {
	file, err := b.Store.Create(name)
	return &brokenFile{File: file, store: b}, err
}

type brokenFile struct {
	store.File
	store *brokenFiles
}

func (f *brokenFile) Write(p []byte) (int, error) {
	if f.store.short {
		_, err := f.File.Write(p[:len(p)/2])
		return len(p), err
	}
	return f.File.Write(p)
}

func (f *brokenFile) Close() error { return errors.Join(f.File.Close(), f.store.closeErr) }
