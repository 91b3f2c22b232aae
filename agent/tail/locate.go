package tail

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// emptied is a file that was truncated, and the one that began in its place.
type emptied struct {
	file, next *File
	dir        *directory
	unread     int64
}

// restart makes a new incarnation of f, which was truncated, that begins at start. The bytes of f may still be found
// in a copy.
func (sc *scan) restart(f *File, st stat, start int64) {
	unread := int64(-1)
	switch {
	case f.finished:
		unread = 0
	case start > 0:
		unread = f.Position() - start
	case f.verified:
		unread = f.Lag()
	}
	f.failed = ErrReplaced
	counted := !f.finished && f.verified
	if counted {
		sc.unfinished--
	}
	c := candidate{path: f.path, dir: sc.dirs[path.Dir(f.path)], stat: st}
	next := sc.admit(c, admission{source: f.source, incarnation: f.identity.Incarnation + 1, start: start})
	if next == nil { // the next scan tries again
		if counted {
			sc.unfinished++
		}
		return
	}
	next.previous = f
	f.detach()
	sc.untrack(f)
	sc.byPath[next.path] = next
	f.at = inode{}
	if start > 0 {
		sc.end(f, EndPowerCut, unread)
		return
	}
	sc.emptied = append(sc.emptied, emptied{file: f, next: next, dir: c.dir, unread: unread})
}

// searchContent looks for the bytes of missing and of truncated files in compressed files and in copies.
func (sc *scan) searchContent() {
	for _, e := range sc.emptied {
		if c, r := sc.locate(e.file, e.dir, true); r != nil {
			sc.takeOver(e.file, c, r)
			e.file.copied = true
			sc.adoptBetween(e.file, e.dir)
			continue
		}
		sc.end(e.file, EndTruncated, e.unread)
	}
	for _, f := range sc.snapshot() {
		d := sc.searchable(f)
		if d == nil || f.searched == d.version() {
			continue
		}
		f.searched = d.version()
		sc.observeOpen(f)
		if c, r := sc.locate(f, d, f.at == inode{}); r != nil {
			sc.takeOver(f, c, r)
		}
	}
}

// takeOver says that the bytes of f are now in c.
func (sc *scan) takeOver(f *File, c candidate, r *reader) {
	delete(sc.aliases, c.stat.inode)
	sc.strangers = slices.DeleteFunc(sc.strangers, func(other candidate) bool { return other.path == c.path })
	sc.move(f, c.path, c.stat.inode)
	f.round, f.missed, f.gone, f.failed, f.rotated = sc.round, 0, false, nil, true
	f.mtime = c.stat.mtime
	if f.reader.isOpen() {
		f.zipped = c.zipped()
		r.close() // what is open is read to its end
		return
	}
	if !f.verified {
		sc.confirm(f, r)
		f.rotated = true
		return
	}
	f.zipped = c.zipped()
	if f.finished {
		r.close()
		return
	}
	f.size = c.stat.size
	if f.zipped {
		f.size = max(f.Position(), int64(gzipSize(r.opened)))
	}
	f.reader = r
	sc.ready(f)
}

// locate returns the file that holds the bytes of f, open at the position of f.
func (sc *scan) locate(f *File, d *directory, copies bool) (candidate, *reader) {
	if d == nil || f.head.Bytes == 0 && f.Position() == 0 {
		return candidate{}, nil
	}
	for _, c := range sc.forms(f, d, copies) {
		o, err := openFile(d.root, c.path)
		if err != nil {
			sc.refuse(c.path, err)
			continue
		}
		w := f.wanted()
		w.whole = o.zipped && (f.finished || f.reader.isOpen() && f.Lag() == 0)
		r, err := w.position(o)
		if err == nil {
			return c, r
		}
		(&reader{opened: o}).close()
		if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrDamaged) {
			sc.refuse(c.path, err)
		}
	}
	return candidate{}, nil
}

// weakHead is the least head that tells files of other names apart.
const weakHead = 256

