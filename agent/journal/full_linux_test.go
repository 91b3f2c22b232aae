package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 64 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	disk := smallDisk(t)
	dir := filepath.Join(disk, "state")
	j := openJournal(t, dir)
	appendAll(t, j, start()...)
	syncJournal(t, j)

	ballast := filepath.Join(disk, "ballast")
	err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("error %v when filling the disk", err)
	}
	next := int32(0)
	for err = nil; err == nil && next < 40_000; next += 4 {
		appendAll(t, j, seal(0, next, 1, int64(next)+1, 4), Ack{FirstSequence: next, Count: 4, BaseOffset: 1})
		err = j.Sync()
	}
	for range 2 {
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("error %v on a full disk, want ENOSPC", err)
		}
		err = j.Sync()
	}
	if _, _, _, err := replay(readJournal(t, dir)); err != nil {
		t.Errorf("the journal on the full disk is not consistent: %v", err)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	want := j.State()
	syncJournal(t, j)
	closeJournal(t, j)
	if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
		t.Errorf("state once there was space again (-want +got):\n%s", diff)
	}
}
