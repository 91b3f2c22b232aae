package tail

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// traceTries is how often a directory is read again while its files are renamed.
const traceTries = 3

// listing is what was seen in a directory: one file under two names, or under none, if it was renamed meanwhile.
type listing struct {
	names   []string // sorted
	files   map[string]Info
	byInode map[uint64][]string
	// gone are names that were there no more when they were looked at.
	gone map[string]bool
	// whole is false if the directory could not be read, or is known to be another by now.
	whole bool
	// before is what was seen a moment ago.
	before *listing
}

// listing reads a directory.
func (s *Set) listing(dir string, before *listing) *listing {
	names, err := s.disk.List(dir)
	l := &listing{
		names: names, files: make(map[string]Info, len(names)), byInode: make(map[uint64][]string, len(names)),
		gone: map[string]bool{}, whole: err == nil || errors.Is(err, fs.ErrNotExist), before: before,
	}
	for _, name := range names {
		switch found, err := s.disk.Look(filepath.Join(dir, name)); {
		case errors.Is(err, fs.ErrNotExist):
			l.gone[name] = true
		case err == nil && found.Regular:
			l.files[name] = found
			l.byInode[found.ID.Inode] = append(l.byInode[found.ID.Inode], name)
		}
	}
	if before != nil {
		before.before = nil
	}
	return l
}

// still tells whether the files whose names begin with prefix were the same when the directory was read before: what is
// not among them is not there.
func (l *listing) still(prefix string) bool {
	if !l.whole || l.before == nil {
		return false
	}
	return slices.EqualFunc(l.named(prefix), l.before.named(prefix), func(a, b string) bool {
		return a == b && !l.gone[a] && l.files[a].ID == l.before.files[b].ID
	})
}

func (l *listing) named(prefix string) []string {
	first, _ := slices.BinarySearch(l.names, prefix)
	rest := l.names[first:]
	end := slices.IndexFunc(rest, func(name string) bool { return !strings.HasPrefix(name, prefix) })
	if end < 0 {
		end = len(rest)
	}
	return rest[:end]
}

// trace looks for a file that has none of the names that match: it was renamed, compressed or deleted. It is taken for
// deleted only if no name like its own moved meanwhile: else the next pass looks again.
func (s *Set) trace(f *File) {
	if found, err := s.disk.Look(f.path); err == nil && found.Regular && f.id.sameInode(found.ID) && !f.live {
		s.note(f.path, found, false) // a rotated file where it was before
		return
	}
	dir := filepath.Dir(f.path)
	if s.listings[dir] == nil {
		s.listings[dir] = s.listing(dir, nil)
	}
	for range traceTries {
		near := s.listings[dir]
		if s.tracePlain(f, near) || s.traceGzip(f, near) {
			return
		}
		if near.still(filepath.Base(f.source)) {
			s.lose(f)
			return
		}
		s.listings[dir] = s.listing(dir, near)
	}
	s.hold(f.source)
}

// lose notes that f has no name any more. What is open can still be read.
func (s *Set) lose(f *File) {
	f.gone, f.live, f.changed = true, false, s.now()
	if f.fd != nil {
		if found, err := f.fd.Look(); err == nil {
			f.size = found.Size
		}
	}
}

// tracePlain looks for another name of the file in its directory.
func (s *Set) tracePlain(f *File, near *listing) bool {
	for _, name := range near.byInode[f.id.Inode] {
		found := near.files[name]
		if f.id.sameInode(found.ID) && (s.find(found.ID) == f || s.findGzip(found.ID) == f) {
			s.note(filepath.Join(filepath.Dir(f.path), name), found, false)
			f.rotate(true)
			return true
		}
	}
	return false
}

// traceGzip looks for the compressed form of a file whose plain form has no name any more: the one with its name if it
// begins alike, or else the oldest that begins alike and goes on alike up to the position. A file that was empty when
// it was last seen begins like all: then its name tells nothing, for it may have been its successor's since.
func (s *Set) traceGzip(f *File, near *listing) bool {
	if !s.cfg.Compressed || f.gzip {
		return false // what has been compressed is known by its inode
	}
	if f.fd != nil && f.head.Bytes < HeadBytes {
		f.readHead()
	}
	// A file that was here a moment ago and need not be read from there costs no decompression.
	thorough := f.fd == nil && !f.finished || f.head.Bytes < HeadBytes || f.scan == 0
	if f.head.Bytes > 0 && s.tryGzip(f, filepath.Base(f.path)+gzSuffix, near, thorough) {
		return true
	}
	return slices.ContainsFunc(compressedForms(f, near), func(name string) bool {
		return s.tryGzip(f, name, near, true)
	})
}

// compressedForms lists the names that a compressed form of f may have, from old to new. Rotation moves a number up,
// and leaves a time as it is.
func compressedForms(f *File, near *listing) []string {
	source, seen := filepath.Base(f.source), filepath.Base(f.path)
	_, numbered := rotatedNumber(source, seen)
	var forms []string
	for _, name := range near.named(source) {
		if !strings.HasSuffix(name, gzSuffix) {
			continue
		}
		if order := compareRotated(source, name, seen); !f.rotated || order == 0 || numbered && order < 0 {
			forms = append(forms, name)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return compareRotated(source, a, b) })
	return forms
}

// tryGzip makes f go on in the file with that name if it is its compressed form. A thorough look also compares what
// precedes the position, for which all before it has to be decompressed.
func (s *Set) tryGzip(f *File, name string, near *listing, thorough bool) bool {
	seen, ok := near.files[name]
	if _, plain := near.files[strings.TrimSuffix(name, gzSuffix)]; !ok || plain || s.findGzip(seen.ID) != nil {
		return false // it is of another file, perhaps one that is just being compressed
	}
	path := filepath.Join(filepath.Dir(f.path), name)
	fd, err := s.disk.Open(s.root(path), path)
	if err != nil {
		near.whole = near.whole && !errors.Is(err, fs.ErrNotExist)
		return false
	}
	defer fd.Close()
	found, err := fd.Look()
	if err != nil || !seen.ID.sameInode(found.ID) {
		near.whole = false // another file has this name by now
		return false
	}
	if !f.compressedIn(fd, thorough) {
		return false
	}
	if _, numbered := rotatedNumber(f.source, f.path); f.head.Bytes == 0 && (numbered || !f.rotated) {
		if found.Changed.Before(time.Unix(0, f.id.Birth).Truncate(time.Second)) {
			return false // it was written before f was there
		}
	}
	// A descriptor of the plain form stays open: reading goes on there.
	s.unwatchFile(f)
	s.move(f, found.ID)
	f.path, f.gzip, f.rotated, f.live, f.scan, f.gone = path, true, true, false, s.scans, false
	return true
}

// compressedIn tells whether fd begins like f, compressed, and with thorough goes on like it up to the position. A
// finished file ends there.
func (f *File) compressedIn(fd Handle, thorough bool) bool {
	head, err := gzipHead(fd, max(f.head.Bytes, 1))
	if err != nil || head.Bytes < f.head.Bytes || f.head.Bytes > 0 && head != f.head {
		return false
	}
	if !thorough {
		return true
	}
	zip, _, err := newGzipReader(fd, f.position, f.mark)
	if err != nil || !f.finished {
		return err == nil
	}
	n, _ := zip.peek(make([]byte, 1))
	return n == 0
}