// forms lists the files in d that may hold the bytes of f, the likely ones first.
func (sc *scan) forms(f *File, d *directory, copies bool) []candidate {
	var likely, others []candidate
	for _, c := range sc.names(d) {
		if alias := sc.aliases[c.stat.inode]; sc.holder(c.stat) != nil || alias != nil && alias != f {
			continue
		}
		_, isRotation := rotationOf(path.Base(f.source), path.Base(c.path))
		isRotation = isRotation || c.path == f.path+gzipSuffix
		switch {
		case c.zipped() && !sc.cfg.Compressed:
		case c.path == f.path+gzipSuffix:
			likely = slices.Insert(likely, 0, c)
		case isRotation && (c.zipped() || copies && isYounger(c.stat, f)):
			likely = append(likely, c)
		case c.zipped() && f.head.Bytes >= weakHead:
			others = append(others, c)
		}
	}
	return append(likely, others...)
}

// isYounger tells whether the inode was made after f was, as a copy is. Where birth times are not known, it may be.
func isYounger(st stat, f *File) bool {
	return st.birth == 0 || f.identity.Birth == 0 || st.birth >= f.identity.Birth
}

// judge decides on files that were not found anywhere.
func (sc *scan) judge() {
	for _, f := range sc.snapshot() {
		switch {
		case f.round == sc.round:
		case f.dormant:
			sc.judgeDormant(f)
		case f.reader.isOpen():
			sc.judgeOpen(f)
		case sc.isCertain(path.Dir(f.path)):
			sc.judgeClosed(f)
		}
	}
}

// judgeDormant forgets a file that is not selected once its directory is gone.
func (sc *scan) judgeDormant(f *File) {
	if _, err := statPath(path.Dir(f.path)); !isGone(err) {
		f.missed = 0
		return
	}
	if f.missed++; f.missed > 1 {
		sc.forget(f)
	}
}

// judgeOpen goes on with a file that has no name any more.
func (sc *scan) judgeOpen(f *File) {
	if !f.gone {
		f.gone, f.grewAt = true, sc.now
		sc.ready(f)
	}
	if errors.Is(f.failed, ErrReplaced) {
		sc.end(f, EndTruncated, f.Lag())
		return
	}
	sc.observeOpen(f)
}

// judgeClosed forgets a file that two scans did not find: a listing may miss what is being renamed.
func (sc *scan) judgeClosed(f *File) {
	if f.missed++; f.missed < 2 {
		sc.changes.Unsettled = true
		return
	}
	unread := int64(-1)
	if f.verified {
		unread = f.Lag()
	}
	wasEmpty := f.head.Bytes == 0 && f.Position() == 0
	if sc.live[f.source] == f || wasEmpty {
		if last := sc.adoptBetween(f, sc.dirs[path.Dir(f.path)]); last != f && wasEmpty {
			unread = 0 // the first of those adopted may well be it
		}
	}
	if f.finished || unread == 0 {
		sc.forget(f)
		return
	}
	sc.end(f, EndDeleted, unread)
}

// end says that no more can be read of f, and forgets it.
func (sc *scan) end(f *File, reason EndReason, lost int64) {
	if !f.finished {
		sc.changes.Ended = append(sc.changes.Ended, Ended{File: f, Reason: reason, Unread: lost})
	}
	sc.forget(f)
}

func (sc *scan) forget(f *File) {
	f.detach()
	sc.untrack(f)
	sc.files = slices.DeleteFunc(sc.files, func(other *File) bool { return other == f })
	if sc.live[f.source] == f {
		delete(sc.live, f.source)
	}
	for _, other := range sc.files {
		if other.previous == f {
			other.previous = f.Previous()
		}
	}
	for at, of := range sc.aliases {
		if of == f {
			delete(sc.aliases, at)
		}
	}
	delete(sc.found, f)
	sc.changes.Forgotten = append(sc.changes.Forgotten, f)
}

func hasPlainTwin(names []candidate, c candidate) bool {
	plain, ok := strings.CutSuffix(c.path, gzipSuffix)
	return ok && slices.ContainsFunc(names, func(other candidate) bool { return other.path == plain })
}
