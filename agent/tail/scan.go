package tail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// candidate is a name that a Scan found.
type candidate struct {
	path string
	info info
}

// traceTries is how often a directory is read before a file in it is taken for gone: one that is renamed while that
// happens may show under neither name.
const traceTries = 3

// Scan looks at all names. It opens only files that are new, and those that may be compressed forms of known ones.
func (s *Set) Scan() (Changes, error) {
	s.scans++
	s.rescan = false
	var changes Changes
	unknown, err := s.match(&changes)
	if err != nil {
		return changes, err
	}
	for _, f := range s.files {
		if f.scan != s.scans && !f.gone {
			s.trace(f)
		}
	}
	unknown = s.placeReplaced(unknown, &changes)
	s.present = map[string]bool{}
	for _, c := range unknown {
		s.present[c.path] = true
	}
	slices.SortFunc(unknown, func(a, b candidate) int { return s.compareNames(a.path, b.path) })
	for _, c := range unknown {
		s.welcome(c, &changes)
	}
	s.sweep(&changes)
	for _, f := range s.files {
		f.hold()
	}
	s.first = false
	return changes, nil
}

// match looks at every name that matches the patterns. Known files are noted; the others are returned.
func (s *Set) match(changes *Changes) ([]candidate, error) {
	seen := map[string]bool{}
	var unknown []candidate
	for _, pattern := range s.cfg.Include {
		paths, err := doublestar.FilepathGlob(pattern, doublestar.WithNoFollow())
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("look for %s: %w", pattern, err)
		}
		for _, path := range paths {
			if seen[path] || strings.HasSuffix(path, tmpSuffix) || s.excluded(path) {
				continue
			}
			seen[path] = true
			found, err := look(path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				changes.Problems = append(changes.Problems, Problem{path, err})
			case !found.regular:
				err := fmt.Errorf("%s is %s, not a regular file", path, found.mode)
				changes.Problems = append(changes.Problems, Problem{path, err})
			case !s.note(path, found, true):
				unknown = append(unknown, candidate{path, found})
			}
		}
	}
	return unknown, nil
}

func (s *Set) excluded(path string) bool {
	return s.cfg.Accept != nil && !s.cfg.Accept(path)
}

// note brings a known file up to date; false if no file has the inode.
func (s *Set) note(path string, found info, live bool) bool {
	f := s.find(found.id)
	if f == nil || f.gone && f.fd == nil {
		f = s.findGzip(found.id)
		if f == nil {
			return false
		}
		f.path, f.scan = path, s.scans
		return true
	}
	if f.scan == s.scans {
		return true // a hard link: one name is enough
	}
	if f.path != path {
		f.path, f.rotated = path, path != f.source
	}
	if found.size < f.position {
		f.replaced = f.position > 0 && !f.mayHaveLostCache(found.size)
	}
	if found.size > f.size {
		f.changed = s.now()
	}
	f.size, f.live, f.gone, f.scan = found.size, live, false, s.scans
	return true
}

func (f *File) mayHaveLostCache(size int64) bool {
	return f.tail == nil && f.boot != "" && f.boot != f.set.boot && size > 0
}

func (s *Set) findGzip(id Identity) *File {
	for _, f := range s.byInode[id.Inode] {
		if f.gzip && f.id.sameInode(id) {
			return f
		}
	}
	return nil
}

// trace looks for a file that has none of the names that match: it was renamed, compressed or deleted.
func (s *Set) trace(f *File) {
	if found, err := look(f.path); err == nil && found.regular && f.id.sameInode(found.id) && !f.live {
		s.note(f.path, found, false) // a rotated file where it was before
		return
	}
	for range traceTries {
		entries, _ := os.ReadDir(filepath.Dir(f.path))
		if s.tracePlain(f, entries) || s.traceGzip(f, entries) {
			return
		}
	}
	f.gone, f.live = true, false
	if f.fd != nil {
		if found, err := lookAt(f.fd); err == nil {
			if found.size > f.size {
				f.changed = s.now()
			}
			f.size = found.size
		}
	}
}

