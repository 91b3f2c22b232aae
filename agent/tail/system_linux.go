package tail

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// getVersion is FS_IOC_GETVERSION, _IOR('v', 1, long), as most architectures encode it. Where it is another number the
// kernel answers ENOTTY, and generations are not compared.
const getVersion = 2<<30 | (32<<(^uint(0)>>63))/8<<16 | 'v'<<8 | 1

// openFlags never block on a FIFO or a device and never follow a link.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY

// directoryFlags open a directory to look other names up in it.
const directoryFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// statPath looks at what has the name, not at what a link leads to.
func statPath(name string) (stat, error) {
	return statx(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW)
}

// statDirectory follows links: what is below them is opened safely, whatever it is.
func statDirectory(name string) (stat, error) { return statx(unix.AT_FDCWD, name, 0) }

func statFD(fd int) (stat, error) { return statx(fd, "", unix.AT_EMPTY_PATH) }

func statx(fd int, name string, flags int) (stat, error) {
	var sx unix.Statx_t
	const mask = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	if err := retry(func() error { return unix.Statx(fd, name, flags, mask, &sx) }); err != nil {
		return stat{}, err
	}
	st := stat{
		inode: inode{dev: unix.Mkdev(sx.Dev_major, sx.Dev_minor), number: sx.Ino},
		mode:  uint32(sx.Mode),
		links: sx.Nlink,
		size:  int64(sx.Size),
		mtime: sx.Mtime.Sec*1e9 + int64(sx.Mtime.Nsec),
	}
	if sx.Mask&unix.STATX_BTIME != 0 {
		st.birth = sx.Btime.Sec*1e9 + int64(sx.Btime.Nsec)
	}
	return st, nil
}

// generation returns the inode's generation, 0 where there is none.
func generation(fd int) uint32 {
	value, err := unix.IoctlGetUint32(fd, getVersion)
	if err != nil {
		return 0
	}
	return value
}

// hasOpenat2 is false before Linux 5.6 and where a seccomp filter forbids it.
var hasOpenat2 = sync.OnceValue(func() bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: directoryFlags})
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
})

// openBeneath opens name, relative to the directory root, without leaving root and without following any link.
func openBeneath(root int, name string, flags int) (int, error) {
	if !hasOpenat2() {
		return walkBeneath(root, name, flags)
	}
	how := &unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat2(root, name, how)
		return err
	})
	return fd, err
}

// retry repeats a system call that was interrupted, or that raced with a rename (openat2 says EAGAIN).
func retry(call func() error) error {
	const attempts = 100
	var err error
	for range attempts {
		if err = call(); !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
	return fmt.Errorf("interrupted %d times: %w", attempts, err)
}
