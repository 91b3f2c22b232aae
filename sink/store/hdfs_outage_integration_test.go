package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/test/servers"
)

// callTimeout is longer than the 5 s for which the library does not call a NameNode that it has lost.
const callTimeout = 8 * time.Second

// TestHDFSOutages stops and starts the servers under one store and its open files.
func TestHDFSOutages(t *testing.T) {
	cluster := servers.PrivateHDFS(t, 1)
	cfg := newRoot(t, cluster)
	cfg.CallTimeout = conf.Duration(callTimeout)
	s := openStore(t, cfg)
	must(t, s.Mkdir("d"))

	t.Run("safe mode", func(t *testing.T) {
		file := begin(t, s, "d/safe")
		cluster.Admin("-safemode", "enter")
		wantUnavailable(t, "mkdir", func() error { return s.Mkdir("d/unsafe") })
		cluster.Admin("-safemode", "leave")
		must(t, file.Close())
	})
	t.Run("a NameNode that hangs does not hang its callers", func(t *testing.T) {
		file := begin(t, s, "d/hang")
		resume := cluster.Suspend("nn")
		wantAllUnavailable(t, s, file)
		resume()
		eventually(t, "HDFS", func() bool { return tryFile(s) == nil })
	})
	t.Run("a NameNode that is started again is found", func(t *testing.T) {
		written, empty, begun := begin(t, s, "d/written"), create(t, s, "d/empty"), begin(t, s, "d/begun")
		cluster.Kill("nn")
		wantAllUnavailable(t, s, begun)
		cluster.Start("nn")
		eventually(t, "HDFS", func() bool { return tryFile(s) == nil })
		// The files go on with the clients they were made with.
		_, err := empty.Write([]byte("begun after the restart"))
		must(t, err)
		must(t, empty.Close())
		_, err = written.Write([]byte(" and ended after"))
		must(t, err)
		must(t, written.Close())
		wantFile(t, s, "d/written", "begun before and ended after")
		wantFile(t, s, "d/empty", "begun after the restart")
	})
	t.Run("a DataNode that dies fails the file before its end", func(t *testing.T) {
		file := begin(t, s, "d/lost")
		cluster.Kill("dn1")
		block := bytes.Repeat([]byte("x"), 64<<10)
		eventually(t, "the write to fail", func() bool { _, err := file.Write(block); return err != nil })
		if err := file.Close(); !store.Unavailable(err) {
			t.Errorf("got close error %v, want an unavailable store", err)
		}
		wantUnavailable(t, "a new file", func() error { return tryFile(s) })
		cluster.Start("dn1")
		eventually(t, "the DataNode", func() bool { return tryFile(s) == nil })
	})
}

// TestHDFSReadsAroundADataNodeThatHangs reads more files than can all be served by others first.
func TestHDFSReadsAroundADataNodeThatHangs(t *testing.T) {
	cluster := servers.PrivateHDFS(t, 3)
	cfg := newRoot(t, cluster)
	cfg.CallTimeout = conf.Duration(callTimeout)
	s := openStore(t, cfg)
	names := make([]string, 15)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
		must(t, begin(t, s, names[i]).Close())
	}
	defer cluster.Suspend("dn2")()
	for _, name := range names {
		wantFile(t, s, name, "begun before")
	}
}

// wantAllUnavailable makes all calls at once: those that share a connection must not wait for each other in turn. None
// of them harms what follows, since a NameNode that hung may carry it out later.
func wantAllUnavailable(t *testing.T, s store.Store, file store.File) {
	t.Helper()
	calls := map[string]func() error{
		"stat":      func() error { _, err := s.Stat("d"); return err },
		"readdir":   func() error { _, err := s.ReadDir("d"); return err },
		"readfile":  func() error { _, err := s.ReadFile("d", 1); return err },
		"create":    func() error { _, err := s.Create("d/late"); return err },
		"mkdir":     func() error { return s.Mkdir("d/later") },
		"mkdirall":  func() error { return s.MkdirAll("d/latest") },
		"renamedir": func() error { return s.RenameDir("none", "nowhere") },
		"removeall": func() error { return s.RemoveAll("none") },
		"close":     file.Close,
	}
	var done sync.WaitGroup
	for name, call := range calls {
		done.Go(func() { wantUnavailable(t, name, call) })
	}
	done.Wait()
}

// wantUnavailable wants a call to fail in time.
func wantUnavailable(t *testing.T, name string, call func() error) {
	t.Helper()
	start := time.Now()
	err := call()
	if took := time.Since(start); took > callTimeout+time.Second {
		t.Errorf("%s took %v, want at most %v", name, took, callTimeout)
	}
	if !store.Unavailable(err) || store.Blocked(err) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: got error %v, want an unavailable store", name, err)
	}
}

func begin(t *testing.T, s store.Store, name string) store.File {
	t.Helper()
	file := create(t, s, name)
	_, err := file.Write([]byte("begun before"))
	must(t, err)
	return file
}

func wantFile(t *testing.T, s store.Store, name, want string) {
	t.Helper()
	got, err := s.ReadFile(name, 1000)
	must(t, err)
	if string(got) != want {
		t.Errorf("%s holds %q, want %q", name, got, want)
	}
}

// tryFile writes a file and removes it.
func tryFile(s store.Store) error {
	if err := s.RemoveAll("try"); err != nil {
		return err
	}
	file, err := s.Create("try")
	if err != nil {
		return err
	}
	defer file.Abort()
	if _, err := file.Write([]byte("x")); err != nil {
		return err
	}
	return file.Close()
}
