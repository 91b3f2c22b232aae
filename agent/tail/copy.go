package tail

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What is here is about copytruncate: a log is copied to a rotated name, and then truncated. The copy has an inode that
// nobody knows, and the log one that is known, but other bytes.

// suspect is a file that looks like a copy of a log that was not truncated yet: since when, and in which pass it was
// seen last.
type suspect struct {
	at   time.Time
	scan uint64
}

// missing is called when the bytes that were read are not there. In a copy they never were; a log was truncated.
func (f *File) missing() error {
	if f.copied {
		return ErrNotFound
	}
	f.truncate()
	return ErrReplaced
}

// truncate notes that the file does not continue what was read of it. Its copy is there by now, if there is one.
func (f *File) truncate() {
	if f.of != nil && f.of.id == f.id {
		f.of.truncate()
	}
	if !f.replaced {
		f.replaced = true
		f.set.Rescan()
	}
}

// changedUnderneath tells whether bytes that were seen are not there any more, of a file that is open or has its name.
func (f *File) changedUnderneath() bool {
	if f.gzip || f.open() != nil {
		return false // another pass finds it under another name
	}
	found, err := f.fd.Look()
	if err != nil || f.mayHaveLostCache(found.Size) {
		return false
	}
	before := make([]byte, min(f.position, MarkBytes))
	if _, err := f.fd.ReadAt(before, f.position-int64(len(before))); err != nil {
		return errors.Is(err, io.EOF)
	}
	return !f.headMatches(f.fd) || !f.continues(before)
}

// copied returns the log that c would be a copy of by its name.
func (s *Set) copied(c candidate) *File {
	match := rotatedName.FindStringSubmatch(c.path)
	if match == nil {
		return nil
	}
	f := s.newest[match[1]]
	if f == nil || !f.live || f.rotated || f.gone || f.replaced {
		return nil
	}
	return f
}

// mayBeCopy tells whether c is a copy of a log that is about to be truncated, or of one that has just been.
func (s *Set) mayBeCopy(c candidate) bool {
	f := s.copied(c)
	if f == nil {
		return false
	}
	if s.isPrefix(c, f) && s.suspected(c.info.ID) <= copyGrace {
		return true
	}
	if f.changedUnderneath() {
		f.truncate()
		s.hold(f.source)
		return true
	}
	return false
}

// suspected returns how long a file has been taken for a copy by now. The clock that dates files may jump: it is not
// asked.
func (s *Set) suspected(id Identity) time.Duration {
	now := s.now()
	first, ok := s.suspects[id]
	if !ok {
		first.at = now
	}
	first.scan = s.scans
	s.suspects[id] = first
	return now.Sub(first.at)
}

// forgetSuspects lets go of what no scan comes upon any more.
func (s *Set) forgetSuspects() {
	maps.DeleteFunc(s.suspects, func(_ Identity, first suspect) bool { return first.scan != s.scans })
}

// isPrefix tells whether c, as far as it is there, begins and ends like that much of f.
func (s *Set) isPrefix(c candidate, f *File) bool {
	if strings.HasSuffix(c.path, gzSuffix) || f.open() != nil {
		return false
	}
	fd, err := s.disk.Open(s.root(c.path), c.path)
	if err != nil {
		return false
	}
	defer fd.Close()
	same := func(offset, n int64) bool {
		a, okA := hashAt(fd, offset, n)
		b, okB := hashAt(f.fd, offset, n)
		return okA && okB && a == b
	}
	size := c.info.Size
	end := min(size, MarkBytes)
	return same(0, min(size, HeadBytes)) && same(size-end, end)
}

// hashAt hashes n bytes from offset on; false if there are less.
func hashAt(r io.ReaderAt, offset, n int64) (uint64, bool) {
	buf := make([]byte, n)
	if n > 0 {
		if _, err := r.ReadAt(buf, offset); err != nil {
			return 0, false
		}
	}
	return xxhash.Sum64(buf), true
}

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

// replace makes the old incarnation of f go on in its copy, if there is one, and a new one of what is there now. Copies
// that were made after that one hold what was written and truncated while nobody looked: they come between.
func (s *Set) replace(f *File, changes *Changes) {
	f.closeFile()
	s.unwatchFile(f)
	next := s.reborn(f)
	copies, goesOn := s.unknownForms(f.source, s.forms[f.source]), false
	i := slices.IndexFunc(copies, func(c candidate) bool {
		goesOn = s.goesOnIn(c, f)
		return goesOn || s.readPast(c, f)
	})
	switch {
	case s.vanished[f.source]:
		return // one of them has another name by now
	case goesOn:
		s.moveTo(f, copies[i])
	case i >= 0 && s.cfg.Unsettled != nil && s.cfg.Unsettled(f):
		f.passed, f.size = true, f.position
		s.hold(f.source) // after a crash it is read again, from the copy
		return
	case i >= 0 && !s.passOver(copies[i], f, changes):
		s.hold(f.source)
		return
	default:
		f.gone, f.live = true, false
		s.noteRemains(f)
	}
	if next == nil {
		return // later copies are of what it knows
	}
	before := f
	for _, c := range copies[i+1:] {
		if i < 0 || s.isPrefix(c, next) {
			continue // it may be of anything, or is being made of what is there now
		}
		if between, err := s.create(c, f.source); err == nil {
			between.id.Incarnation = before.id.Incarnation + 1
			changes.New = append(changes.New, Found{File: between, Before: before})
			before = between
		}
	}
	s.add(next)
	changes.New = append(changes.New, Found{File: next, Before: before})
	if s.newest[f.source] == f {
		s.newest[f.source] = next
	}
}

