package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func readJournal(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// dirWith returns a directory whose journal holds data.
func dirWith(t *testing.T, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// written is a journal with two synced frames and two that were only flushed.
type written struct {
	data []byte
	// ends are where the snapshot and the four frames end, states what the journal held there.
	ends   []int64
	states []*State
}

func writeFrames(t *testing.T) written {
	t.Helper()
	var w written
	dir := t.TempDir()
	j := openJournal(t, dir)
	note := func() {
		w.ends, w.states = append(w.ends, j.end), append(w.states, j.State())
	}
	note()
	appendAll(t, j, start()...)
	syncJournal(t, j)
	note()
	appendAll(t, j, seal(0, 0, 1, 1, 4), seal(1, 0, 2, 1, 4))
	syncJournal(t, j)
	note()
	for _, r := range []Record{Ack{Partition: 1, Count: 4, BaseOffset: 3}, moveTo(1, 6)} {
		appendAll(t, j, r)
		if err := j.Flush(); err != nil {
			t.Fatal(err)
		}
		note()
	}
	w.data = readJournal(t, dir)
	return w
}

func TestDamage(t *testing.T) {
	flip := func(frame int, at int64) func(w written) []byte {
		return func(w written) []byte {
			w.data[w.ends[frame]+at] ^= 0x40
			return w.data
		}
	}
	tests := map[string]struct {
		damage    func(w written) []byte
		wantFrame int // the last frame that counts
		wantErr   string
	}{
		"none": {
			damage:    func(w written) []byte { return w.data },
			wantFrame: 4,
		},
		"a torn last frame": {
			damage:    func(w written) []byte { return w.data[:w.ends[4]-1] },
			wantFrame: 3,
		},
		"a last frame of which only the size reached the disk": {
			damage: func(w written) []byte {
				clear(w.data[w.ends[3]:])
				return append(w.data, make([]byte, 4096)...)
			},
			wantFrame: 3,
		},
		"a last frame with a wrong length": {
			damage:    flip(3, 6),
			wantFrame: 3,
		},
		"an unsynced frame before another unsynced one": {
			damage:    flip(2, int64(frameSize)),
			wantFrame: 2,
		},
		"a synced frame": {
			damage:  flip(1, int64(frameSize)+3),
			wantErr: "it is damaged at offset ",
		},
		"the length of a synced frame": {
			damage:  flip(0, 5),
			wantErr: "it is damaged at offset ",
		},
		"the snapshot": {
			damage: func(w written) []byte {
				w.data[headerSize+frameSize+1] ^= 1
				return w.data
			},
			wantErr: "it is damaged at offset 16: check the disk",
		},
		"a file that ends in the snapshot": {
			damage:  func(w written) []byte { return w.data[:w.ends[0]-1] },
			wantErr: "it is damaged at offset 16",
		},
		"a frame in another place than it was written to": {
			damage: func(w written) []byte {
				return append(w.data, w.data[w.ends[3]:w.ends[4]]...)
			},
			wantFrame: 4,
		},
		"an empty file": {
			damage:  func(written) []byte { return nil },
			wantErr: "it is not a journal of this program",
		},
		"another program's file": {
			damage:  func(written) []byte { return []byte(`{"/var/log/a.log": 4096, "version": 7}`) },
			wantErr: "it is not a journal of this program",
		},
		"a newer version": {
			damage: func(w written) []byte {
				w.data[len(magic)] = Version + 1
				return w.data
			},
			wantErr: "it has version 4, and this program reads version 3",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := writeFrames(t)
			data := bytes.Clone(tc.damage(w))
			dir := dirWith(t, data)
			j, err := Open(t.Context(), dir)
			if tc.wantErr != "" {
				checkRefused(t, dir, data, err, tc.wantErr)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closeJournal(t, j)
			if diff := diffStates(w.states[tc.wantFrame], j.State()); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if want := int64(len(data)) - w.ends[tc.wantFrame]; j.Torn() != want {
				t.Errorf("Torn() = %d, want %d", j.Torn(), want)
			}
		})
	}
}

// checkRefused makes sure that a journal was refused with the reason and its name, and is as it was.
func checkRefused(t *testing.T, dir string, data []byte, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one with %q and the file's name", err, want)
	}
	if !bytes.Equal(data, readJournal(t, dir)) {
		t.Error("the refused journal was changed")
	}
}

func TestWritingGoesOnBehindACut(t *testing.T) {
	w := writeFrames(t)
	dir := dirWith(t, w.data[:w.ends[4]-1])
	j := openJournal(t, dir)
	appendAll(t, j, moveTo(2, 9))
	want := j.State()
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

// TestNothingComesBackFromBehindACut writes a frame of the same length over a torn one: the whole frame that follows it
// in the file must not count again.
func TestNothingComesBackFromBehindACut(t *testing.T) {
	w := writeFrames(t)
	w.data[w.ends[3]-1] ^= 1
	dir := dirWith(t, w.data)
	j := openJournal(t, dir)
	appendAll(t, j, Ack{Partition: 1, Count: 4, BaseOffset: 3})
	syncJournal(t, j)
	if j.end != w.ends[3] {
		t.Fatalf("the new frame ends at %d, the old one at %d", j.end, w.ends[3])
	}
	closeJournal(t, j)
	if diff := diffStates(w.states[3], openJournal(t, dir).State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestFailedWriteIsMended(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	syncJournal(t, j)
	appendAll(t, j, seal(0, 0, 1, 1, 4))
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Sync(); err == nil {
		t.Fatal("Sync succeeded on a file that cannot be written")
	}
	appendAll(t, j, moveTo(2, 3))
	syncJournal(t, j)
	appendAll(t, j, seal(0, 4, 1, 5, 4))
	want := j.State()
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestFailedWriteStaysFailedUntilMended(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	j.broken = true
	// A directory in the place of the snapshot cannot be opened for writing.
	if err := os.Mkdir(j.tempName(), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := j.Sync(); err == nil {
			t.Error("Sync succeeded while the journal cannot be mended")
		}
	}
	if err := os.Remove(j.tempName()); err != nil {
		t.Fatal(err)
	}
	want := j.State()
	syncJournal(t, j)
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestConcurrentSyncs(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	var wg sync.WaitGroup
	for partition := range int32(8) {
		wg.Go(func() {
			for i := range int32(20) {
				ref, err := j.AddFile(testFile("/f"))
				if err == nil {
					err = j.Append(seal(partition, i*4, ref, 1, 4))
				}
				if err == nil {
					err = j.Sync()
				}
				if err == nil {
					err = j.Append(Ack{Partition: partition, FirstSequence: i * 4, Count: 4, BaseOffset: int64(i) * 4})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := j.State()
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	var largest int64
	for i := range int64(60_000) {
		appendAll(t, j, seal(0, int32(i*4), 1, i*4+1, 4), Ack{FirstSequence: int32(i * 4), Count: 4, BaseOffset: i * 4})
		if i%1000 == 0 {
			syncJournal(t, j)
			largest = max(largest, j.end)
		}
	}
	if most := int64(compactBytes + 2000*100); largest > most || largest < compactBytes/2 {
		t.Errorf("the journal grew to %d bytes, want at most %d", largest, most)
	}
	want := j.State()
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

// copyDir is what a crash at this moment leaves.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCrashInCompaction(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	appendAll(t, j, seal(0, 0, 1, 1, 4))
	syncJournal(t, j)
	crashes := map[string]string{"before": copyDir(t, dir)}

	data := j.takeSnapshot()
	for n, name := range map[int]string{0: "temp file made", len(data) / 2: "temp file half written"} {
		if err := os.WriteFile(j.tempName(), data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		crashes[name] = copyDir(t, dir)
	}
	file, err := j.writeTemp(data)
	if err != nil {
		t.Fatal(err)
	}
	crashes["temp file written"] = copyDir(t, dir)
	if err := j.installTemp(file); err != nil {
		t.Fatal(err)
	}
	crashes["temp file renamed"] = copyDir(t, dir)
	want := j.State()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	for name, crashed := range crashes {
		t.Run(name, func(t *testing.T) {
			again := openJournal(t, crashed)
			if diff := diffStates(want, again.State()); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if err := again.rewrite(); err != nil {
				t.Errorf("compact after the crash: %v", err)
			}
			if diff := diffStates(want, openCopy(t, crashed).State()); diff != "" {
				t.Errorf("state after compaction (-want +got):\n%s", diff)
			}
		})
	}
}

func openCopy(t *testing.T, dir string) *Journal { return openJournal(t, copyDir(t, dir)) }

func TestCrashBeforeTheFirstJournal(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal.tmp"), []byte(magic), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := openJournal(t, dir).State(); s.HasProducer || len(s.Files) > 0 {
		t.Errorf("state %v, want an empty one", s)
	}
}
