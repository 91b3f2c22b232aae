package journal

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// FuzzOpen opens arbitrary bytes as a journal. What opens must hold its state through another opening.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendHeader(nil))
	f.Add(append([]byte(magic), Version+1))
	frames := snapshotOf(newState())
	f.Add(frames)
	s := newState()
	for _, r := range append(start(), seal(0, 0, 1, 1, 4)) {
		if err := r.apply(s); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(snapshotOf(s))
	f.Add(append(snapshotOf(s), marker+"\x03\x00\x00\x00torn"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(t.Context(), dir)
		if err != nil {
			return
		}
		want := j.State()
		closeJournal(t, j)
		if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
			t.Errorf("state after another opening (-want +got):\n%s", diff)
		}
	})
}

func snapshotOf(s *State) []byte {
	j := &Journal{state: s}
	return j.takeSnapshot()
}

// FuzzRecords gets behind the checksums: arbitrary payloads must not panic, nor make the reader allocate more than the
// payload justifies.
func FuzzRecords(f *testing.F) {
	var payload []byte
	for _, r := range append(start(),
		seal(0, 0, 1, 1, 4), Ack{Count: 4}, seal(1, 0, 2, 1, 2), moveTo(1, 9), Forget{File: 1}) {
		payload = r.append(append(payload, r.kind()))
	}
	f.Add(payload)
	f.Add(appendSnapshot(nil, newState()))
	f.Add([]byte{kindSeal, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{kindSettings, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := newState()
		_ = s.replayFrame(payload)
		_, _ = decodeSnapshot(payload)
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+200*len(payload)); got > most {
			t.Errorf("%d bytes of payload made the reader allocate %d bytes", len(payload), got)
		}
		again, err := decodeSnapshot(appendSnapshot(nil, s))
		if err != nil {
			t.Fatalf("the replayed state cannot be stored: %v", err)
		}
		if diff := diffStates(s, again); diff != "" {
			t.Errorf("state through a snapshot (-want +got):\n%s", diff)
		}
	})
}
