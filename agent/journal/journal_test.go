package journal

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

var producerA = Producer{ID: 4000, ClusterID: "Vb2Fh1ZkT9a0wS7rXcYpQg", TopicID: "mJ8sK3vLQ1uQ2n5b7c9d0e"}

func openJournal(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if j.file != nil {
			closeJournal(t, j)
		}
	})
	return j
}

func closeJournal(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func appendAll(t *testing.T, j *Journal, records ...Record) {
	t.Helper()
	for _, r := range records {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

func syncJournal(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Sync(); err != nil {
		t.Fatal(err)
	}
}

func diffStates(want, got *State) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// start is what every agent appends first: a producer, settings and two files.
func start() []Record {
	return []Record{
		Renew{Producer: producerA},
		PutSettings{ID: 1, JSON: []byte(`{"format":"CRI"}`)},
		PutFile{Ref: 1, File: testFile("/var/log/a.log")},
		PutFile{Ref: 2, File: testFile("/var/log/b.log")},
	}
}

func testFile(path string) File {
	return File{Origin: []byte(path), State: tail.State{
		Identity: tail.Identity{Inode: 1 << 33, Birth: 1_700_000_000_123_456_789, Generation: 77, Incarnation: 1},
		Born:     1_700_000_000_000_000_000,
		Path:     path,
		Head:     tail.Head{Bytes: 1024, Hash: 0xfedcba9876543210},
		Boot:     "5a7a3a3c-0f0e-4b3c-9d39-ed09a4aef2a5",
	}}
}

// lines is a span of n lines of 100 bytes, the first of which is line number first.
func lines(ref FileRef, first, n int64) Span {
	return Span{
		File: ref, Clean: markAt((first - 1) * 100), Count: int32(n),
		First: decode.Position{End: first * 100}, Last: decode.Position{End: (first + n - 1) * 100},
	}
}

func markAt(offset int64) tail.Mark {
	return tail.Mark{Offset: offset, Hash: uint64(offset) * 0x9e3779b97f4a7c15}
}

func moveTo(ref FileRef, line int64) Move {
	return Move{File: ref, Mark: markAt(line * 100), Sealed: decode.Position{End: line * 100}}
}

func batch(partition, sequence int32, spans ...Span) Batch {
	b := Batch{
		Partition: partition, FirstSequence: sequence, Settings: 1, Checksum: 0xdeadbeef, Spans: spans,
		Time: time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC),
	}
	for _, s := range spans {
		b.Count += s.Count
	}
	return b
}

// seal seals lines first to first+n-1 of a file as one batch.
func seal(partition, sequence int32, ref FileRef, first, n int64) Seal {
	return Seal{
		Batches: []Batch{batch(partition, sequence, lines(ref, first, n))},
		Moves:   []Move{moveTo(ref, first+n-1)},
	}
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	carried := batch(3, 0,
		Span{File: 1, Clean: markAt(900), Count: 2, Flush: true,
			First: decode.Position{End: 1000, Index: 3}, Last: decode.Position{End: 1000, Index: 4}},
		Span{File: 1, Clean: markAt(1000)},
		Span{File: 2, First: decode.Position{End: 40}, Last: decode.Position{End: 90}, Count: 2, Carry: true})
	appendAll(t, j,
		seal(0, 0, 1, 1, 4),
		Ack{Partition: 0, Count: 4, BaseOffset: 1 << 40},
		Seal{Batches: []Batch{carried}, Moves: []Move{
			{File: 1, Mark: markAt(1000), Sealed: decode.Position{End: 1000, Index: 4}, Finished: true},
			{File: 2, Mark: markAt(90), Sealed: decode.Position{End: 90}},
		}})
	closeJournal(t, j)

	reopened := openJournal(t, dir)
	want := &State{
		Producer:    producerA,
		HasProducer: true,
		Partitions: map[int32]Partition{
			0: {NextSequence: 4, AckedOffset: 1<<40 + 3},
			3: {NextSequence: 4, AckedOffset: -1},
		},
		Files:          map[FileRef]File{1: testFile("/var/log/a.log"), 2: testFile("/var/log/b.log")},
		Settings:       map[uint32][]byte{1: []byte(`{"format":"CRI"}`)},
		NewestSettings: 1,
		Pending:        []Batch{carried},
		NextRef:        3,
		SealedAt:       carried.Time.UnixMilli(),
	}
	a, b := want.Files[1], want.Files[2]
	a.State.Mark, a.State.Finished, a.Sealed = markAt(1000), true, decode.Position{End: 1000, Index: 4}
	a.State.Trail = tail.Trail{markAt(400)}
	b.State.Mark, b.Sealed = markAt(90), decode.Position{End: 90}
	want.Files[1], want.Files[2] = a, b
	if diff := diffStates(want, reopened.State()); diff != "" {
		t.Errorf("state after reopening (-want +got):\n%s", diff)
	}
	if reopened.Torn() != 0 {
		t.Errorf("Torn() = %d after Close", reopened.Torn())
	}
}

func TestDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	closeJournal(t, openJournal(t, dir))
	for name, want := range map[string]os.FileMode{"": 0o700, "journal": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %q is %o, want %o", name, got, want)
		}
	}
}

