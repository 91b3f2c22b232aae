package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// candidate is a name that a Scan found.
type candidate struct {
	path string
	info Info
}

// scanPasses is how often a Scan looks at all names while they are moved.
const scanPasses = 4

// Scan looks at all names. It opens only files that are new, and those that may be compressed forms of known ones.
func (s *Set) Scan() Changes {
	s.forms = map[string]map[string]Info{}
	var all Changes
	for range scanPasses {
		changes := s.pass()
		all.New, all.Cut, all.Problems = append(all.New, changes.New...), append(all.Cut, changes.Cut...), changes.Problems
		if len(s.vanished) == 0 {
			break
		}
	}
	s.sweep(&all)
	s.forgetSuspects()
	for _, f := range s.files {
		f.hold()
		f.lookAhead()
	}
	s.first = false
	all.Problems = append(all.Problems, s.refusals...)
	return all
}

// pass looks at all names once.
func (s *Set) pass() Changes {
	s.scans++
	s.rescan, s.began, s.refusals = false, s.now(), nil
	var changes Changes
	unknown := s.match(&changes)
	s.present, s.vanished, s.listings = map[string]bool{}, map[string]bool{}, map[string]*listing{}
	for _, f := range s.files {
		if f.scan != s.scans && !f.gone && (!f.replaced || f.rotated || f.shorn) {
			s.trace(f)
		}
	}
	s.proveAll()
	s.placeReplaced(&changes)
	for _, c := range unknown {
		s.present[c.path] = true
	}
	s.holdRefused()
	s.holdMoved(unknown)
	slices.SortFunc(unknown, func(a, b candidate) int { return s.compareNames(a.path, b.path) })
	for _, c := range unknown {
		s.welcome(c, &changes)
	}
	s.welcomeOrphans(&changes)
	return changes
}

// proveAll looks at the files that were read before the machine was started.
func (s *Set) proveAll() {
	for _, f := range s.files {
		if f.scan == s.scans && f.unproven() {
			s.refused(f.path, f.prove()) // whoever reads it asks again
		}
	}
}

// holdRefused leaves the new files of a name to the next pass if the disk did not tell what all of them are: others may
// come before them. The same goes for the names below a directory that it did not read.
func (s *Set) holdRefused() {
	for _, p := range s.refusals {
		s.present[p.Path] = true
	}
	for _, p := range s.refusals {
		s.hold(s.nameOf(p.Path))
		for _, f := range s.files {
			if strings.HasPrefix(f.source, p.Path+"/") {
				s.hold(f.source)
			}
		}
	}
}

// holdMoved leaves new files to the next pass until all files of their name were the same before and after this one.
// While rotation moves them from name to name, one may be seen twice and another not at all, and that would never be
// read, or too late.
func (s *Set) holdMoved(unknown []candidate) {
	for _, c := range unknown {
		if live := s.nameOf(c.path); !s.vanished[live] {
			s.compare(live)
		}
	}
}

// passingErrors are of a disk, or a machine, that may do tomorrow what it does not today.
var passingErrors = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.ESTALE, syscall.EINTR, syscall.EAGAIN,
	syscall.EBUSY, syscall.ETIMEDOUT,
}

// passing tells whether err is one of these, so that it says nothing about the file.
func passing(err error) bool {
	return err != nil && slices.ContainsFunc(passingErrors, func(reason error) bool { return errors.Is(err, reason) })
}

// refused tells whether err is a passing one, and notes it as a Problem of the Scan at hand. Whoever asks about a file
// must not take it for an answer.
func (s *Set) refused(path string, err error) bool {
	if !passing(err) {
		return false
	}
	s.refusals = append(s.refusals, Problem{path, err})
	return true
}

// heldFor is refused, and leaves the new files of a live name to the next pass then.
func (s *Set) heldFor(live, path string, err error) bool {
	if !s.refused(path, err) {
		return false
	}
	s.hold(live)
	return true
}

