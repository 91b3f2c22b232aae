package tail

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What is here is about power cuts. What a kernel had not brought to the disk is gone then, though it was read: a log
// is shorter, and what is written next stands where other lines were. What is left of the log ends the file; a new
// incarnation of it begins there.

// Trail are some of the marks that were a file's position before, from old to new: the closer to its end, the more.
type Trail []Mark

// maxTrail bounds a Trail. For as many batches as it has marks, nothing is left out.
const maxTrail = 32

// Then returns the trail with one more mark, unless that is not behind its last one.
func (t Trail) Then(m Mark) Trail {
	if m.Offset == 0 || len(t) > 0 && m.Offset <= t[len(t)-1].Offset {
		return t
	}
	if len(t) == maxTrail {
		t = t.thinned(m.Offset)
	}
	return append(t, m)
}

// thinned returns less of the trail of a file that is at an offset by now. The gaps it leaves are half as wide as what
// lies behind them. The first mark stays: before it, everything has been on the disk for long.
func (t Trail) thinned(offset int64) Trail {
	kept := append(make(Trail, 0, maxTrail), t[0])
	for i, m := range t[1:] {
		if next := i + 2; next < len(t) && 2*(t[next].Offset-kept[len(kept)-1].Offset) <= offset-t[next].Offset {
			continue
		}
		kept = append(kept, m)
	}
	if few := maxTrail * 3 / 4; len(kept) > few {
		kept = slices.Delete(kept, 1, 1+len(kept)-few)
	}
	return kept
}

// earlier tells whether the file was read before the machine was started, and not since.
func (f *File) earlier() bool { return f.boot != "" && f.boot != f.set.boot && !f.gzip }

// unproven tells whether an earlier file may have to be read.
func (f *File) unproven() bool {
	return f.earlier() && !f.gone && !f.replaced && (!f.finished || f.live)
}

// prove makes sure that an unproven file still has what was read of it. If it does not, it returns ErrReplaced; other
// errors say that it is not known.
func (f *File) prove() error {
	if !f.unproven() {
		return nil
	}
	if err := f.shortenHead(); err != nil {
		return err
	}
	changed, err := f.changedUnderneath()
	switch {
	case !changed && err != nil:
		return err
	case !changed:
		if f.boot = f.set.boot; f.finished {
			f.closeFile()
		}
		return nil
	}
	cut, err := f.findCut()
	if err != nil {
		return err
	}
	f.cut, f.shorn = cut, true
	f.truncate()
	return ErrReplaced
}

// shortenHead makes the head cover what is left of a file that still has all that was read of it, but not all that was
// seen.
func (f *File) shortenHead() error {
	if err := f.open(); err != nil {
		return err
	}
	found, err := f.fd.Look()
	if err != nil || found.Size < f.position || found.Size >= int64(f.head.Bytes) {
		return err
	}
	before, err := bytesBefore(f.fd, f.position)
	if err == nil && f.continues(before) {
		return f.readHead()
	}
	return err
}

// findCut returns the mark up to which the file has what was read of it; nil if it was truncated, as far as one can
// tell. Where nobody has written to the file since the power cut, that is its end. Else it is the last mark that fits:
// lines between that and the end of what was left come again.
func (f *File) findCut() (*Mark, error) {
	found, err := f.fd.Look()
	if err != nil {
		return nil, err
	}
	last, err := f.lastMark(f.fd)
	if err != nil || found.Size >= f.position || f.set.writtenSince(found) {
		return last, err
	}
	same, err := f.headMatches(f.fd)
	if err != nil {
		return nil, err
	}
	known := found.Size >= int64(f.head.Bytes) || len(f.trail) > 0 && f.trail[0].Offset <= found.Size
	if known && !same && last == nil {
		return nil, nil
	}
	before, err := bytesBefore(f.fd, found.Size)
	return &Mark{Offset: found.Size, Hash: xxhash.Sum64(before)}, err
}

// bootTakes is the least time from a power cut to the next write of a log.
const bootTakes = 2 * time.Second

// writtenSince tells whether a file may have been written to after the power cut. That was in this run of the machine,
// or in one that no agent knows of. What was written shortly before the cut was not read yet.
func (s *Set) writtenSince(found Info) bool {
	return !found.Changed.Before(s.booted) || found.Changed.After(s.cfg.Seen.Add(bootTakes))
}

