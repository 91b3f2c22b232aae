package faults

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/test/servers"
)

// fewFull is how often the disk is full without LOGPIPE_FAULTS_ROUNDS.
const fewFull = 4

// TestFullDisk fills the disk of the agent's journal, and that of the log beside it, again and again while lines are
// written. The agent says that it waits, also one that is killed and started again meanwhile, and goes on by itself when
// there is room.
func TestFullDisk(t *testing.T) {
	state, logs := smallDisk(t), smallDisk(t)
	w := newTailed(t, servers.Kafka(t, 1).Bootstrap, func(w *tailed, cfg *agent.Config) {
		cfg.StateDir = filepath.Join(state, "state")
		w.live = filepath.Join(logs, "app.log")
		cfg.Inputs[0].Files.Include = []string{w.live}
	})
	w.start()
	w.write(1)
	w.awaitAll()
	var unwritten []byte
	kills := 0
	for range rounds(t, fewFull) {
		w.fill(state)
		w.awaitWaiting(&unwritten)
		if w.random.IntN(2) == 0 {
			kills++
			w.agent.kill()
			w.start()
			w.awaitWaiting(&unwritten)
		}
		w.fill(logs)
		for unwritten == nil { // until the log's disk is full, too
			unwritten = w.writeSome(unwritten, 500)
		}
		first, second := state, logs
		if w.random.IntN(2) == 0 {
			first, second = logs, state
		}
		w.check(os.Remove(filepath.Join(first, "filler")))
		unwritten = w.writeSome(unwritten, 10)
		w.check(os.Remove(filepath.Join(second, "filler")))
		unwritten = w.writeSome(unwritten, 10)
		if unwritten != nil {
			t.Fatal("the log's disk has no room again")
		}
		w.awaitAll()
		w.check(os.Rename(w.live, w.live+".1")) // the one before is deleted by that
	}
	w.agent.mustLive()
	w.agent.kill()
	_, verdict := w.judge(w.source)
	t.Logf("full %d times, agent killed %d times then: %s", rounds(t, fewFull), kills, verdict)
	if !verdict.Perfect() {
		t.Error("not exactly once")
	}
}

// smallDisk mounts a file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skipf("mounting a file system takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill leaves no room on a disk.
func (w *tailed) fill(disk string) {
	w.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	w.check(err)
	_, err = io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		w.Fatalf("filling %s: %v", disk, err)
	}
	w.check(f.Close())
}

type zeros struct{}

func (zeros) Read(buf []byte) (int, error) { return len(buf), nil }

// writeSome appends what could not be written before, and lines behind it. It returns what could not be written, nil if
// nothing. A disk that is full takes a part of what is written.
func (w *tailed) writeSome(unwritten []byte, count int) []byte {
	w.Helper()
	for range count {
		unwritten = append(unwritten, w.source.Next(time.Unix(1_800_000_000, 0))...)
	}
	f, err := os.OpenFile(w.live, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if errors.Is(err, syscall.ENOSPC) {
		return unwritten
	}
	w.check(err)
	n, err := f.Write(unwritten)
	if !errors.Is(err, syscall.ENOSPC) {
		w.check(err)
	}
	w.check(f.Close())
	if n == len(unwritten) {
		return nil
	}
	return unwritten[n:]
}

// awaitWaiting writes lines until the agent of this life says that it waits for the journal.
func (w *tailed) awaitWaiting(unwritten *[]byte) {
	w.Helper()
	w.await("the agent says that its disk is full", func() bool {
		w.agent.mustLive()
		if w.source.Count()-uint64(w.end()) < 1000 {
			*unwritten = w.writeSome(*unwritten, 10)
		}
		return bytes.Contains(w.agent.life.read(), []byte("no space left on device"))
	})
}
