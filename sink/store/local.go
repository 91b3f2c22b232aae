package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// localStore is a directory of the machine. What it reports as done survives a loss of power: files are synced when
// they are closed, directories when an entry of theirs changes.
type localStore struct {
	root *os.Root
}

// openLocal makes the directory at dir and opens it. Names cannot lead out of it, not by symbolic links either.
func openLocal(dir string) (*localStore, error) {
	parent, err := existing(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	above := &localStore{root: parent}
	defer above.Close()
	below, err := filepath.Rel(parent.Name(), dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := above.MkdirAll(filepath.ToSlash(below)); err != nil {
		return nil, fmt.Errorf("make directory of store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &localStore{root: root}, nil
}

// existing opens the nearest directory above dir that exists, or dir itself.
func existing(dir string) (*os.Root, error) {
	for {
		root, err := os.OpenRoot(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return root, err
		}
		dir = filepath.Dir(dir)
	}
}

func (s *localStore) MkdirAll(name string) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	err := s.root.Mkdir(name, dirMode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return s.isDir(name)
	case errors.Is(err, fs.ErrNotExist):
		if err := s.MkdirAll(path.Dir(name)); err != nil {
			return err
		}
		if err := s.root.Mkdir(name, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case err != nil:
		return err
	}
	return s.syncDir(path.Dir(name))
}

func (s *localStore) isDir(name string) error {
	info, err := s.root.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
	}
	return err
}

func (s *localStore) Mkdir(name string) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	if err := s.root.Mkdir(name, dirMode); err != nil {
		return notDir(err)
	}
	return s.syncDir(path.Dir(name))
}

func (s *localStore) Create(name string) (File, error) {
	if err := checkName("create", name); err != nil {
		return nil, err
	}
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, notDir(err)
	}
	return &localFile{store: s, name: name, file: file}, nil
}

func (s *localStore) ReadFile(name string, limit int64) ([]byte, error) {
	file, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("read %s: %w: at most %d bytes are read", name, ErrTooLarge, limit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (s *localStore) Open(name string) (io.ReadCloser, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	file, err := s.root.Open(name)
	if err != nil {
		return nil, notDir(err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func (s *localStore) ReadDir(name string) ([]fs.FileInfo, error) {
	if err := checkName("readdir", name); err != nil {
		return nil, err
	}
	dir, err := s.root.Open(name)
	if err != nil {
		return nil, notDir(err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (s *localStore) Stat(name string) (fs.FileInfo, error) {
	if err := checkName("stat", name); err != nil {
		return nil, err
	}
	info, err := s.root.Stat(name)
	return info, notDir(err)
}

// RenameDir relies on rename(2), which replaces a directory only if it is empty.
func (s *localStore) RenameDir(from, to string) error {
	err := s.rename(from, to)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("rename %s to %s: %w", from, to, ErrNotEmpty)
	}
	return err
}

func (s *localStore) RenameFile(from, to string) error {
	return s.rename(from, to)
}

// rename does without os.Root.Rename, which refuses to replace an empty directory.
func (s *localStore) rename(from, to string) error {
	if from == to {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrExist}
	}
	source, err := s.openParent(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := s.openParent(to)
	if err != nil {
		return err
	}
	defer target.Close()
	err = unix.Renameat(int(source.Fd()), path.Base(from), int(target.Fd()), path.Base(to))
	if err != nil {
		return notDir(&os.LinkError{Op: "rename", Old: from, New: to, Err: err})
	}
	if err := errors.Join(target.Sync(), source.Sync()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// openParent opens the directory that name is in.
func (s *localStore) openParent(name string) (*os.File, error) {
	if err := checkName("rename", name); err != nil {
		return nil, err
	}
	return s.root.Open(path.Dir(name))
}

func (s *localStore) RemoveAll(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	if err := s.root.RemoveAll(name); err != nil {
		return err
	}
	err := s.syncDir(path.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there was none
	}
	return err
}

func (s *localStore) Close() error { return s.root.Close() }

// syncDir makes the entries of a directory durable.
func (s *localStore) syncDir(name string) error {
	dir, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// notDir adds fs.ErrNotExist to the error of a name below a file, as HDFS has it.
func notDir(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// localFile is a file being written.
type localFile struct {
	store *localStore
	name  string
	file  *os.File // nil when ended
	err   error
}

func (f *localFile) Write(p []byte) (int, error) {
	if f.file == nil {
		return 0, f.reason()
	}
	n, err := f.file.Write(p)
	if err != nil {
		f.end(err)
	}
	return n, err
}

func (f *localFile) Close() error {
	if f.file == nil {
		return f.reason()
	}
	f.end(f.commit())
	return f.err
}

func (f *localFile) commit() error {
	if err := f.file.Sync(); err != nil {
		return err
	}
	opened, err := f.file.Stat()
	if err != nil {
		return err
	}
	// A file whose directory was removed lives on, nameless, while it is open.
	named, err := f.store.root.Stat(f.name)
	if err != nil {
		return err
	}
	if !os.SameFile(opened, named) {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrNotExist}
	}
	return f.store.syncDir(path.Dir(f.name))
}

func (f *localFile) Abort() {
	if f.file != nil {
		f.end(errAborted)
	}
}

func (f *localFile) end(err error) {
	err = errors.Join(err, f.file.Close())
	f.file, f.err = nil, err
}

func (f *localFile) reason() error {
	if f.err != nil {
		return f.err
	}
	return &fs.PathError{Op: "write", Path: f.name, Err: fs.ErrClosed}
}
