package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/logpipe/logpipe/internal/simulation"
	"github.com/logpipe/logpipe/sink/store"
)

// errLost is the error of a call whose answer did not come.
var errLost = errors.New("no answer")

// simStore is the namenode as one sink sees it, through a network and in its turn.
type simStore struct {
	*world
	process *simulation.Process
}

// call makes one call that changes something. It may not arrive, be carried out without an answer, be carried out when
// nobody waits for it any more, or twice, because a client asked a second namenode.
func (s *simStore) call(what string, do func() error) error {
	s.process.Wait()
	if s.storeAway || s.Chance(s.rates.refused) {
		s.Event("store call refused", func() string { return what })
		return fmt.Errorf("%s: %w", what, errLost)
	}
	switch {
	case s.Chance(s.rates.late):
		s.Event("store call late", func() string { return what })
		s.late = append(s.late, func() {
			err := do()
			s.Event("late call carried out", func() string { return fmt.Sprint(what, ": ", err) })
		})
		return fmt.Errorf("%s: %w", what, errLost)
	case s.Chance(s.rates.twice):
		err := do()
		s.Event("store call twice", func() string { return fmt.Sprint(what, ": ", err) })
		s.process.Wait()
	}
	err := do()
	s.Event("store call", func() string { return fmt.Sprint(what, ": ", err) })
	if s.Chance(s.rates.unanswered) {
		s.Event("store answer lost", func() string { return what })
		return fmt.Errorf("%s: %w", what, errLost)
	}
	return err
}

// ask makes one call that changes nothing.
func (s *simStore) ask(what string, do func() error) error {
	s.process.Wait()
	if s.storeAway || s.Chance(s.rates.refused) {
		return fmt.Errorf("%s: %w", what, errLost)
	}
	return do()
}

func (s *simStore) MkdirAll(name string) error {
	return s.call("mkdirall "+name, func() error { return s.nn.mkdirAll(name) })
}

func (s *simStore) Mkdir(name string) error {
	return s.call("mkdir "+name, func() error { return s.nn.mkdir(name) })
}

func (s *simStore) RenameDir(from, to string) error {
	return s.call("rename "+from+" "+to, func() error {
		err := s.nn.rename(from, to, true)
		if err == nil {
			s.committed(to)
		}
		return err
	})
}

func (s *simStore) RenameFile(from, to string) error {
	return s.call("rename "+from+" "+to, func() error { return s.nn.rename(from, to, false) })
}

func (s *simStore) RemoveAll(name string) error {
	return s.call("remove "+name, func() error {
		if s.posix && !s.answering {
			s.nn.remove(name, s.process.Wait)
		} else {
			s.nn.remove(name, nil)
		}
		return nil
	})
}

func (s *simStore) Stat(name string) (found fs.FileInfo, err error) {
	err = s.ask("stat "+name, func() error {
		node := s.nn.at(name)
		if node == nil {
			return notExist("stat", name)
		}
		found = node.info()
		return nil
	})
	return found, err
}

func (s *simStore) ReadDir(name string) (found []fs.FileInfo, err error) {
	err = s.ask("list "+name, func() error {
		node := s.nn.at(name)
		if node == nil || node.children == nil {
			return notExist("list", name)
		}
		for _, child := range node.sorted() {
			found = append(found, child.info())
		}
		return nil
	})
	return found, err
}

func (s *simStore) ReadFile(name string, _ int64) (data []byte, err error) {
	err = s.ask("read "+name, func() error {
		node := s.nn.at(name)
		if node == nil || node.children != nil {
			return notExist("read", name)
		}
		data = node.data
		return nil
	})
	return data, err
}

func (s *simStore) Open(name string) (io.ReadCloser, error) {
	data, err := s.ReadFile(name, 0)
	return io.NopCloser(bytes.NewReader(data)), err
}

func (s *simStore) Create(name string) (store.File, error) {
	file := &simFile{store: s, name: name}
	err := s.call("create "+name, func() (err error) {
		made, err := s.nn.create(name)
		if err == nil {
			file.inode = made
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (s *simStore) Close() error { return nil }

// simFile is a file being written.
type simFile struct {
	store *simStore
	name  string
	inode *inode
	err   error
}

// Write may lose its bytes on the way to the datanodes; then nothing more arrives.
func (f *simFile) Write(p []byte) (int, error) {
	f.store.process.Wait()
	if f.err == nil && f.store.Chance(f.store.rates.refused) {
		f.store.Event("write failed", func() string { return f.name })
		f.err = errLost
	}
	if f.err != nil {
		return 0, f.err
	}
	f.inode.data = append(f.inode.data, p...)
	return len(p), nil
}

// Close may fail, and it may succeed though the end of the file is missing.
func (f *simFile) Close() error {
	if f.err != nil {
		return f.err
	}
	lost := 0
	if len(f.inode.data) > 0 && f.store.Chance(f.store.rates.short) {
		lost = f.store.Between(1, len(f.inode.data))
		f.store.Event("file completed short", func() string { return f.name })
	}
	f.err = f.store.call("complete "+f.name, func() error { return f.store.nn.complete(f.name, f.inode, lost) })
	if f.err == nil {
		return nil
	}
	return f.err
}

func (f *simFile) Abort() { f.err = errAborted }

var errAborted = errors.New("aborted")