// compare holds the new files of a name whose files are not the same as in the last pass.
func (s *Set) compare(live string) {
	sameFile := func(a, b Info) bool { return a.ID == b.ID }
	before := s.forms[live]
	forms, whole := s.formsOf(live)
	if s.forms[live] = forms; !whole || before == nil || !maps.EqualFunc(before, forms, sameFile) {
		s.hold(live)
	}
}

// hold leaves the new files of a live name to the next pass. That comes soon, but not where the disk refuses: it may do
// so for long.
func (s *Set) hold(live string) {
	s.vanished[live] = true
	if len(s.refusals) == 0 {
		s.Rescan()
	}
}

// formsOf returns the file that has a live name and its rotated forms, by path. They are not the whole if one was
// renamed meanwhile, or the disk refused to tell.
func (s *Set) formsOf(live string) (forms map[string]Info, whole bool) {
	l := s.listing(filepath.Dir(live), func(path string) bool {
		return (path == live || sibling(live, path)) && !strings.HasSuffix(path, tmpSuffix)
	})
	return l.files, l.whole && len(l.gone) == 0
}

// match looks at every name that matches the patterns. Known files are noted; the others are returned.
func (s *Set) match(changes *Changes) []candidate {
	seen := map[string]bool{}
	var unknown []candidate
	for _, pattern := range s.cfg.Include {
		paths, unread := s.disk.Glob(pattern)
		for _, p := range unread {
			if !s.refused(p.Path, p.Err) {
				changes.Problems = append(changes.Problems, p)
			}
		}
		for _, path := range paths {
			if seen[path] || strings.HasSuffix(path, tmpSuffix) || s.excluded(path) {
				continue
			}
			seen[path] = true
			found, err := s.disk.Look(path)
			switch {
			case errors.Is(err, fs.ErrNotExist), s.refused(path, err):
			case err != nil:
				changes.Problems = append(changes.Problems, Problem{path, err})
			case !found.Regular:
				err := fmt.Errorf("%s is %s, not a regular file", path, found.Mode)
				changes.Problems = append(changes.Problems, Problem{path, err})
			case !s.note(path, found, true):
				unknown = append(unknown, candidate{path, found})
			}
		}
	}
	return unknown
}

func (s *Set) excluded(path string) bool {
	return s.cfg.Accept != nil && !s.cfg.Accept(path)
}

// note brings a known file up to date; false if no file has the inode.
func (s *Set) note(path string, found Info, live bool) bool {
	f := s.find(found.ID)
	if f == nil || f.gone && f.fd == nil {
		others := s.replacedBy(found.ID)
		if zipped := s.findGzip(found.ID); zipped != nil {
			others = []*File{zipped}
		}
		for _, g := range others {
			g.moved(path)
			g.scan = s.scans
		}
		return len(others) > 0
	}
	if f.scan == s.scans {
		return true // a hard link: one name is enough
	}
	f.moved(path)
	if found.Size < max(f.position, int64(f.head.Bytes)) && !f.earlier() {
		f.truncate()
	}
	if found.Size > f.size {
		f.changed = s.now()
	}
	f.size, f.live, f.gone, f.scan = found.Size, live, false, s.scans
	if path == f.source {
		s.newest[path] = f // copies of it may have been seen later
	}
	return true
}

// moved notes the name that the file has now.
func (f *File) moved(path string) {
	if f.path != path {
		f.path = path
		f.rotate(path != f.source)
	}
}

// sweep reports files that are no more.
func (s *Set) sweep(changes *Changes) {
	for _, f := range slices.Clone(s.files) {
		if f.gone && (f.fd == nil || f.finished) && !s.vanished[f.source] {
			lost := f.Lag()
			if f.finished || f.replaced {
				lost = 0
			}
			s.drop(f)
			changes.Gone = append(changes.Gone, Gone{File: f, Lost: lost})
		}
	}
}
