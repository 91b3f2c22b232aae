package tail

import (
	"bytes"
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

// Sought tells whether the file was truncated and its copy is still looked for: one of the next Scans knows.
func (f *File) Sought() bool { return f.replaced && !f.gone && !f.passed && !f.gzip }

// changedUnderneath tells whether bytes that were seen are not there any more, of a file that is open or has its name.
// With an error it is not known.
func (f *File) changedUnderneath() (bool, error) {
	if f.gzip {
		return false, nil
	}
	if err := f.open(); err != nil {
		return false, err // another pass finds it under another name
	}
	found, err := f.fd.Look()
	if err != nil || f.mayHaveLostCache(found.Size) {
		return false, err
	}
	before, err := bytesBefore(f.fd, f.position)
	if err != nil {
		return errors.Is(err, io.EOF), err
	}
	same, err := f.headMatches(f.fd)
	if err != nil {
		return false, err
	}
	return !same || !f.continues(before), nil
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
	prefix, err := s.isPrefix(c, f)
	if prefix && s.suspected(c.info.ID) <= copyGrace || s.heldFor(f.source, c.path, err) {
		return true
	}
	changed, err := f.changedUnderneath()
	if changed {
		f.truncate()
		s.hold(f.source)
	}
	return changed || s.heldFor(f.source, f.path, err)
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

// isPrefix tells whether c, as far as it is there, begins and ends like that much of f. An error says why it is not
// taken for that.
func (s *Set) isPrefix(c candidate, f *File) (bool, error) {
	if strings.HasSuffix(c.path, gzSuffix) {
		return false, nil
	}
	if err := f.open(); err != nil {
		return false, err
	}
	fd, err := s.disk.Open(s.root(c.path), c.path)
	if err != nil {
		return false, err
	}
	defer fd.Close()
	size := c.info.Size
	end := min(size, MarkBytes)
	same, err := sameAt(fd, f.fd, 0, min(size, HeadBytes))
	if same {
		same, err = sameAt(fd, f.fd, size-end, end)
	}
	return same, err
}

// sameAt tells whether n bytes from offset on are the same in both.
func sameAt(a, b io.ReaderAt, offset, n int64) (bool, error) {
	inA, err := readAt(a, offset, n)
	if err != nil {
		return false, err
	}
	inB, err := readAt(b, offset, n)
	return err == nil && bytes.Equal(inA, inB), err
}

// readAt returns n bytes from offset on.
func readAt(r io.ReaderAt, offset, n int64) ([]byte, error) {
	buf := make([]byte, n)
	_, err := r.ReadAt(buf, offset)
	return buf, err
}

// bytesBefore returns the bytes before offset that a mark covers.
func bytesBefore(r io.ReaderAt, offset int64) ([]byte, error) {
	n := min(offset, MarkBytes)
	return readAt(r, offset-n, n)
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
	past := i >= 0 && !goesOn
	switch {
	case s.vanished[f.source]:
		return // one of them has another name by now
	case past && s.cfg.Unsettled != nil && s.cfg.Unsettled(f):
		f.passed, f.size = true, f.position
		s.hold(f.source) // after a crash it is read again, from the copy
		return
	}
	var later []*File
	if i >= 0 && next != nil { // else they may be of anything, or are of what next's earlier life knows
		later = s.later(copies[i+1:], next, changes)
	}
	if s.vanished[f.source] || past && !s.passOver(copies[i], f, changes) {
		for _, between := range later {
			s.drop(between)
		}
		if next != nil {
			next.closeFile()
		}
		s.hold(f.source)
		return
	}
	if goesOn {
		s.moveTo(f, copies[i])
	} else {
		f.gone, f.live = true, false
		s.noteRemains(f)
	}
	if next == nil {
		return
	}
	before := f
	for _, between := range later {
		between.id.Incarnation = before.id.Incarnation + 1
		changes.New = append(changes.New, Found{File: between, Before: before})
		before = between
	}
	s.add(next)
	changes.New = append(changes.New, Found{File: next, Before: before})
	if s.newest[f.source] == f {
		s.newest[f.source] = next
	}
}

// later makes files of copies that were made after that of a truncated file, but for one that is being made of what is
// there now. If one of them can't be read for now, the name is held.
func (s *Set) later(copies []candidate, next *File, changes *Changes) []*File {
	done := slices.DeleteFunc(copies, func(c candidate) bool {
		prefix, err := s.isPrefix(c, next)
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
	switch same, err := f.headMatches(f.fd); {
	case err != nil: // the next Scan tries again
	case same:
		_ = f.readHead() // as before
	default:
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
	end, err := bytesBefore(f.fd, f.size)
	if err != nil {
		return err
	}
	f.position, f.tail, f.mark = f.size, end, Mark{Offset: f.size, Hash: xxhash.Sum64(end)}
	return nil
}

// goesOnIn tells whether c holds the bytes that were read of f, and at least as many: then it is a copy of f.
func (s *Set) goesOnIn(c candidate, f *File) bool {
	return s.compareCopy(c, f, func(fd Handle) (bool, error) {
		if strings.HasSuffix(c.path, gzSuffix) {
			return f.compressedIn(fd, true)
		}
		before, err := bytesBefore(fd, f.position)
		if err != nil {
			return false, err
		}
		same, err := f.headMatches(fd)
		return same && (&File{position: f.position, mark: f.mark}).continues(before), err
	})
}

// readPast tells whether c begins like f and ends before the position: f was read further before it was truncated.
func (s *Set) readPast(c candidate, f *File) bool {
	return s.compareCopy(c, f, func(fd Handle) (bool, error) {
		if !strings.HasSuffix(c.path, gzSuffix) {
			same, err := f.headMatches(fd)
			return c.info.Size < f.position && same, err
		}
		head, err := gzipHead(fd, f.head.Bytes)
		if err != nil || head != f.head {
			return false, err
		}
		_, _, err = newGzipReader(fd, f.position, f.mark)
		return errors.Is(err, io.EOF), err
	})
}

// compareCopy tells what is finds in c. If that has another name by now, or can't be read for now, the next pass
// compares again.
func (s *Set) compareCopy(c candidate, f *File, is func(fd Handle) (bool, error)) bool {
	if f.head.Bytes == 0 {
		return false
	}
	fd, err := s.disk.Open(s.root(c.path), c.path)
	if err != nil {
		if !s.heldFor(f.source, c.path, err) && errors.Is(err, fs.ErrNotExist) {
			s.hold(f.source)
		}
		return false
	}
	defer fd.Close()
	if found, err := fd.Look(); err != nil || !c.info.ID.sameInode(found.ID) {
		s.refused(c.path, err)
		s.hold(f.source)
		return false
	}
	same, err := is(fd)
	s.heldFor(f.source, c.path, err)
	return same
}
