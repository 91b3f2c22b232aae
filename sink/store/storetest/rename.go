package storetest

import (
	"io/fs"

	"github.com/logpipe/logpipe/sink/store"
)

func testRenameDir(s suite) {
	s.check(s.MkdirAll(s.at("a", "x")))
	s.check(s.RenameDir(s.at("a"), s.at("none")))
	s.wantNames(s.at("none"), "x")

	s.check(s.Mkdir(s.at("empty")))
	s.check(s.RenameDir(s.at("none"), s.at("empty")))
	s.wantNames(s.at("empty"), "x")
	s.wantNames(s.dir, "empty")

	s.check(s.MkdirAll(s.at("b", "y")))
	s.want(s.RenameDir(s.at("b"), s.at("empty")), store.ErrNotEmpty)
	s.wantNames(s.at("b"), "y")
	s.wantNames(s.at("empty"), "x")

	// An empty source is refused just the same, and so is a file in the way.
	s.check(s.Mkdir(s.at("c")))
	s.want(s.RenameDir(s.at("c"), s.at("empty")), store.ErrNotEmpty)
	s.put(s.at("file"), []byte("f"))
	s.wantAny(s.RenameDir(s.at("b"), s.at("file")))
	s.wantContent(s.at("file"), "f")
	s.wantNames(s.dir, "b", "c", "empty", "file")
}

func testRenameNowhere(s suite) {
	s.want(s.RenameDir(s.at("no"), s.at("b")), fs.ErrNotExist)
	s.check(s.MkdirAll(s.at("a", "x")))
	s.want(s.RenameDir(s.at("a"), s.at("no", "b")), fs.ErrNotExist)
	s.want(s.RenameDir(s.at("a"), s.at("a")), fs.ErrExist)
	s.wantAny(s.RenameDir(s.at("a"), s.at("a", "x", "y")))
	s.wantNames(s.at("a"), "x")
}

func testRenameFile(s suite) {
	s.put(s.at("f"), []byte("new"))
	s.put(s.at("g"), []byte("old"))
	s.check(s.RenameFile(s.at("f"), s.at("g")))
	s.wantContent(s.at("g"), "new")
	s.wantNames(s.dir, "g")

	s.want(s.RenameFile(s.at("f"), s.at("h")), fs.ErrNotExist)
	s.want(s.RenameFile(s.at("g"), s.at("no", "h")), fs.ErrNotExist)
	s.check(s.Mkdir(s.at("d")))
	s.wantAny(s.RenameFile(s.at("g"), s.at("d")))
	s.check(s.RenameFile(s.at("g"), s.at("d", "g")))
	s.wantContent(s.at("d", "g"), "new")
}

// testFence is what keeps a sink that lost its partition, but does not know it, from committing.
func testFence(s suite) {
	for name, data := range map[string]string{"written to": "data", "not yet written to": ""} {
		session := s.at("session")
		s.check(s.MkdirAll(s.at("session", "1")))
		s.check(s.MkdirAll(s.at("commits")))
		file, err := s.Create(s.at("session", "1", "f"))
		s.check(err)
		if data != "" {
			_, err = file.Write([]byte(data))
			s.check(err)
		}
		s.check(s.other.RemoveAll(session))

		if err := file.Close(); err == nil {
			s.Fatalf("a file %s was closed without error after its directory was removed", name)
		}
		_, err = s.Create(s.at("session", "1", "g"))
		s.want(err, fs.ErrNotExist)
		s.want(s.Mkdir(s.at("session", "2")), fs.ErrNotExist)
		s.want(s.RenameDir(s.at("session", "1"), s.at("commits", "0")), fs.ErrNotExist)
		s.wantNames(s.at("commits"))
	}
}
