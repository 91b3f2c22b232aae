package tail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// watcher tells of changes through inotify. Directories are watched for names that come and go. A file is watched for
// one write only, and only while it is idle: a busy file is looked at by the clock, which costs less than an event for
// each write.
type watcher struct {
	fd     *os.File
	events chan []Event
	dirs   map[string]int32
	files  map[int32]*File
}

// Event is something that the kernel told of. Woken knows what it means.
type Event struct {
	watch int32
	mask  uint32
}

const (
	dirMask  = unix.IN_CREATE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_ONLYDIR
	fileMask = unix.IN_MODIFY | unix.IN_ONESHOT
)

// Watch starts to tell of changes on the channel it returns: Woken takes what comes there. It returns an error where
// the kernel has no more inotify instances; scanning works without.
func (s *Set) Watch() (<-chan []Event, error) {
	if _, ok := s.disk.(machine); !ok {
		return nil, errors.New("the disk tells of no changes")
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("start inotify (is fs.inotify.max_user_instances used up?): %w", err)
	}
	s.watch = &watcher{
		fd: os.NewFile(uintptr(fd), "inotify"), events: make(chan []Event, 16), dirs: map[string]int32{},
		files: map[int32]*File{},
	}
	go s.watch.run()
	return s.watch.events, nil
}

// run passes events on until the descriptor is closed.
func (w *watcher) run() {
	defer close(w.events)
	buf := make([]byte, 16<<10)
	for {
		n, err := w.fd.Read(buf)
		if err != nil {
			return
		}
		var events []Event
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			events = append(events, Event{
				watch: int32(binary.NativeEndian.Uint32(buf[at:])), mask: binary.NativeEndian.Uint32(buf[at+4:]),
			})
			at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:]))
		}
		w.events <- events
	}
}

func (w *watcher) close() error {
	if w == nil {
		return nil
	}
	err := w.fd.Close()
	for range w.events { // run ends when it can pass on what it has
	}
	return err
}

// Woken takes events and returns the idle files that were written to.
func (s *Set) Woken(events []Event) []*File {
	var written []*File
	for _, e := range events {
		f := s.watch.files[e.watch]
		switch {
		case e.mask&unix.IN_Q_OVERFLOW != 0:
			s.Rescan()
		case f != nil:
			delete(s.watch.files, e.watch)
			f.watch = -1
			if e.mask&unix.IN_MODIFY != 0 {
				written = append(written, f)
			}
		case e.mask&(dirMask&^unix.IN_ONLYDIR) != 0:
			s.Rescan()
		}
	}
	return written
}

// WatchDirs watches the directories of all files, and those the patterns begin in.
func (s *Set) WatchDirs() {
	if s.watch == nil {
		return
	}
	for _, root := range s.roots {
		s.watchDir(root)
	}
	for _, f := range s.files {
		s.watchDir(filepath.Dir(f.path))
	}
}

func (s *Set) watchDir(dir string) {
	if _, known := s.watch.dirs[dir]; known {
		return
	}
	wd, err := unix.InotifyAddWatch(int(s.watch.fd.Fd()), dir, dirMask)
	if err == nil {
		s.watch.dirs[dir] = int32(wd)
	}
}

// WatchFile has the next write to an idle file told. It reports false if the file was written to meanwhile, or can't be
// watched: then it has to be looked at by the clock.
func (s *Set) WatchFile(f *File) bool {
	if s.watch == nil || f.gone || f.gzip {
		return false
	}
	if f.watch < 0 {
		wd, err := unix.InotifyAddWatch(int(s.watch.fd.Fd()), f.path, fileMask)
		if err != nil {
			return false
		}
		f.watch = int32(wd)
		s.watch.files[f.watch] = f
	}
	found, err := s.disk.Look(f.path)
	if err != nil || found.Size > f.position {
		return false
	}
	return true
}

func (s *Set) unwatchFile(f *File) {
	if s.watch == nil || f.watch < 0 {
		return
	}
	delete(s.watch.files, f.watch)
	_, err := unix.InotifyRmWatch(int(s.watch.fd.Fd()), uint32(f.watch))
	if err != nil && !errors.Is(err, unix.EINVAL) {
		s.Rescan()
	}
	f.watch = -1
}
