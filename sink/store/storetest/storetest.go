// Package storetest holds every implementation of store.Store to the behaviour that the commit protocol of a sink is
// built on.
package storetest

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/sink/store"
)

// suite runs one test in a directory of its own.
type suite struct {
	*testing.T
	store.Store
	// other is a second connection to the same root.
	other store.Store
	dir   string
}

// Run tests the stores that open returns. Each call of open is a connection of its own to the same root, which may
// hold anything, and is closed by Run.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := map[string]func(suite){
		"a missing parent, an existing name: mkdir":      testMkdir,
		"create never overwrites":                        testCreate,
		"what was written is read":                       testReadBack,
		"a large file comes back as it was":              testLargeFile,
		"an empty file":                                  testEmptyFile,
		"read at most so much":                           testReadLimit,
		"read what is not a file":                        testNotAFile,
		"list in order":                                  testReadDir,
		"remove what is and what is not there":           testRemoveAll,
		"rename a directory onto none, empty, non-empty": testRenameDir,
		"rename a directory from or to nowhere":          testRenameNowhere,
		"rename a file replaces":                         testRenameFile,
		"racing renames have one winner":                 testRenameRace,
		"a removed directory fences its writer":          testFence,
		"an aborted file":                                testAbort,
		"names stay below the root":                      testNames,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := suite{T: t, Store: open(t), other: open(t), dir: "t" + strconv.FormatUint(rand.Uint64(), 36)}
			defer s.Close()
			defer s.other.Close()
			s.check(s.MkdirAll(s.dir))
			test(s)
			s.check(s.RemoveAll(s.dir))
		})
	}
}

func (s suite) at(names ...string) string { return path.Join(s.dir, path.Join(names...)) }

func (s suite) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s suite) want(err, reason error) {
	s.Helper()
	if !errors.Is(err, reason) {
		s.Fatalf("got error %v, want %v", err, reason)
	}
}

func (s suite) wantAny(err error) {
	s.Helper()
	if err == nil {
		s.Fatal("got no error, want one")
	}
}

// put writes a whole file.
func (s suite) put(name string, data []byte) {
	s.Helper()
	file, err := s.Create(name)
	s.check(err)
	_, err = file.Write(data)
	s.check(err)
	s.check(file.Close())
	info, err := s.other.Stat(name)
	s.check(err)
	if info.Size() != int64(len(data)) || info.IsDir() {
		s.Fatalf("got a file of %d bytes, want %d", info.Size(), len(data))
	}
}

func (s suite) wantContent(name, content string) {
	s.Helper()
	data, err := s.other.ReadFile(name, 1<<20)
	s.check(err)
	if diff := cmp.Diff(content, string(data)); diff != "" {
		s.Fatalf("%s (-want +got):\n%s", name, diff)
	}
}

// wantNames checks what is in a directory, in order.
func (s suite) wantNames(dir string, names ...string) {
	s.Helper()
	infos, err := s.other.ReadDir(dir)
	s.check(err)
	var got []string
	for _, info := range infos {
		got = append(got, info.Name())
	}
	if diff := cmp.Diff(names, got); diff != "" {
		s.Fatalf("names in %s (-want +got):\n%s", dir, diff)
	}
}

func testMkdir(s suite) {
	s.want(s.Mkdir(s.at("no", "x")), fs.ErrNotExist)
	s.check(s.Mkdir(s.at("x")))
	s.want(s.Mkdir(s.at("x")), fs.ErrExist)
	s.check(s.MkdirAll(s.at("x", "y", "z")))
	s.check(s.MkdirAll(s.at("x", "y", "z")))
	info, err := s.Stat(s.at("x", "y"))
	s.check(err)
	if !info.IsDir() || info.Name() != "y" {
		s.Fatalf("got %q, directory %v", info.Name(), info.IsDir())
	}
	s.put(s.at("file"), []byte("f"))
	s.want(s.Mkdir(s.at("file")), fs.ErrExist)
	s.want(s.MkdirAll(s.at("file")), fs.ErrExist)
	s.want(s.Mkdir(s.at("file", "x")), fs.ErrNotExist)
}

func testCreate(s suite) {
	_, err := s.Create(s.at("no", "f"))
	s.want(err, fs.ErrNotExist)
	s.put(s.at("f"), []byte("first"))
	_, err = s.Create(s.at("f"))
	s.want(err, fs.ErrExist)
	_, err = s.Create(s.at("f", "below"))
	s.want(err, fs.ErrNotExist)
	s.wantContent(s.at("f"), "first")

	open, err := s.Create(s.at("open"))
	s.check(err)
	_, err = s.other.Create(s.at("open"))
	s.want(err, fs.ErrExist)
	_, err = open.Write([]byte("mine"))
	s.check(err)
	s.check(open.Close())
	s.wantContent(s.at("open"), "mine")
	s.check(s.Mkdir(s.at("d")))
	_, err = s.Create(s.at("d"))
	s.want(err, fs.ErrExist)
}

