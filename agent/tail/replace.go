package tail

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What is here is about what becomes of a file that does not have any more what was read of it.

// placeReplaced gives files that were truncated a new incarnation, once their names have stopped moving and it is known
// up to where they were read.
func (s *Set) placeReplaced(changes *Changes) {
	for _, f := range slices.Clone(s.files) {
		if !f.replaced || f.gone || f.rotated && f.gzip {
			continue
		}
		if s.cfg.InUse != nil && s.cfg.InUse(f) {
			s.hold(f.source)
		}
		if !s.vanished[f.source] {
			s.compare(f.source)
		}
		if !s.vanished[f.source] {
			s.replace(f, changes)
		}
	}
}

// copyFound is what is known of the copy of a truncated file.
type copyFound struct {
	// at is its place among the copies, -1 if there is none.
	at int
	// goesOn says that it holds all that was read of the file; past that it ends before that.
	goesOn, past bool
	// cut is the last mark of the file that it has, if a power cut came before the truncation: what is behind may be new.
	cut *Mark
}

// findCopy looks for the copy of f.
func (s *Set) findCopy(f *File, copies []candidate) (found copyFound) {
	found.at = slices.IndexFunc(copies, func(c candidate) bool {
		found.goesOn = s.goesOnIn(c, f)
		found.past = !found.goesOn && !f.shorn && !f.earlier() && s.readPast(c, f)
		return found.goesOn || found.past
	})
	if found.at < 0 && f.shorn {
		found.at, found.cut = s.cutIn(copies, f)
	}
	return found
}

// replace makes the old incarnation of f go on in its copy, if there is one, and a new one of what is there now. Copies
// that were made after that one hold what was written and truncated while nobody looked: they come between.
func (s *Set) replace(f *File, changes *Changes) {
	f.closeFile()
	s.unwatchFile(f)
	next := s.reborn(f)
	copies := s.unknownForms(f.source, s.forms[f.source])
	found := s.findCopy(f, copies)
	switch {
	case s.vanished[f.source]:
		return // one of them has another name by now
	case f.cutMoreThan(found):
		s.goOnBehind(f, next, changes)
		return
	case found.past && s.cfg.Unsettled != nil && s.cfg.Unsettled(f):
		f.passed, f.size = true, f.position
		s.hold(f.source) // after a crash it is read again, from the copy
		return
	}
	behind, ok := s.between(f, next, copies, found, changes)
	if !ok {
		if next != nil {
			next.closeFile()
		}
		s.hold(f.source)
		return
	}
	f.cut = nil // it was truncated
	if found.goesOn {
		s.moveTo(f, copies[found.at])
	} else {
		f.gone, f.live = true, false
		s.noteRemains(f)
	}
	if found.cut != nil {
		s.leave(f, behind[0])
	}
	if next != nil {
		s.add(next)
		s.chain(f, append(behind, next), changes)
	}
}

// between makes files of what comes between a truncated file and next. It is false if something can't be read for now.
func (s *Set) between(
	f, next *File, copies []candidate, found copyFound, changes *Changes,
) (behind []*File, ok bool) {
	ok = true
	if found.cut != nil {
		first := s.goOnInCopy(f, copies[found.at], *found.cut, changes)
		if ok = first != nil; ok {
			behind = append(behind, first)
		}
	}
	if found.at >= 0 && next != nil { // else they may be of anything, or are of what next's earlier life knows
		behind = append(behind, s.later(copies[found.at+1:], next, changes)...)
	}
	ok = ok && !s.vanished[f.source] && (!found.past || s.passOver(copies[found.at], f, changes))
	if !ok {
		for _, g := range behind {
			s.drop(g)
		}
	}
	return behind, ok
}

// chain tells of files that come one behind the other, and all behind f. The last one has its name.
func (s *Set) chain(f *File, files []*File, changes *Changes) {
	before := f
	for _, g := range files {
		g.id.Incarnation = before.id.Incarnation + 1
		changes.New = append(changes.New, Found{File: g, Before: before})
		before = g
	}
	if s.newest[f.source] == f {
		s.newest[f.source] = before
	}
}

// later makes files of copies that were made after that of a truncated file, but for one that is being made of what is
// there now. If one of them can't be read for now, the name is held.
func (s *Set) later(copies []candidate, next *File, changes *Changes) []*File {
	done := slices.DeleteFunc(copies, func(c candidate) bool {
		prefix, err := s.isPrefix(c, next.path)
		s.heldFor(next.source, c.path, err)
		return prefix
	})
	return s.createAll(done, next.source, changes)
}

// reborn returns the next incarnation of f, nil if an earlier life has stored it.
func (s *Set) reborn(f *File) *File {
	if s.hasSuccessor(f) {
		return nil
	}
	next := &File{
		set: s, id: f.id, born: f.born, source: f.source, path: f.path, live: f.live, rotated: f.rotated, changed: s.now(),
		boot: s.boot, scan: s.scans, watch: -1,
	}
	next.id.Incarnation++
	next.Rewind(Mark{})
	if found, err := s.disk.Look(f.path); err == nil && f.id.sameInode(found.ID) {
		next.size = found.Size
	}
	return next
}

// hasSuccessor tells whether a newer incarnation of f is known.
func (s *Set) hasSuccessor(f *File) bool {
	return slices.ContainsFunc(s.byInode[f.id.Inode], func(g *File) bool {
		return !g.gzip && g.id.Incarnation > f.id.Incarnation && g.id.sameInode(f.id)
	})
}

// moveTo makes f go on in a copy, to which nobody writes.
func (s *Set) moveTo(f *File, c candidate) {
	s.move(f, c.info.ID)
	f.path, f.size, f.gzip = c.path, c.info.Size, strings.HasSuffix(c.path, gzSuffix)
	f.live, f.rotated, f.replaced, f.scan, f.changed, f.boot = false, true, false, s.scans, time.Time{}, s.boot
}

// passOver notes that all of a copy of f was read before f was truncated; false if it has to be looked for again.
func (s *Set) passOver(c candidate, f *File, changes *Changes) bool {
	done := s.create(c, f.source, changes)
	if done == nil {
		return false
	}
	if err := done.seekEnd(); err != nil {
		s.drop(done)
		if !s.refused(c.path, err) {
			changes.Problems = append(changes.Problems, Problem{c.path, err})
		}
		return false
	}
	done.Finish()
	changes.New = append(changes.New, Found{File: done})
	return true
}

// noteRemains finds the copy that f was read further than, so that the beginning of f can be read again, and what is
// left in f of others.
func (s *Set) noteRemains(f *File) {
	for _, g := range s.files {
		if g.finished && !g.gone && g.source == f.source && g != f && g.head == f.head && f.head.Bytes > 0 {
			for ref, r := range s.remains {
				if r.in == f {
					s.remains[ref] = remains{in: g, end: r.end, copied: true}
				}
			}
			s.remains[f.Ref] = remains{in: g, end: math.MaxInt64, copied: true}
		}
	}
}

// seekEnd moves the position to the end of a file of which nothing is to be read.
func (f *File) seekEnd() error {
	if f.gzip {
		return nil
	}
	end, err := bytesBefore(f.fd, f.size)
	if err != nil {
		return err
	}
	f.position, f.tail, f.mark = f.size, end, Mark{Offset: f.size, Hash: xxhash.Sum64(end)}
	return nil
}