// lastMark returns the last mark of the trail that fits what r holds, nil if none does.
func (f *File) lastMark(r io.ReaderAt) (*Mark, error) {
	for _, m := range slices.Backward(f.trail) {
		switch before, err := bytesBefore(r, m.Offset); {
		case errors.Is(err, io.EOF):
		case err != nil:
			return nil, err
		case xxhash.Sum64(before) == m.Hash:
			return &m, nil
		}
	}
	return nil, nil
}

// leave notes that what there is of f, and of those before it, is in next.
func (s *Set) leave(f, next *File) {
	for ref, r := range s.remains {
		if r.in == f && !r.copied {
			s.remains[ref] = remains{in: next, end: min(r.end, next.began)}
		}
	}
	s.remains[f.Ref] = remains{in: next, end: next.began}
}

// leaveKnown is leave for files of an earlier run.
func (s *Set) leaveKnown() {
	for _, next := range s.files {
		if next.behind == 0 {
			continue
		}
		i := slices.IndexFunc(s.files, func(f *File) bool { return f.Ref == next.behind })
		if i >= 0 {
			s.files[i].gone, s.files[i].replaced = true, true
			s.leave(s.files[i], next)
		}
	}
}

// goOnBehind ends f where a power cut has cut it off, and makes next of what is behind. What was before can be read
// again from that.
func (s *Set) goOnBehind(f, next *File, changes *Changes) {
	f.gone, f.live = true, false
	changes.Cut = append(changes.Cut, Cut{File: f, Bytes: f.position - f.cut.Offset})
	if next.Rewind(*f.cut); int64(f.head.Bytes) <= f.cut.Offset {
		next.head = f.head
	}
	next.began, next.behind = f.cut.Offset, f.Ref
	s.leave(f, next)
	s.add(next)
	s.chain(f, []*File{next}, changes)
}

// cutMoreThan tells whether f was cut off, and not truncated: it has at least as much of what was read as its copy.
func (f *File) cutMoreThan(found copyFound) bool {
	return f.cut != nil && !found.goesOn && (found.cut == nil || found.cut.Offset <= f.cut.Offset)
}

// cutIn returns the copy that holds what was left of f until it was truncated, and the last mark of f in it: what is
// behind may be other lines. If less was left than up to the first mark, all of a copy that begins like f may be. The
// index is -1 if there is none, or f is known to have lost nothing.
func (s *Set) cutIn(copies []candidate, f *File) (i int, at *Mark) {
	if !f.shorn {
		return -1, nil
	}
	i = slices.IndexFunc(copies, func(c candidate) bool {
		return s.compareCopy(c, f, func(fd Handle) (_ bool, err error) {
			if strings.HasSuffix(c.path, gzSuffix) {
				at, err = f.lastMarkInGzip(fd)
			} else {
				at, err = f.lastMark(fd)
			}
			return at != nil, err
		})
	})
	if i >= 0 {
		return i, at
	}
	beginning := slices.IndexFunc(copies, func(c candidate) bool {
		return s.compareCopy(c, f, func(fd Handle) (bool, error) {
			if strings.HasSuffix(c.path, gzSuffix) {
				head, err := gzipHead(fd, f.head.Bytes)
				return head == f.head, err
			}
			return f.headMatches(fd)
		})
	})
	if beginning < 0 {
		return -1, nil
	}
	return beginning, &Mark{}
}

// lastMarkInGzip is lastMark for a compressed file.
func (f *File) lastMarkInGzip(fd Handle) (*Mark, error) {
	for _, m := range slices.Backward(f.trail) {
		_, _, err := newGzipReader(fd, m.Offset, m)
		if err == nil {
			return &m, nil
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrReplaced) {
			return nil, err
		}
	}
	return nil, nil
}

// goOnInCopy makes a file of what is in a copy behind a mark of f, nil if it can't be read for now.
func (s *Set) goOnInCopy(f *File, c candidate, at Mark, changes *Changes) *File {
	next := s.create(c, f.source, changes)
	if next == nil {
		return nil
	}
	next.Rewind(at)
	next.began, next.behind = at.Offset, f.Ref
	return next
}