func TestRefusedRecordIsNotStored(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	want := j.State()
	if err := j.Append(Ack{Partition: 0, Count: 1}); err == nil {
		t.Fatal("an acknowledgement of nothing was accepted")
	}
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state after reopening (-want +got):\n%s", diff)
	}
}

func TestLookUps(t *testing.T) {
	j := openJournal(t, t.TempDir())
	if p, ok := j.Producer(); ok {
		t.Errorf("producer %v in a new journal", p)
	}
	appendAll(t, j, start()...)
	appendAll(t, j, seal(3, 0, 1, 1, 4))
	if pending, known := j.Pending(1); !known || !pending {
		t.Errorf("file of a batch that is not acknowledged: pending %v, known %v", pending, known)
	}
	appendAll(t, j, Ack{Partition: 3, Count: 4, BaseOffset: 10})
	if p, ok := j.Producer(); !ok || p != producerA {
		t.Errorf("producer %v, %v, want %v", p, ok, producerA)
	}
	if got, want := j.Partition(3), (Partition{NextSequence: 4, AckedOffset: 13}); got != want {
		t.Errorf("partition 3 is %v, want %v", got, want)
	}
	if got, want := j.Partition(4), (Partition{AckedOffset: -1}); got != want {
		t.Errorf("partition 4 is %v, want %v", got, want)
	}
	if pending, known := j.Pending(1); !known || pending {
		t.Errorf("file of a batch that is acknowledged: pending %v, known %v", pending, known)
	}
	if _, known := j.Pending(9); known {
		t.Error("an unknown file is known")
	}
}

func TestAddFileNeverUsesAReferenceAgain(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	first, err := j.AddFile(testFile("/a"))
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, Forget{File: first})
	if err := j.rewrite(); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	second, err := openJournal(t, dir).AddFile(testFile("/b"))
	if err != nil {
		t.Fatal(err)
	}
	if second == first {
		t.Errorf("reference %d names two files", first)
	}
}

func TestAddSettingsKeepsTheSame(t *testing.T) {
	j := openJournal(t, t.TempDir())
	var ids []uint32
	for _, json := range []string{`{"a":1}`, `{"a":1}`, `{"a":2}`, `{"a":1}`} {
		id, err := j.AddSettings([]byte(json))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if diff := cmp.Diff([]uint32{1, 1, 2, 3}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestClosedJournal(t *testing.T) {
	j, err := Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	for name, call := range map[string]func() error{"Sync": j.Sync, "Flush": j.Flush, "Close": j.Close} {
		if err := call(); err == nil {
			t.Errorf("%s succeeded on a closed journal", name)
		}
	}
}
