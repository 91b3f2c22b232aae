// Package store is the file system a sink writes to. The commit protocol needs little of it, but needs it exactly: the
// conformance test in storetest holds HDFS and a local directory to the same behaviour.
package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"

	"github.com/logpipe/logpipe/internal/conf"
)

// Store is a file system below a root. Names are slash-separated and relative to the root, as in io/fs. Errors satisfy
// errors.Is with fs.ErrNotExist, fs.ErrExist and fs.ErrPermission where that is the reason, and ErrNotEmpty. It is safe
// for use by several goroutines.
//
// A call that changes something and fails for another reason may or may not have been carried out: look.
type Store interface {
	// MkdirAll makes a directory and its parents; it may be there already.
	MkdirAll(name string) error
	// Mkdir makes one directory. The parent must exist (fs.ErrNotExist), the directory must not (fs.ErrExist). Of two
	// at the same moment both may succeed on HDFS: it is no lock.
	Mkdir(name string) error
	// Create makes a new file for writing. The parent must exist and the file must not: it never overwrites.
	Create(name string) (File, error)
	// ReadFile returns a whole file, at most limit bytes; a longer one is an error.
	ReadFile(name string, limit int64) ([]byte, error)
	// Open opens a file for reading.
	Open(name string) (io.ReadCloser, error)
	// ReadDir lists a directory by name.
	ReadDir(name string) ([]fs.FileInfo, error)
	// Stat describes a file or directory.
	Stat(name string) (fs.FileInfo, error)
	// RenameDir moves a directory in one atomic step. A target that is a directory with anything in it is refused with
	// ErrNotEmpty and leaves both as they were; an empty one is replaced. The target's parent must exist.
	RenameDir(from, to string) error
	// RenameFile moves a file in one atomic step and replaces a file of that name. The target's parent must exist.
	RenameFile(from, to string) error
	// RemoveAll removes a file, or a directory with all in it; that there is none is no error.
	RemoveAll(name string) error
	// Close frees the connections. Files still open are lost.
	Close() error
}

// File is a file being written, by one goroutine at a time. What was written counts only once Close has returned nil,
// and nothing may be concluded from a Write or Close that failed: the file has to be thrown away.
type File interface {
	io.Writer
	// Close makes the file durable and complete. It fails if a Write has failed, and if the file is no longer there
	// under its name.
	Close() error
	// Abort gives the file up without waiting for anything. It may stay in the store, shorter or not at all. After
	// Close it does nothing.
	Abort()
}

// ErrNotEmpty is returned by RenameDir when the target is a directory with something in it.
var ErrNotEmpty = errors.New("directory not empty")

// ErrTooLarge is returned by ReadFile when the file is longer than the limit.
var ErrTooLarge = errors.New("file too large")

// checkName refuses names that are absolute, lead upwards or can be written in a shorter way.
func checkName(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// Open connects to the store that cfg names and makes its root directory. It tries for CallTimeout at most, and not
// longer than ctx lasts; see Unavailable for when to try again.
func Open(ctx context.Context, cfg Config) (Store, error) {
	cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	root, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, conf.Invalid("url", cfg.URL, err.Error())
	}
	if root.Scheme == "file" {
		return openLocal(root.Path)
	}
	return openHDFS(ctx, cfg, root)
}
