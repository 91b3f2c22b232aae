package tail

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"strings"
	"time"
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
// With an error it is not known.
func (f *File) changedUnderneath() (bool, error) {
	if f.gzip {
		return false, nil
	}
	if err := f.open(); err != nil {
		return false, err // another pass finds it under another name
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

// mayBeCopy tells whether c is a copy of a log that is about to be truncated, or of one that has just been.
func (s *Set) mayBeCopy(c candidate) bool {
	live := unrotated(c.path)
	if live == c.path {
		return false
	}
	f := s.newest[live]
	known := f != nil && f.HasName() && !f.replaced
	if !known {
		// What the log has now was not seen yet. A copy is younger than its log, and a renamed file older than the next.
		if found, err := s.disk.Look(live); err != nil || found.ID.Birth > c.info.ID.Birth {
			return s.heldFor(live, live, err)
		}
	}
	prefix, err := s.isPrefix(c, live)
	if prefix && s.suspected(c.info.ID) <= copyGrace || s.heldFor(live, c.path, err) {
		return true
	}
	if !known {
		return false
	}
	changed, err := f.changedUnderneath()
	if changed {
		f.truncate()
		s.hold(live)
	}
	return changed || s.heldFor(live, f.path, err)
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

// isPrefix tells whether c, as far as it is there, begins and ends like that much of another file. An error says why it
// is not taken for that.
func (s *Set) isPrefix(c candidate, of string) (bool, error) {
	if strings.HasSuffix(c.path, gzSuffix) {
		return false, nil
	}
	whole, err := s.disk.Open(s.root(of), of)
	if err != nil {
		return false, err
	}
	defer whole.Close()
	fd, err := s.disk.Open(s.root(c.path), c.path)
	if err != nil {
		return false, err
	}
	defer fd.Close()
	size := c.info.Size
	end := min(size, MarkBytes)
	same, err := sameAt(fd, whole, 0, min(size, HeadBytes))
	if same {
		same, err = sameAt(fd, whole, size-end, end)
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
