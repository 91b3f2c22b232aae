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
	paths   []string // sorted
	files   map[string]Info
	byInode map[uint64][]string
	// gone are paths that were there no more when they were looked at.
	gone map[string]bool
	// whole is false if the disk refused to tell something, or the directory is known to be another by now.
	whole bool
	// before is what was seen a moment ago.
	before *listing
}

// listing looks at the files in a directory, those whose paths are wanted.
func (s *Set) listing(dir string, wanted func(path string) bool) *listing {
	names, err := s.disk.List(dir)
	l := &listing{
		files: make(map[string]Info, len(names)), byInode: make(map[uint64][]string, len(names)),
		gone: map[string]bool{}, whole: !s.refused(dir, err),
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if !wanted(path) {
			continue
		}
		l.paths = append(l.paths, path)
		switch found, err := s.disk.Look(path); {
		case errors.Is(err, fs.ErrNotExist):
			l.gone[path] = true
		case s.refused(path, err):
			l.whole = false
		case err == nil && found.Regular:
			l.files[path] = found
			l.byInode[found.ID.Inode] = append(l.byInode[found.ID.Inode], path)
		}
	}
	return l
}

// relist looks at all of a directory once more.
func (s *Set) relist(dir string) {
	before := s.listings[dir]
	s.listings[dir] = s.listing(dir, func(string) bool { return true })
	if s.listings[dir].before = before; before != nil {
		before.before = nil
	}
}

// still tells whether the files whose paths begin with prefix were the same when the directory was read before: what is
// not among them is not there.
func (l *listing) still(prefix string) bool {
	if !l.whole || l.before == nil {
		return false
	}
	return slices.EqualFunc(l.like(prefix), l.before.like(prefix), func(a, b string) bool {
		return a == b && !l.gone[a] && l.files[a].ID == l.before.files[b].ID
	})
}