func testReadBack(s suite) {
	file, err := s.Create(s.at("f"))
	s.check(err)
	for _, part := range []string{"one ", "", "two ", "three"} {
		n, err := file.Write([]byte(part))
		s.check(err)
		if n != len(part) {
			s.Fatalf("wrote %d of %d bytes", n, len(part))
		}
	}
	s.check(file.Close())
	s.wantAny(file.Close())
	_, err = file.Write([]byte("more"))
	s.wantAny(err)
	file.Abort()
	s.wantContent(s.at("f"), "one two three")
}

func testLargeFile(s suite) {
	random := rand.New(rand.NewPCG(1, 2))
	block := make([]byte, 300<<10+17)
	sum := crc32.NewIEEE()
	file, err := s.Create(s.at("large"))
	s.check(err)
	var size int64
	for size < 8<<20 {
		for i := range block {
			block[i] = byte(random.Uint32())
		}
		sum.Write(block)
		n, err := file.Write(block)
		s.check(err)
		size += int64(n)
	}
	s.check(file.Close())

	reader, err := s.other.Open(s.at("large"))
	s.check(err)
	got := crc32.NewIEEE()
	n, err := io.Copy(got, reader)
	s.check(err)
	s.check(reader.Close())
	if n != size || got.Sum32() != sum.Sum32() {
		s.Fatalf("read %d bytes with sum %x, want %d with %x", n, got.Sum32(), size, sum.Sum32())
	}
}

func testEmptyFile(s suite) {
	s.put(s.at("empty"), nil)
	s.wantContent(s.at("empty"), "")
}

func testReadLimit(s suite) {
	s.put(s.at("f"), []byte("0123456789"))
	data, err := s.ReadFile(s.at("f"), 10)
	s.check(err)
	if !bytes.Equal(data, []byte("0123456789")) {
		s.Fatalf("read %q", data)
	}
	_, err = s.ReadFile(s.at("f"), 9)
	s.want(err, store.ErrTooLarge)
}

func testNotAFile(s suite) {
	_, err := s.ReadFile(s.at("no"), 10)
	s.want(err, fs.ErrNotExist)
	_, err = s.Open(s.at("no"))
	s.want(err, fs.ErrNotExist)
	_, err = s.Stat(s.at("no"))
	s.want(err, fs.ErrNotExist)
	_, err = s.ReadDir(s.at("no"))
	s.want(err, fs.ErrNotExist)
	_, err = s.Open(s.dir)
	s.wantAny(err)
	_, err = s.ReadFile(s.dir, 10)
	s.wantAny(err)
	s.put(s.at("f"), []byte("f"))
	_, err = s.ReadDir(s.at("f"))
	s.wantAny(err)
}

func testReadDir(s suite) {
	s.wantNames(s.dir)
	for _, name := range []string{"b", "00000000000000000010", "a-1", "B", "a", "00000000000000000009", "_x", "a0"} {
		s.check(s.Mkdir(s.at(name)))
	}
	s.wantNames(s.dir, "00000000000000000009", "00000000000000000010", "B", "_x", "a", "a-1", "a0", "b")
}

func testRemoveAll(s suite) {
	s.check(s.RemoveAll(s.at("no")))
	s.check(s.RemoveAll(s.at("no", "deeper")))
	s.check(s.MkdirAll(s.at("d", "e")))
	s.put(s.at("d", "e", "f"), []byte("f"))
	s.put(s.at("g"), []byte("g"))
	s.check(s.RemoveAll(s.at("d")))
	s.check(s.RemoveAll(s.at("g")))
	s.wantNames(s.dir)
}

func testNames(s suite) {
	for _, name := range []string{"", "/etc", "../x", "a/../../x", "a//b", "a/"} {
		s.wantAny(s.Mkdir(name))
		_, err := s.Create(name)
		s.wantAny(err)
		_, err = s.Stat(name)
		s.wantAny(err)
		s.wantAny(s.RenameDir(s.dir, name))
	}
	s.wantAny(s.RemoveAll("."))
	_, err := s.Stat(s.dir)
	s.check(err)
}

func testAbort(s suite) {
	for _, data := range []string{"", "some"} {
		name := s.at("f" + data)
		file, err := s.Create(name)
		s.check(err)
		_, err = file.Write([]byte(data))
		s.check(err)
		file.Abort()
		file.Abort()
		s.wantAny(file.Close())
		_, err = file.Write([]byte("x"))
		s.wantAny(err)
		s.check(s.RemoveAll(name))
		s.put(name, []byte("again"))
	}
	s.wantNames(s.dir, "f", "fsome")
}

func testRenameRace(s suite) {
	const clients, rounds = 4, 20
	stores := []store.Store{s.Store, s.other}
	for round := range rounds {
		target := s.at("commit" + strconv.Itoa(round))
		var ready, done sync.WaitGroup
		var won atomic.Int32
		ready.Add(clients)
		for i := range clients {
			from := s.at("session" + strconv.Itoa(i))
			s.check(s.MkdirAll(s.at("session"+strconv.Itoa(i), "manifest")))
			done.Go(func() {
				ready.Done()
				ready.Wait()
				err := stores[i%2].RenameDir(from, target)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrNotEmpty) {
					s.Errorf("round %d: %v", round, err)
				}
			})
		}
		done.Wait()
		if won.Load() != 1 {
			s.Fatalf("round %d: %d renames succeeded, want 1", round, won.Load())
		}
		s.wantNames(target, "manifest")
	}
}
