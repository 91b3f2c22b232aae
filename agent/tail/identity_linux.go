package tail

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// info is what a look at a name or an open file tells.
type info struct {
	id      Identity
	size    int64
	links   uint32
	regular bool
	mode    string
	changed time.Time
}

const statxMask = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_BTIME | unix.STATX_MTIME |
	unix.STATX_NLINK

// look describes what is at path itself: a symbolic link is not followed.
func look(path string) (info, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, statxMask, &st)
	if err != nil {
		return info{}, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return fromStatx(&st), nil
}

// lookAt describes an open file.
func lookAt(f *os.File) (info, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, statxMask, &st); err != nil {
		return info{}, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	return fromStatx(&st), nil
}

func fromStatx(st *unix.Statx_t) info {
	out := info{
		id:      Identity{Inode: st.Ino},
		size:    int64(st.Size),
		links:   st.Nlink,
		regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
		mode:    kind(st.Mode),
		changed: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		out.id.Birth = st.Btime.Sec*int64(time.Second) + int64(st.Btime.Nsec)
	}
	return out
}

func kind(mode uint16) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	default:
		return "a device"
	}
}

// openFile opens a regular file for reading. No part of its path below root may be a symbolic link, so that whoever may
// write there can't lead the agent to other files; nothing that could block or act is opened.
func openFile(root, path string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY
	fd, err := openBelow(root, path, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	found, err := lookAt(f)
	if err == nil && !found.regular {
		err = fmt.Errorf("%s is %s, not a regular file", path, found.mode)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func openBelow(root, path string, flags int) (int, error) {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
	if !ok {
		return unix.Open(path, flags, 0)
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err := unix.Openat2(dir, rest, &unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.6 only the last part of the path is guarded
		return unix.Open(path, flags, 0)
	}
	return fd, err
}

// fsIocGetVersion is FS_IOC_GETVERSION of linux/fs.h, _IOR('v', 1, long), on 64-bit machines.
const fsIocGetVersion = 0x80087601

// generation returns the inode's generation, 0 where the file system has none.
func generation(f *os.File) uint32 {
	v, err := unix.IoctlGetInt(int(f.Fd()), fsIocGetVersion)
	if err != nil {
		return 0
	}
	return uint32(v)
}

// bootID tells one boot of the machine from another; empty where the kernel does not say.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
