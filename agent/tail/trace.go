package tail

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// traceTries is how often a directory is read before a file in it is taken for gone: one that is renamed while that
// happens may show under neither name.
const traceTries = 3

// trace looks for a file that has none of the names that match: it was renamed, compressed or deleted.
func (s *Set) trace(f *File) {
	if found, err := s.disk.Look(f.path); err == nil && found.Regular && f.id.sameInode(found.ID) && !f.live {
		s.note(f.path, found, false) // a rotated file where it was before
		return
	}
	for range traceTries {
		names, _ := s.disk.List(filepath.Dir(f.path))
		if s.tracePlain(f, names) || s.traceGzip(f, names) {
			return
		}
	}
	f.gone, f.live, f.changed = true, false, s.now()
	if f.fd != nil {
		if found, err := f.fd.Look(); err == nil {
			if found.Size > f.size {
				f.changed = s.now()
			}
			f.size = found.Size
		}
	}
}

// tracePlain looks for another name of the file in its directory.
func (s *Set) tracePlain(f *File, names []string) bool {
	for _, name := range names {
		path := filepath.Join(filepath.Dir(f.path), name)
		found, err := s.disk.Look(path)
		if err != nil || !found.Regular || !f.id.sameInode(found.ID) {
			continue
		}
		if s.find(found.ID) == f || s.findGzip(found.ID) == f {
			s.note(path, found, false)
			f.rotate(true)
			return true
		}
	}
	return false
}

// traceGzip looks for the compressed form of a file whose plain form has no name any more: the one with its name if it
// begins alike, or else the oldest that begins alike and goes on alike up to the position. A file that was empty when
// it was last seen begins like all: then its name tells nothing, for it may have been its successor's since.
func (s *Set) traceGzip(f *File, names []string) bool {
	if !s.cfg.Compressed || f.gzip {
		return false // what has been compressed is known by its inode
	}
	if f.fd != nil && f.head.Bytes < HeadBytes {
		f.readHead()
	}
	// A file that was here a moment ago and need not be read from there costs no decompression.
	thorough := f.fd == nil && !f.finished || f.head.Bytes < HeadBytes || f.scan == 0
	if f.head.Bytes > 0 && s.tryGzip(f, f.path+gzSuffix, thorough) {
		return true
	}
	return slices.ContainsFunc(compressedForms(f, names), func(path string) bool { return s.tryGzip(f, path, true) })
}

// compressedForms lists the names that a compressed form of f may have, from old to new. Rotation moves a number up,
// and leaves a time as it is.
func compressedForms(f *File, names []string) []string {
	_, numbered := rotatedNumber(f.source, f.path)
	var paths []string
	for _, name := range names {
		path := filepath.Join(filepath.Dir(f.path), name)
		if !strings.HasPrefix(name, filepath.Base(f.source)) || !strings.HasSuffix(name, gzSuffix) {
			continue
		}
		if order := compareRotated(f.source, path, f.path); !f.rotated || order == 0 || numbered && order < 0 {
			paths = append(paths, path)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return compareRotated(f.source, a, b) })
	return paths
}

// tryGzip makes f go on in path if that is its compressed form. A thorough look also compares what precedes the
// position, for which all before it has to be decompressed. Rotation may give the name to another file meanwhile: only
// what was opened is looked at.
func (s *Set) tryGzip(f *File, path string, thorough bool) bool {
	if s.exists(strings.TrimSuffix(path, gzSuffix)) {
		return false // another file is being compressed
	}
	fd, err := s.disk.Open(s.root(path), path)
	if err != nil {
		return false
	}
	defer fd.Close()
	found, err := fd.Look()
	if err != nil || s.findGzip(found.ID) != nil || !f.compressedIn(fd, thorough) {
		return false
	}
	if born := time.Unix(0, f.id.Birth).Truncate(time.Second); f.head.Bytes == 0 && found.Changed.Before(born) {
		return false // it was written before f was there
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
