package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzTorn cuts a journal anywhere and puts arbitrary bytes behind the cut, as a crash may leave them: everything in
// the frames before is kept and the rest is cut off, or the journal is refused.
func FuzzTorn(f *testing.F) {
	f.Add(uint16(300), []byte{})
	f.Add(uint16(0), []byte("torn"))
	f.Add(uint16(1000), []byte(marker+"\x03\x00\x00\x00torn"))
	f.Add(uint16(200), bytes.Repeat([]byte{0}, 4096))
	f.Fuzz(func(t *testing.T, at uint16, garbage []byte) {
		w := writeFrames(t)
		first := w.ends[0]
		cut := first + int64(at)%(int64(len(w.data))-first+1)
		frame := 0
		for frame+1 < len(w.ends) && w.ends[frame+1] <= cut {
			frame++
		}
		dir := t.TempDir()
		torn := append(bytes.Clone(w.data[:cut]), garbage...)
		if err := os.WriteFile(filepath.Join(dir, "journal"), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(t.Context(), dir)
		if err != nil {
			// Only a whole frame behind the cut, which the checksum makes of no accident, says that more was there.
			if !bytes.Contains(torn[w.ends[frame]:], []byte(marker)) {
				t.Errorf("refused %d bytes behind frame %d, cut at %d: %v", len(garbage), frame, cut, err)
			}
			return
		}
		if diff := diffStates(w.states[frame], j.State()); diff != "" && !completes(w, cut, garbage) {
			t.Errorf("state of frame %d, cut at %d (-want +got):\n%s", frame, cut, diff)
		}
		closeJournal(t, j)
		if again := openJournal(t, dir); again.Torn() != 0 {
			t.Errorf("%d bytes are left behind the last frame", again.Torn())
		}
	})
}

// completes tells whether garbage is what was cut off, or begins with it.
func completes(w written, cut int64, garbage []byte) bool {
	for _, end := range w.ends {
		if end > cut && bytes.HasPrefix(garbage, w.data[cut:end]) {
			return true
		}
	}
	return false
}
