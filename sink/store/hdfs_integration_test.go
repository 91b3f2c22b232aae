package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
	"github.com/logpipe/logpipe/test/servers"
)

// patience bounds the wait for a server to start under load.
const patience = 2 * time.Minute

// TestHDFS shares the servers with other tests and keeps to directories of its own.
func TestHDFS(t *testing.T) {
	cluster := servers.HDFS(t, 1)
	t.Run("behaves as every store", func(t *testing.T) {
		root := newRoot(t, cluster)
		storetest.Run(t, func(t *testing.T) store.Store { return openStore(t, root) })
	})
	tests := map[string]func(*testing.T, *servers.HDFSCluster){
		"finds the NameNode in core-site.xml": testHadoopConf,
		"goes on to the next NameNode":        testNextNameNode,
		"refuses for lack of permission":      testPermission,
		"refuses when the quota is used up":   testQuota,
		"refuses a file beyond its block":     testFullBlock,
		"leaves no goroutines behind":         testGoroutines,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, cluster) })
	}
}

func TestHDFSUnreachable(t *testing.T) {
	_, err := store.Open(t.Context(), store.Config{URL: "hdfs://127.0.0.1:1/a", User: "root"})
	want := "open hdfs://127.0.0.1:1/a: mkdir /a: no available namenodes: " +
		"dial tcp 127.0.0.1:1: connect: connection refused"
	if err == nil || err.Error() != want || !store.Unavailable(err) || store.Blocked(err) {
		t.Errorf("got error %v, unavailable %v, want %s", err, store.Unavailable(err), want)
	}
}

// newRoot configures a store in a new directory of the cluster.
func newRoot(t *testing.T, cluster *servers.HDFSCluster) store.Config {
	return store.Config{URL: cluster.URI("/" + servers.UniqueName(t)), User: cluster.User}
}

func openStore(t *testing.T, cfg store.Config) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func testHadoopConf(t *testing.T, cluster *servers.HDFSCluster) {
	s := openStore(t, store.Config{URL: "hdfs:///", HadoopConfDir: cluster.Conf, User: cluster.User})
	_, err := s.ReadDir(".")
	must(t, err)
}

func testNextNameNode(t *testing.T, cluster *servers.HDFSCluster) {
	cfg := newRoot(t, cluster)
	cfg.NameNodes = []string{"127.0.0.1:1", cluster.Address}
	must(t, openStore(t, cfg).Mkdir("d"))
}

func testPermission(t *testing.T, cluster *servers.HDFSCluster) {
	cfg := newRoot(t, cluster)
	openStore(t, cfg)
	cfg.User = "nobody"
	err := openStore(t, cfg).Mkdir("d")
	if !errors.Is(err, fs.ErrPermission) || !store.Blocked(err) || store.Unavailable(err) {
		t.Errorf("got error %v, want permission denied", err)
	}
}

func testQuota(t *testing.T, cluster *servers.HDFSCluster) {
	cfg := newRoot(t, cluster)
	s := openStore(t, cfg)
	dir := strings.TrimPrefix(cfg.URL, cluster.URI(""))
	cluster.Admin("-setSpaceQuota", "1m", dir)
	_, err := create(t, s, "f").Write([]byte("x"))
	if !store.Blocked(err) || store.Unavailable(err) || !strings.Contains(err.Error(), "quota of "+dir) {
		t.Errorf("got error %v, want one of the quota", err)
	}
}

func testFullBlock(t *testing.T, cluster *servers.HDFSCluster) {
	cfg := newRoot(t, cluster)
	cfg.BlockSize = 1 << 20
	file := create(t, openStore(t, cfg), "f")
	_, err := file.Write(make([]byte, cfg.BlockSize))
	must(t, err)
	if _, err = file.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "file is full") {
		t.Errorf("got error %v, want a full file", err)
	}
	if file.Close() == nil {
		t.Error("a file was closed after a write had failed")
	}
}

// testGoroutines shows that neither whole nor broken files leave goroutines of the library.
func testGoroutines(t *testing.T, cluster *servers.HDFSCluster) {
	s := openStore(t, newRoot(t, cluster))
	end := []func(file store.File){
		func(file store.File) { must(t, file.Close()) },
		func(file store.File) { file.Abort() },
		func(store.File) {},
	}
	round := func() {
		for i := range 9 {
			file := create(t, s, "f")
			_, err := file.Write(bytes.Repeat([]byte("x"), 200_000))
			must(t, err)
			end[i%len(end)](file)
			must(t, s.RemoveAll("f"))
			if file.Close() == nil {
				t.Fatal("a file was closed that was closed, aborted or removed before")
			}
		}
	}
	round()
	before := runtime.NumGoroutine()
	round()
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func create(t *testing.T, s store.Store, name string) store.File {
	t.Helper()
	file, err := s.Create(name)
	must(t, err)
	t.Cleanup(file.Abort)
	return file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something that the test cannot be told of.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