// like lists the paths that begin with prefix.
func (l *listing) like(prefix string) []string {
	first, _ := slices.BinarySearch(l.paths, prefix)
	rest := l.paths[first:]
	if end := slices.IndexFunc(rest, func(path string) bool { return !strings.HasPrefix(path, prefix) }); end >= 0 {
		rest = rest[:end]
	}
	return rest
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
		s.relist(dir)
	}
	for range traceTries {
		near := s.listings[dir]
		switch {
		case s.tracePlain(f, near):
			return
		case s.vanished[f.source]: // one before it was not found yet: what looks like this one's may be that one's
			return
		case near.whole && !f.replaced && s.traceGzip(f, near):
			return
		case near.still(f.source):
			s.lose(f)
			return
		}
		s.relist(dir)
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
	for _, path := range near.byInode[f.id.Inode] {
		found := near.files[path]
		if s.find(found.ID) == f || s.findGzip(found.ID) == f || slices.Contains(s.replacedBy(found.ID), f) {
			still := path == f.source // the disk refused to tell a moment ago, or it was renamed back
			s.note(path, found, still)
			f.rotate(!still)
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
	if f.fd != nil && f.head.Bytes < HeadBytes && s.refused(f.path, f.readHead()) {
		near.whole = false
		return false
	}
	// A file that was here a moment ago and need not be read from there costs no decompression.
	thorough := f.fd == nil && !f.finished || f.head.Bytes < HeadBytes || f.scan == 0
	forms := compressedForms(f, near)
	if before := s.before(f); before != nil && f.head.Bytes < HeadBytes && !f.dated() {
		// Others may begin like what is known of it, and have its name by now. But its place is behind that one's.
		place := near.place(before)
		if place == "" {
			near.whole = false // names moved meanwhile
			return false
		}
		forms = slices.DeleteFunc(forms, func(path string) bool { return compareRotated(f.source, place, path) >= 0 })
	} else if f.head.Bytes > 0 && s.tryGzip(f, f.path+gzSuffix, near, thorough) {
		return true
	}
	return slices.ContainsFunc(forms, func(path string) bool {
		return near.whole && s.tryGzip(f, path, near, true) // the next is not it if this one may be
	})
}

// before returns the file that had the name of f before it and has a rotated form of it now, nil if there is none.
func (s *Set) before(f *File) *File {
	i := slices.Index(s.files, f)
	for _, g := range slices.Backward(s.files[:max(i, 0)]) {
		if g.source == f.source && !g.gone && sibling(f.source, g.path) {
			return g
		}
	}
	return nil
}

// place returns the rotated name that f has in a directory: the oldest, if it is seen under two while names move.
func (l *listing) place(f *File) (path string) {
	for _, p := range l.byInode[f.id.Inode] {
		is := f.id.sameInode(l.files[p].ID) && sibling(f.source, p)
		if is && (path == "" || compareRotated(f.source, p, path) < 0) {
			path = p
		}
	}
	return path
}

// compressedForms lists the paths that a compressed form of f may have, from old to new. Rotation moves a number up,
// and leaves a time as it is.
func compressedForms(f *File, near *listing) []string {
	var forms []string
	for _, path := range near.like(f.source) {
		order := compareRotated(f.source, path, f.path)
		if strings.HasSuffix(path, gzSuffix) && (order == 0 || !f.dated() && (!f.rotated || order < 0)) {
			forms = append(forms, path)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return compareRotated(f.source, a, b) })
	return forms
}

// dated tells whether f was rotated to a name that is its own for ever.
func (f *File) dated() bool {
	_, numbered := rotatedNumber(f.source, f.path)
	return f.rotated && !numbered
}

// tryGzip makes f go on in path if that is its compressed form. A thorough look also compares what precedes the
// position, for which all before it has to be decompressed.
func (s *Set) tryGzip(f *File, path string, near *listing, thorough bool) bool {
	seen, ok := near.files[path]
	if _, plain := near.files[strings.TrimSuffix(path, gzSuffix)]; !ok || plain || s.findGzip(seen.ID) != nil {
		return false // it is of another file, perhaps one that is just being compressed
	}
	fd, err := s.disk.Open(s.root(path), path)
	if err != nil {
		near.whole = near.whole && !errors.Is(err, fs.ErrNotExist) && !s.refused(path, err)
		return false
	}
	defer fd.Close()
	found, err := fd.Look()
	if s.refused(path, err) || err != nil || !seen.ID.sameInode(found.ID) {
		near.whole = false // another file has this name by now
		return false
	}
	is, err := f.compressedIn(fd, thorough)
	if is && err == nil {
		is, err = s.fitsBest(f, fd, near)
	}
	if !is || err != nil {
		near.whole = near.whole && !s.refused(path, err)
		return false
	}
	born := time.Unix(0, f.id.Birth).Truncate(time.Second)
	if f.head.Bytes == 0 && !f.dated() && found.Changed.Before(born) {
		return false // it was written before f was there
	}
	// A descriptor of the plain form stays open: reading goes on there.
	s.unwatchFile(f)
	s.move(f, found.ID)
	f.path, f.gzip, f.rotated, f.live, f.scan, f.gone = path, true, true, false, s.scans, false
	return true
}

// fitsBest tells whether fd, which begins like f, does not also begin like more of another file whose plain form has no
// name any more. Of a short file that may be all there is to know.
func (s *Set) fitsBest(f *File, fd Handle, near *listing) (bool, error) {
	for _, g := range s.files {
		if g.source != f.source || g.gzip || g.replaced || g.head.Bytes <= f.head.Bytes || near.place(g) != "" {
			continue
		}
		if is, err := g.compressedIn(fd, true); is || passing(err) {
			return false, err
		}
	}
	return true, nil
}

// compressedIn tells whether fd begins like f, compressed, and with thorough goes on like it up to the position. A
// finished file ends there. An error says why it is not taken for that.
func (f *File) compressedIn(fd Handle, thorough bool) (bool, error) {
	head, err := gzipHead(fd, max(f.head.Bytes, 1))
	if err != nil || head.Bytes < f.head.Bytes || f.head.Bytes > 0 && head != f.head {
		return false, err
	}
	if !thorough {
		return true, nil
	}
	zip, _, err := newGzipReader(fd, f.position, f.mark)
	if err != nil || !f.finished {
		return err == nil, err
	}
	switch n, err := zip.peek(make([]byte, 1)); {
	case n > 0:
		return false, nil
	case passing(err):
		return false, err
	}
	return true, nil
}
