package tail

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// OpenState opens the file of a stored state for reading from State.Mark, to make a batch again that was pending. The
// File is none of the set's: the caller releases it. OpenState returns ErrNotFound if no file holds the bytes any more,
// and ErrChanged if the one that held them has others now.
func (s *Set) OpenState(st State) (*File, error) {
	f := s.restored(0, Known{State: st})
	f.finished, f.dormant, f.verified = false, false, true
	changed := false
	for _, open := range s.ways(f) {
		o, err := open()
		if err != nil {
			continue
		}
		r, err := f.wanted().position(o)
		if err == nil {
			f.reader, f.zipped, f.path, f.at = r, o.zipped, o.path, o.stat.inode
			f.size = o.stat.size
			return f, nil
		}
		changed = changed || errors.Is(err, ErrChanged) && f.identity.sameInode(o.identity())
		(&reader{opened: o}).close()
	}
	if changed {
		return nil, fmt.Errorf("open %s at %d: %w", st.Path, st.Mark.Offset, ErrChanged)
	}
	return nil, fmt.Errorf("open %s at %d: %w", st.Path, st.Mark.Offset, ErrNotFound)
}

// ways lists how the file of a state may be opened, the likely ones first.
func (s *Set) ways(f *File) []func() (opened, error) {
	var ways []func() (opened, error)
	if i := slices.IndexFunc(s.files, func(known *File) bool { return known.identity == f.identity }); i >= 0 {
		known := s.files[i]
		ways = append(ways, known.duplicate, func() (opened, error) { return s.openIf(known.path, known.holds) })
	}
	ways = append(ways, func() (opened, error) { return s.openIf(f.path, f.isIn) })
	root := s.rootOf(f.path)
	if root == "" {
		return ways
	}
	d := &directory{path: path.Dir(f.path), root: root}
	names, err := readNames(d)
	if err != nil {
		return ways
	}
	for _, name := range names {
		if name.Type().IsRegular() {
			d.files = append(d.files, entry{path: path.Join(d.path, name.Name())})
		}
	}
	return append(ways, s.waysIn(d, f)...)
}

// waysIn lists how a file may be opened that was renamed or compressed.
func (s *Set) waysIn(d *directory, f *File) []func() (opened, error) {
	var ways []func() (opened, error)
	candidates := (&scan{Set: s, listed: map[*directory][]candidate{}}).names(d)
	for _, c := range candidates {
		if f.isAt(c.stat) {
			ways = append(ways, func() (opened, error) { return s.openIf(c.path, f.isIn) })
		}
	}
	for _, c := range candidates {
		if c.zipped() && s.cfg.Compressed && (f.head.Bytes > 0 || f.Position() > 0) {
			ways = append(ways, func() (opened, error) { return openFile(d.root, c.path) })
		}
	}
	return ways
}

// holds tells whether o is where the bytes of f are now.
func (f *File) holds(o opened) bool { return f.isAt(o.stat) }

// isIn tells whether o is the inode that f began in.
func (f *File) isIn(o opened) bool { return f.isAt(o.stat) && f.identity.sameInode(o.identity()) }

// duplicate returns the open file of f once more.
func (f *File) duplicate() (opened, error) {
	if !f.reader.isOpen() {
		return opened{}, ErrNotFound
	}
	o := f.reader.opened
	fd, err := unix.FcntlInt(uintptr(o.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return opened{}, fmt.Errorf("duplicate descriptor of %s: %w", f.path, err)
	}
	o.fd = fd
	if o.stat, err = statFD(fd); err != nil {
		_ = unix.Close(fd)
		return opened{}, fmt.Errorf("stat %s: %w", f.path, err)
	}
	return o, nil
}

// openIf opens the path if it leads to the right inode.
func (s *Set) openIf(name string, isRight func(opened) bool) (opened, error) {
	root := s.rootOf(name)
	if root == "" {
		return opened{}, ErrNotFound
	}
	o, err := openFile(root, name)
	if err != nil {
		return opened{}, err
	}
	if !isRight(o) {
		(&reader{opened: o}).close()
		return opened{}, ErrNotFound
	}
	return o, nil
}
