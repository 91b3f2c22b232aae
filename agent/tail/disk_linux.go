package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sys/unix"
)

// machine is the Disk of the machine.
type machine struct{}

// Glob implements Disk.
func (machine) Glob(pattern string) ([]string, []Problem) {
	root, rest := doublestar.SplitPattern(filepath.Clean(pattern))
	dir := &globDir{FS: os.DirFS(root), root: root}
	paths, err := doublestar.Glob(dir, rest, doublestar.WithNoFollow())
	for i, path := range paths {
		paths[i] = filepath.Join(root, path)
	}
	if err != nil {
		dir.unread = append(dir.unread, Problem{pattern, err}) // it is no pattern
	}
	return paths, dir.unread
}

// globDir is the directory of a pattern. It keeps what can't be read in it, which is empty for doublestar.
type globDir struct {
	fs.FS
	root   string
	unread []Problem
}

// ReadDir implements fs.ReadDirFS.
func (d *globDir) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.FS, name)
	d.keep(name, err)
	return entries, err
}

// Stat implements fs.StatFS.
func (d *globDir) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(d.FS, name)
	d.keep(name, err)
	return info, err
}

func (d *globDir) keep(name string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		d.unread = append(d.unread, Problem{filepath.Join(d.root, name), err})
	}
}

// List implements Disk.
func (machine) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, err
}

const statxMask = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_BTIME | unix.STATX_MTIME

// Look implements Disk.
func (machine) Look(path string) (Info, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, statxMask, &st)
	if err != nil {
		return Info{}, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return fromStatx(&st), nil
}

// handle is the Handle of a file of the machine.
type handle struct{ *os.File }

// Look implements Handle.
func (h handle) Look() (Info, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(h.Fd()), "", unix.AT_EMPTY_PATH, statxMask, &st); err != nil {
		return Info{}, &os.PathError{Op: "statx", Path: h.Name(), Err: err}
	}
	return fromStatx(&st), nil
}

// ReadAround implements Handle.
func (h handle) ReadAround(before, buf []byte, offset int64) (int, error) {
	for {
		n, err := unix.Preadv(int(h.Fd()), [][]byte{before, buf}, offset)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Reopen implements Handle.
func (h handle) Reopen() (Handle, error) {
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", h.Fd()))
	if err != nil {
		return nil, err
	}
	return handle{again}, nil
}

func fromStatx(st *unix.Statx_t) Info {
	out := Info{
		ID:      Identity{Inode: st.Ino},
		Size:    int64(st.Size),
		Regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
		Mode:    kind(st.Mode),
		Changed: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		out.ID.Birth = st.Btime.Sec*int64(time.Second) + int64(st.Btime.Nsec)
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

// Open implements Disk. Whoever may write below root can't lead the agent to other files by symbolic links, and nothing
// that could block or act is opened.
func (machine) Open(root, path string) (Handle, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY
	fd, err := openBelow(root, path, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := handle{os.NewFile(uintptr(fd), path)}
	found, err := f.Look()
	if err == nil && !found.Regular {
		err = fmt.Errorf("%s is %s, not a regular file", path, found.Mode)
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

// Generation implements Handle.
func (h handle) Generation() uint32 {
	v, err := unix.IoctlGetInt(int(h.Fd()), fsIocGetVersion)
	if err != nil {
		return 0
	}
	return uint32(v)
}

// Boot implements Disk.
func (machine) Boot() (name string, since time.Time) {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return "", time.Time{}
	}
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", time.Time{}
	}
	return strings.TrimSpace(string(data)), time.Now().Add(-time.Duration(up.Nano()))
}
