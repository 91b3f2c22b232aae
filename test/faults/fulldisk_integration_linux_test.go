package faults

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/test/servers"
)

// fewFull is how often the disk is full without LOGPIPE_FAULTS_ROUNDS.
const fewFull = 4

// TestFullDisk fills the disk of the agent's journal, and that of the log, again and again while lines are written. The
// agent says that it waits, also one that is killed and started again meanwhile, and goes on by itself when there is
// room.
func TestFullDisk(t *testing.T) {
	state, logs, address := t.TempDir(), t.TempDir(), freeAddress(t)
	mountSmall(t, state, "1m")
	mountSmall(t, logs, "1m")
	w := newTailed(t, servers.Kafka(t, 1).Bootstrap, func(w *tailed, cfg *agent.Config) {
		cfg.Listen = address
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
		fill(t, state)
		w.awaitWaiting(address, &unwritten)
		if w.random.IntN(2) == 0 {
			kills++
			w.agent.kill()
			w.start()
			w.awaitWaiting(address, &unwritten)
		}
		fill(t, logs)
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
		w.await("the log's disk has room again", func() bool { // also of deleted logs that the agent has open
			unwritten = w.writeSome(unwritten, 0)
			return unwritten == nil
		})
		w.awaitAll()
		w.await("the agent is ready again", func() bool { return readiness(t, address) == "ok\n" })
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

// TestDataNodeDiskIsFull fills the disk of the only DataNode while records come in. The sink says that it waits, is
// killed and started again, and goes on by itself when there is room.
func TestDataNodeDiskIsFull(t *testing.T) {
	t.Parallel()
	brokers, hdfs := servers.Kafka(t, 1), servers.PrivateHDFS(t, 1)
	hdfs.Stop("dn1")
	disk := hdfs.DataDir("dn1")
	mountSmall(t, disk, "512m") // room for some files of one block
	hdfs.Start("dn1")
	w := newRecords(t, brokers, hdfs)
	w.cfg.Store.BlockSize, w.cfg.Roll.MaxBytes = 65<<20, 1<<20
	w.deliver()
	for range rounds(t, 1) {
		life := w.startWorking()
		fill(t, disk)
		w.produce()
		life.until("the sink waits", func() bool { return bytes.Contains(life.read(), []byte("Paused partition")) })
		life.kill()
		life = w.start("")
		w.sink.check(os.Remove(filepath.Join(disk, "filler")))
		w.awaitVisible(life)
		life.kill()
	}
	if verdict := w.verdict(); !verdict.Perfect() {
		t.Errorf("not exactly once: %s", verdict)
	}
}

// mountSmall mounts a file system of that size, in memory.
func mountSmall(t *testing.T, dir, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("mounting a file system takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fill leaves no room on a disk.
func fill(t *testing.T, disk string) {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	if err == nil {
		_, err = io.Copy(f, zeros{})
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling %s: %v", disk, err)
	}
	_ = f.Close()
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

// awaitWaiting writes lines until the agent says that it waits for the journal: now, not only some time in this life.
func (w *tailed) awaitWaiting(address string, unwritten *[]byte) {
	w.Helper()
	w.await("the agent says that its disk is full", func() bool {
		w.agent.mustLive()
		switch {
		case *unwritten != nil: // there is room again when the agent lets go of a deleted log
			*unwritten = w.writeSome(*unwritten, 0)
		case w.source.Count()-uint64(w.end()) < 1000:
			*unwritten = w.writeSome(nil, 10)
		}
		return strings.Contains(readiness(w.T, address), "no space left on device")
	})
	if !bytes.Contains(w.agent.life.read(), []byte("write journal")) {
		w.Errorf("the log does not say that the journal can not be written:\n%s", w.agent.life.tail())
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// readiness is what /readyz answers, empty while nobody does.
func readiness(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}
