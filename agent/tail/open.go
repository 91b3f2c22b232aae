package tail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// inode is what a path led to when it was last looked at. Device numbers change between boots, so they are never
// stored.
type inode struct {
	dev, number uint64
	birth       int64
}

// stat is the part of a file's status that tailing needs.
type stat struct {
	inode
	mode  uint32
	links uint32
	size  int64
	mtime int64
}

func (s stat) isRegular() bool { return s.mode&unix.S_IFMT == unix.S_IFREG }

// kind names what is not a regular file.
func (s stat) kind() string {
	switch s.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}

// refusal is the error for what is never read.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

func notRegular(kind string) error { return refusal{kind + ", not a regular file"} }

// opened is an open regular file.
type opened struct {
	fd         int
	stat       stat
	generation uint32
	path       string
	zipped     bool
}

func (o opened) identity() Identity {
	return Identity{Inode: o.stat.number, Birth: o.stat.birth, Generation: o.generation}
}

// openFile opens a regular file below root. Nothing else is ever opened for longer than it takes to see what it is.
func openFile(root, name string) (opened, error) {
	fd, err := openAt(root, name, openFlags)
	if errors.Is(err, unix.ELOOP) {
		return opened{}, notRegular("a symbolic link, or below one")
	}
	if err != nil {
		return opened{}, err
	}
	o := opened{fd: fd, path: name, zipped: strings.HasSuffix(name, gzipSuffix)}
	if o.stat, err = statFD(fd); err == nil && !o.stat.isRegular() {
		err = notRegular(o.stat.kind())
	}
	if err != nil {
		_ = unix.Close(fd)
		return opened{}, fmt.Errorf("open %s: %w", name, err)
	}
	o.generation = generation(fd)
	return o, nil
}

// openAt opens name, which lies in or below the directory root. Links in root itself are followed: it is the part of a
// pattern that its author fixed.
func openAt(root, name string, flags int) (int, error) {
	var dir int
	err := retry(func() (err error) {
		dir, err = unix.Open(root, directoryFlags, 0)
		return err
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err := openBeneath(dir, relative(root, name), flags)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

func relative(root, name string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
	if rest == "" {
		return "."
	}
	return rest
}

// walkBeneath is openBeneath without openat2: it opens one path element after the other and follows none that is a
// link.
func walkBeneath(root int, name string, flags int) (int, error) {
	dir := root
	closeDir := func() {
		if dir != root {
			_ = unix.Close(dir)
		}
	}
	elements := strings.Split(path.Clean(name), "/")
	for i, element := range elements {
		if element == ".." || element == "" {
			closeDir()
			return -1, unix.EXDEV
		}
		how := directoryFlags | unix.O_NOFOLLOW
		if i == len(elements)-1 {
			how = flags | unix.O_NOFOLLOW
		}
		var next int
		err := retry(func() (err error) {
			next, err = unix.Openat(dir, element, how, 0)
			return err
		})
		closeDir()
		if err != nil {
			return -1, err
		}
		dir = next
	}
	return dir, nil
}

// readAt fills buf from the offset as far as the file goes.
func readAt(fd int, buf []byte, offset int64) (int, error) {
	read := 0
	for read < len(buf) {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(fd, buf[read:], offset+int64(read))
			return err
		})
		if err != nil {
			return read, fmt.Errorf("read at %d: %w", offset, err)
		}
		if n == 0 {
			return read, io.EOF
		}
		read += n
	}
	return read, nil
}

// isGone tells whether err says that a name leads nowhere.
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}
