//go:build unix && !linux

package tail

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openFlags never block on a FIFO or a device and never follow a link.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY

// directoryFlags open a directory to look other names up in it.
const directoryFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// bootID is not known here: a file that shrank is taken for truncated.
func bootID() string { return "" }

// statPath looks at what has the name, not at what a link leads to.
func statPath(name string) (stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Lstat(name, &st) })
	return statOf(&st), err
}

// statDirectory follows links: what is below them is opened safely, whatever it is.
func statDirectory(name string) (stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Stat(name, &st) })
	return statOf(&st), err
}

func statFD(fd int) (stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(fd, &st) })
	return statOf(&st), err
}

// statOf leaves the birth time out: there is no common name for it, and inode and head are left to compare.
func statOf(st *unix.Stat_t) stat {
	return stat{
		inode: inode{dev: uint64(st.Dev), number: st.Ino},
		mode:  uint32(st.Mode),
		links: uint32(st.Nlink),
		size:  st.Size,
		mtime: st.Mtim.Nano(),
	}
}

func generation(int) uint32 { return 0 }

// openBeneath opens name, relative to the directory root, without leaving root and without following any link.
func openBeneath(root int, name string, flags int) (int, error) {
	return walkBeneath(root, name, flags)
}

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
