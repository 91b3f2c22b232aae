package tail

import (
	"io"
	"time"
)

// Disk is the file system that log files are on. Paths are absolute. A simulation has its own.
type Disk interface {
	// Glob returns the paths that match a pattern; see CheckPattern. Unread are what could not be looked at for it, above
	// all directories: there may be more paths in them.
	Glob(pattern string) (paths []string, unread []Problem)
	// List returns the names in a directory, sorted. It may return some of them beside an error.
	List(dir string) ([]string, error)
	// Look describes what is at path itself: a symbolic link is not followed.
	Look(path string) (Info, error)
	// Boot tells one run of the machine from another, and since when it runs by the clock that dates files. The name is
	// empty where nobody knows.
	Boot() (name string, since time.Time)
	// Open opens a regular file for reading. No part of its path below root may be a symbolic link.
	Open(root, path string) (Handle, error)
}

// Handle is an open file. What it refers to stays the same whatever becomes of the file's names.
type Handle interface {
	io.ReaderAt
	io.Closer
	// ReadAround reads the bytes from offset on into before and then into buf, in one step, so that no truncation can
	// come between them. At the end of the file it returns fewer, and no error.
	ReadAround(before, buf []byte, offset int64) (int, error)
	// Look describes the file.
	Look() (Info, error)
	// Reopen returns a second handle on the file.
	Reopen() (Handle, error)
	// Generation is the inode's generation, 0 where the file system has none.
	Generation() uint32
}

// Info is what a look at a name or an open file tells.
type Info struct {
	ID      Identity
	Size    int64
	Regular bool
	// Mode says what it is if it is not a regular file, e.g. "a directory".
	Mode string
	// Changed is when the content was changed last.
	Changed time.Time
}