// tracePlain looks for another name of the file in its directory.
func (s *Set) tracePlain(f *File, entries []os.DirEntry) bool {
	for _, e := range entries {
		path := filepath.Join(filepath.Dir(f.path), e.Name())
		found, err := look(path)
		if err != nil || !found.regular || !f.id.sameInode(found.id) {
			continue
		}
		if s.find(found.id) == f || s.findGzip(found.id) == f {
			s.note(path, found, false)
			f.rotated = true
			return true
		}
	}
	return false
}

// traceGzip looks for the compressed form of a file whose plain form has no name any more: the one with its name if it
// begins alike, or else any that begins alike and goes on alike up to the position.
func (s *Set) traceGzip(f *File, entries []os.DirEntry) bool {
	if !s.cfg.Compressed {
		return false
	}
	dir, base := filepath.Dir(f.path), filepath.Base(f.source)
	// A file that need not be read from there costs no decompression.
	if s.tryGzip(f, f.path+gzSuffix, f.fd == nil && !f.finished) {
		return true
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return strings.HasPrefix(e.Name(), base) && strings.HasSuffix(e.Name(), gzSuffix) &&
			s.tryGzip(f, filepath.Join(dir, e.Name()), true)
	})
}

func (s *Set) tryGzip(f *File, path string, thorough bool) bool {
	found, err := look(path)
	if err != nil || !found.regular || s.findGzip(found.id) != nil || !s.compressedFrom(path, f, thorough) {
		return false
	}
	// A descriptor of the plain form stays open: reading goes on there.
	s.unwatchFile(f)
	s.move(f, found.id)
	f.path, f.gzip, f.rotated, f.live, f.scan, f.gone = path, true, true, false, s.scans, false
	return true
}

// compressedFrom tells whether path holds f compressed. A thorough look also compares what precedes the position, for
// which all before it has to be decompressed.
func (s *Set) compressedFrom(path string, f *File, thorough bool) bool {
	fd, err := openFile(s.root(path), path)
	if err != nil {
		return false
	}
	defer fd.Close()
	head, err := gzipHead(fd, max(f.head.Bytes, 1))
	if err != nil || head.Bytes < f.head.Bytes || f.head.Bytes > 0 && head != f.head {
		return false
	}
	if thorough {
		_, err = newGzipReader(fd, f.position, f.mark)
	}
	return err == nil
}

// placeReplaced gives files that were truncated a new incarnation. If what was read of one goes on in a copy
// (copytruncate), its old incarnation goes on there.
func (s *Set) placeReplaced(unknown []candidate, changes *Changes) []candidate {
	for _, f := range slices.Clone(s.files) {
		if !f.replaced || f.gone || f.rotated && f.gzip {
			continue
		}
		path, id := f.path, f.id
		next := &File{set: s, id: id, source: f.source, path: path, live: f.live, changed: s.now(), scan: s.scans, watch: -1}
		next.id.Incarnation++
		next.Rewind(Mark{})
		if found, err := look(path); err == nil {
			next.size = found.size
		}
		f.closeFile()
		s.unwatchFile(f)
		if i := slices.IndexFunc(unknown, func(c candidate) bool { return s.copiedFrom(c, f) }); i >= 0 {
			s.move(f, unknown[i].info.id)
			f.path, f.replaced, f.rotated, f.size = unknown[i].path, false, true, unknown[i].info.size
			f.scan, f.changed = s.scans, s.now()
			unknown = slices.Delete(unknown, i, i+1)
		} else {
			f.gone, f.live = true, false
		}
		s.add(next)
		s.newest[next.source] = next
		changes.New = append(changes.New, Found{File: next, Before: f})
	}
	return unknown
}

