package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a walk through the directories.
const (
	maxEntries     = 1 << 18 // names in one directory
	maxDirectories = 1 << 17
	maxDepth       = 32 // directories below a pattern's fixed part
)

// directorySettle is how long a directory's modification time must have stood before it is trusted to tell of every
// change: longer than any file system's time stamps are coarse.
const directorySettle = 2 * time.Second

// version names one listing of one directory.
type version struct {
	dir    *directory
	number uint64
}

// directory is what was last listed of one directory.
type directory struct {
	path, root string
	depth      int

	inode   inode
	mtime   int64
	since   time.Time // when mtime was first seen
	settled bool
	number  uint64 // of listings so far

	files []entry
	odd   []entry // selected by the patterns, and not regular files
	subs  []*directory

	round  uint64 // the scan that visited it last
	failed bool   // it could not be listed: nothing is known of what is in it
}

func (d *directory) version() version { return version{d, d.number} }

// entry is a name in a directory.
type entry struct {
	path string
	kind string // of what is not a regular file
	// selected by the patterns.
	selected bool
}

// walk brings the directories up to date that may hold selected files.
func (sc *scan) walk(ctx context.Context) error {
	queue := make([]*directory, 0, len(sc.dirs)+len(sc.roots))
	for _, root := range sc.roots {
		queue = append(queue, sc.directory(root, root, 0))
	}
	for len(queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if d.round == sc.round {
			continue
		}
		d.round = sc.round
		sc.refresh(d)
		queue = append(queue, d.subs...)
	}
	for name, d := range sc.dirs {
		if d.round != sc.round {
			delete(sc.dirs, name)
			sc.dirsChanged = true
		}
	}
	return nil
}

func (s *Set) directory(name, root string, depth int) *directory {
	d := s.dirs[name]
	if d == nil {
		d = &directory{path: name, root: root, depth: depth}
		s.dirs[name] = d
		s.dirsChanged = true
	}
	return d
}

// refresh lists d again unless it is certain that nothing changed.
func (sc *scan) refresh(d *directory) {
	st, err := statDirectory(d.path)
	switch {
	case isGone(err):
		// A root that is gone may be a volume that is not mounted now: that says nothing about its files.
		d.failed = d.path == d.root
		sc.dirsChanged = sc.dirsChanged || d.inode != inode{}
		d.files, d.odd, d.subs, d.settled, d.inode = nil, nil, nil, false, inode{}
		d.number++
		return
	case err != nil:
		d.failed = true
		sc.refuse(d.path, err)
		return
	}
	if st.inode != d.inode {
		sc.dirsChanged = true // made anew, and so not watched
	}
	if st.inode != d.inode || st.mtime != d.mtime {
		d.inode, d.mtime, d.since, d.settled = st.inode, st.mtime, time.Now(), false
	}
	if d.settled {
		return
	}
	began := time.Now()
	if err := sc.list(d); err != nil {
		d.failed = true
		sc.refuse(d.path, err)
		return
	}
	d.failed, d.settled = false, began.Sub(d.since) >= sc.settle
	d.number++
}

func (sc *scan) list(d *directory) error {
	names, err := readNames(d)
	if err != nil {
		return err
	}
	sc.sort(d, names)
	return nil
}

// readNames reads a directory, which may be huge.
func readNames(d *directory) ([]fs.DirEntry, error) {
	fd, err := openAt(d.root, d.path, openFlags|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), d.path)
	defer func() { _ = dir.Close() }()
	var names []fs.DirEntry
	for {
		some, err := dir.ReadDir(4096)
		names = append(names, some...)
		switch {
		case errors.Is(err, io.EOF):
			return names, nil
		case err != nil:
			return nil, err
		case len(names) > maxEntries:
			return nil, refusal{fmt.Sprintf("more than %d names in the directory", maxEntries)}
		}
	}
}

// sort divides what is in d into files, directories and other things.
func (sc *scan) sort(d *directory, names []fs.DirEntry) {
	d.files, d.odd, d.subs = d.files[:0], d.odd[:0], d.subs[:0]
	for _, name := range names {
		e := entry{path: path.Join(d.path, name.Name())}
		switch kind := name.Type(); {
		case kind.IsRegular():
			e.selected = sc.selectsPath(e.path)
			d.files = append(d.files, e)
			continue
		case kind.IsDir():
			if sub := sc.descend(d, e.path); sub != nil {
				d.subs = append(d.subs, sub)
			}
		}
		if e.kind = oddKind(name.Type()); sc.selectsOdd(e) {
			d.odd = append(d.odd, e)
		}
	}
	slices.SortFunc(d.files, func(a, b entry) int { return strings.Compare(a.path, b.path) })
}

// descend returns the directory to look through, nil if it is of no interest.
func (sc *scan) descend(d *directory, name string) *directory {
	if !slices.ContainsFunc(sc.inputs, func(in input) bool { return in.descends(name) }) {
		return nil
	}
	switch {
	case d.depth == maxDepth:
		sc.refuse(name, refusal{fmt.Sprintf("more than %d directories deep", maxDepth)})
		return nil
	case sc.dirs[name] == nil && len(sc.dirs) >= maxDirectories:
		sc.refuse(name, refusal{fmt.Sprintf("more than %d directories", maxDirectories)})
		return nil
	}
	return sc.directory(name, d.root, d.depth+1)
}

func oddKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// selectsOdd tells whether e has a name that a log file should have. Patterns that end in * select directories by the
// way.
func (s *Set) selectsOdd(e entry) bool {
	for i := range s.inputs {
		in := &s.inputs[i]
		for j := range in.include {
			p := &in.include[j]
			if (p.names || e.kind != "a directory") && p.matches(e.path) && !matchesAny(in.exclude, e.path) {
				return true
			}
		}
	}
	return false
}

func (s *Set) selectsPath(name string) bool {
	for i := range s.inputs {
		if s.inputs[i].selects(name) {
			return true
		}
	}
	return false
}

// isCertain tells whether a name that was not found in dir is really gone.
func (s *Set) isCertain(dir string) bool {
	for {
		if d := s.dirs[dir]; d != nil && d.round == s.round {
			return !d.failed
		}
		parent := path.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}