// reborn returns the next incarnation of f, nil if an earlier life has stored it.
func (s *Set) reborn(f *File) *File {
	if s.hasSuccessor(f) {
		return nil
	}
	next := &File{
		set: s, id: f.id, born: f.born, source: f.source, path: f.path, live: f.live, rotated: f.rotated, changed: s.now(),
		scan: s.scans, watch: -1,
	}
	next.id.Incarnation++
	next.Rewind(Mark{})
	if found, err := s.disk.Look(f.path); err == nil && f.id.sameInode(found.ID) {
		next.size = found.Size
	}
	return next
}

// lookAhead makes the head cover what is there of a file that was not read yet: it may be truncated before it is.
func (f *File) lookAhead() {
	if f.fd == nil || f.gzip || f.position > 0 || int64(f.head.Bytes) >= min(f.size, HeadBytes) {
		return
	}
	if f.headMatches(f.fd) {
		f.readHead()
	} else {
		f.truncate()
	}
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
	f.live, f.rotated, f.replaced, f.scan, f.changed = false, true, false, s.scans, time.Time{}
}

// passOver notes that all of a copy of f was read before f was truncated; false if it has to be looked for again.
func (s *Set) passOver(c candidate, f *File, changes *Changes) bool {
	done, err := s.create(c, f.source)
	if err == nil {
		err = done.seekEnd()
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			changes.Problems = append(changes.Problems, Problem{c.path, err})
		}
		return false
	}
	done.Finish()
	changes.New = append(changes.New, Found{File: done})
	return true
}

// noteRemains finds the copy that f was read further than, so that the beginning of f can be read again.
func (s *Set) noteRemains(f *File) {
	for _, g := range s.files {
		if g.finished && !g.gone && g.source == f.source && g != f && g.head == f.head && f.head.Bytes > 0 {
			s.remains[f.Ref] = g
		}
	}
}

// seekEnd moves the position to the end of a file of which nothing is to be read.
func (f *File) seekEnd() error {
	if f.gzip {
		return nil
	}
	end := make([]byte, min(f.size, MarkBytes))
	if _, err := f.fd.ReadAt(end, f.size-int64(len(end))); err != nil {
		return err
	}
	f.position, f.tail, f.mark = f.size, end, Mark{Offset: f.size, Hash: xxhash.Sum64(end)}
	return nil
}

// goesOnIn tells whether c holds the bytes that were read of f, and at least as many: then it is a copy of f.
func (s *Set) goesOnIn(c candidate, f *File) bool {
	return s.compareCopy(c, f, func(fd Handle) bool {
		if strings.HasSuffix(c.path, gzSuffix) {
			return f.compressedIn(fd, true)
		}
		before := make([]byte, min(f.position, MarkBytes))
		_, err := fd.ReadAt(before, f.position-int64(len(before)))
		return err == nil && f.headMatches(fd) && (&File{position: f.position, mark: f.mark}).continues(before)
	})
}

// readPast tells whether c begins like f and ends before the position: f was read further before it was truncated.
func (s *Set) readPast(c candidate, f *File) bool {
	return s.compareCopy(c, f, func(fd Handle) bool {
		if !strings.HasSuffix(c.path, gzSuffix) {
			return c.info.Size < f.position && f.headMatches(fd)
		}
		head, err := gzipHead(fd, f.head.Bytes)
		if err != nil || head != f.head {
			return false
		}
		_, _, err = newGzipReader(fd, f.position, f.mark)
		return errors.Is(err, io.EOF)
	})
}

// compareCopy tells what is finds in c. If that has another name by now, the next pass compares again.
func (s *Set) compareCopy(c candidate, f *File, is func(fd Handle) bool) bool {
	if f.head.Bytes == 0 {
		return false
	}
	fd, err := s.disk.Open(s.root(c.path), c.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			s.hold(f.source)
		}
		return false
	}
	defer fd.Close()
	if found, err := fd.Look(); err != nil || !c.info.ID.sameInode(found.ID) {
		s.hold(f.source)
		return false
	}
	return is(fd)
}