// copiedFrom tells whether c holds the bytes that were read of f, and at least as many: then it is a copy of f.
func (s *Set) copiedFrom(c candidate, f *File) bool {
	if !sibling(f.source, c.path) || c.info.size < f.position || f.head.Bytes == 0 {
		return false
	}
	fd, err := openFile(s.root(c.path), c.path)
	if err != nil {
		return false
	}
	defer fd.Close()
	before := make([]byte, min(f.position, MarkBytes))
	if _, err := fd.ReadAt(before, f.position-int64(len(before))); err != nil {
		return false
	}
	return f.headMatches(fd) && (&File{position: f.position, mark: f.mark}).continues(before)
}

// rotatedName splits the names that rotation makes: app.log.1, app.log-20261123, 0.log.20261123-061718.gz.
var rotatedName = regexp.MustCompile(`^(.+?)[.\-_]\d[\dT:.\-_]*(?:\.gz)?$`)

// sibling tells whether path is a rotated form of live by its name.
func sibling(live, path string) bool {
	match := rotatedName.FindStringSubmatch(path)
	return match != nil && match[1] == live
}

// welcome takes a file that no one knows. If another file had its name, or it is a rotated form of that name, it is read
// behind the newest such file.
func (s *Set) welcome(c candidate, changes *Changes) {
	if s.findGzip(c.info.id) != nil || s.find(c.info.id) != nil {
		return // the compressed form of a known file, or a second name of one that is new itself
	}
	zipped := strings.HasSuffix(c.path, gzSuffix)
	switch {
	case zipped && !s.cfg.Compressed:
		return
	case zipped && (exists(strings.TrimSuffix(c.path, gzSuffix)) || s.has(strings.TrimSuffix(c.path, gzSuffix))):
		return // it is just being made: a later scan finds its plain form gone, and takes it for that
	case s.cfg.IgnoreOlder > 0 && s.now().Sub(c.info.changed) > s.cfg.IgnoreOlder:
		return
	case !zipped && s.mayBeCopy(c):
		return // a later scan will tell
	}
	name := s.nameOf(c.path)
	before := s.newest[name]
	if before != nil && (!before.rotated && !before.gone || name != c.path && !s.newer(c.path, before)) {
		before = nil // it still has the name, or had it later
	}
	if name == c.path {
		for _, between := range s.between(before, c) {
			changes.New = append(changes.New, Found{File: between, Before: before})
			before = between
		}
	}
	f, err := s.create(c, name)
	if err != nil {
		changes.Problems = append(changes.Problems, Problem{c.path, err})
		return
	}
	if before != nil || name == c.path || s.present[name] {
		s.newest[name] = f
	}
	if s.cfg.StartAtEnd && s.first {
		s.skip(f)
	}
	changes.New = append(changes.New, Found{File: f, Before: before})
}

// nameOf returns the live name that path is a rotated form of, if a file has or had it, or path itself.
func (s *Set) nameOf(path string) string {
	match := rotatedName.FindStringSubmatch(path)
	if match != nil && (s.newest[match[1]] != nil || s.present[match[1]]) {
		return match[1]
	}
	return path
}

// compareNames orders new files: the rotated forms of a name from old to new, then the one that has it.
func (s *Set) compareNames(a, b string) int {
	live := s.nameOf(a)
	if other := s.nameOf(b); other != live {
		return cmp.Compare(live, other)
	}
	switch {
	case a == live:
		return 1
	case b == live:
		return -1
	default:
		return compareRotated(live, a, b)
	}
}

// has tells whether a known file had the name when it was last looked at.
func (s *Set) has(path string) bool {
	return slices.ContainsFunc(s.files, func(f *File) bool { return f.path == path && !f.gone })
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// create adds a file that was seen for the first time; name is its live name, whether it still has it or not.
func (s *Set) create(c candidate, name string) (*File, error) {
	zipped := strings.HasSuffix(c.path, gzSuffix)
	f := &File{
		set: s, id: c.info.id, source: name, path: c.path, size: c.info.size, changed: s.now(),
		live: !zipped && name == c.path, rotated: name != c.path, gzip: zipped, scan: s.scans, watch: -1,
	}
	if zipped && name == c.path {
		f.source = strings.TrimSuffix(c.path, gzSuffix)
	}
	f.Rewind(Mark{})
	if err := f.admit(); err != nil {
		f.closeFile()
		return nil, err
	}
	s.add(f)
	return f, nil
}

// skip moves a file's position behind its last whole line. A compressed one can have no other: it is done with.
func (s *Set) skip(f *File) {
	if f.gzip {
		f.Finish()
		return
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		if err != nil || n == 0 {
			return
		}
		if f.size-f.position > int64(len(buf)) {
			f.Advance(n, buf[:n])
			continue
		}
		end := strings.LastIndexByte(string(buf[:n]), '\n') + 1
		f.Advance(end, buf[:end])
		return
	}
}

// mayBeCopy tells whether c may be a copy of a file that is about to be truncated (copytruncate).
func (s *Set) mayBeCopy(c candidate) bool {
	if s.now().Sub(c.info.changed) > copyGrace {
		return false
	}
	for _, f := range s.files {
		if f.live && !f.rotated && !f.gone && f.position > 0 && sibling(f.source, c.path) && s.copiedFrom(c, f) {
			return true
		}
	}
	return false
}

// between returns the files that came after before and were rotated away before live took the name, oldest first: what
// happened while nobody looked.
func (s *Set) between(before *File, live candidate) []*File {
	if before == nil {
		return nil
	}
	dir := filepath.Dir(live.path)
	entries, _ := os.ReadDir(dir)
	var missed []candidate
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !sibling(live.path, path) || strings.HasSuffix(path, tmpSuffix) || !s.newer(path, before) {
			continue
		}
		found, err := look(path)
		if err != nil || !found.regular || s.find(found.id) != nil || s.findGzip(found.id) != nil {
			continue
		}
		if zipped := strings.HasSuffix(path, gzSuffix); zipped && (!s.cfg.Compressed || exists(strings.TrimSuffix(path, gzSuffix))) {
			continue
		}
		missed = append(missed, candidate{path, found})
	}
	slices.SortFunc(missed, func(a, b candidate) int { return compareRotated(live.path, a.path, b.path) })
	var out []*File
	for _, c := range missed {
		if f, err := s.create(c, live.path); err == nil {
			out = append(out, f)
		}
	}
	return out
}

// newer tells whether the rotated file path was in use after before.
func (s *Set) newer(path string, before *File) bool {
	if !before.gone {
		return compareRotated(before.source, before.path, path) < 0
	}
	found, err := look(path)
	return err == nil && found.changed.UnixNano() > before.id.Birth
}

// compareRotated orders rotated names from old to new: numbers count down (app.log.2, app.log.1), times count up.
func compareRotated(live, a, b string) int {
	number := func(path string) (int, bool) {
		text := strings.TrimSuffix(strings.TrimPrefix(path, live), gzSuffix)
		n, err := strconv.Atoi(strings.TrimLeft(text, ".-_"))
		return n, err == nil && n < 100_000
	}
	n, numbered := number(a)
	m, numberedToo := number(b)
	if numbered && numberedToo {
		return cmp.Compare(m, n)
	}
	return cmp.Compare(strings.TrimSuffix(a, gzSuffix), strings.TrimSuffix(b, gzSuffix))
}

// sweep reports files that are no more.
func (s *Set) sweep(changes *Changes) {
	for _, f := range slices.Clone(s.files) {
		if f.gone && (f.fd == nil || f.finished) {
			lost := f.Lag()
			if f.finished || f.replaced {
				lost = 0
			}
			s.drop(f)
			changes.Gone = append(changes.Gone, Gone{File: f, Lost: lost})
		}
	}
}
