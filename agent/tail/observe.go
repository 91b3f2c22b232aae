package tail

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// reasonOf leaves the path out of an error.
func reasonOf(err error) string {
	if refused, ok := errors.AsType[refusal](err); ok {
		return refused.reason
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return err.Error()
}

// observe takes the status of the inode that holds f.
func (sc *scan) observe(f *File, st stat) {
	f.round, f.missed, f.gone = sc.round, 0, false
	f.at = st.inode
	switch {
	case f.dormant:
	case !f.verified:
		sc.resume(f, st)
	case errors.Is(f.failed, ErrReplaced):
		f.size = max(f.before, f.Position())
		sc.restart(f, st, 0)
	case f.failed != nil:
		sc.quarantine(f)
	case f.zipped:
		sc.observeZipped(f, st)
	default:
		sc.observePlain(f, st)
	}
}

func (sc *scan) observeZipped(f *File, st stat) {
	if st.mtime != f.mtime && !f.finished {
		f.mtime, f.grewAt = st.mtime, sc.now
		sc.ready(f)
	}
	sc.observeOpen(f)
}

// observeOpen looks at a file through its descriptor, for want of a name.
func (sc *scan) observeOpen(f *File) {
	if !f.reader.isOpen() || f.reader.opened.zipped {
		return
	}
	st, err := statFD(f.reader.opened.fd)
	if err != nil || st.size <= f.size {
		return
	}
	f.size, f.grewAt = st.size, sc.now
	if f.needsHead() {
		_ = f.growHead() // reading tells of errors
	}
	sc.ready(f)
}

func (sc *scan) observePlain(f *File, st stat) {
	f.before = f.size
	if st.size == f.size && st.mtime == f.mtime && !f.retry {
		return
	}
	position := f.Position()
	if st.size < position || st.size < f.size && !sc.hasHead(f) {
		sc.restart(f, st, 0)
		return
	}
	if f.finished && st.size == position {
		f.mtime = st.mtime
		return
	}
	if f.finished {
		f.finished = false
		sc.unfinished++
		sc.found[f] = true
	}
	if st.size != f.size || st.mtime != f.mtime {
		f.grewAt = sc.now
	}
	f.size, f.mtime = st.size, st.mtime
	if st.size > position {
		sc.hold(f, st)
	}
	sc.ready(f)
}

// hold opens a file that has unread bytes, so that they can be read even when it is deleted.
func (sc *scan) hold(f *File, st stat) {
	err := f.attach()
	if err == nil && f.needsHead() {
		err = f.growHead()
	}
	switch {
	case errors.Is(err, ErrReplaced):
		f.size = max(f.before, f.Position())
		sc.restart(f, st, 0)
	case errors.Is(err, ErrMoved):
		f.retry, sc.changes.Unsettled = true, true
	case err != nil:
		f.retry = true
		sc.refuse(f.path, err)
	}
}

// probe looks whether a file in place was truncated and filled again: what was found beside it may be its copy.
func (sc *scan) probe(f *File) {
	if f.dormant || !f.verified || f.finished || f.failed != nil || f.grewAt != sc.now {
		return
	}
	if err := f.attach(); err != nil {
		return
	}
	_, err := f.reader.content.read(nil, f.reader.before(), f.Position())
	if f.needsHead() && !errors.Is(err, ErrReplaced) {
		err = f.growHead()
	}
	if !errors.Is(err, ErrReplaced) {
		return
	}
	if st, err := statPath(f.path); err == nil && f.isAt(st) {
		f.size = max(f.before, f.Position())
		sc.restart(f, st, 0)
	}
}

// hasHead tells whether the file of f still begins as it did.
func (sc *scan) hasHead(f *File) bool {
	o, err := openFile(sc.rootOf(f.path), f.path)
	if err != nil {
		return true // reading will tell
	}
	r := &reader{opened: o}
	defer r.close()
	first := make([]byte, f.head.Bytes)
	n, err := readAt(o.fd, first, 0)
	return err != nil && !errors.Is(err, io.EOF) || f.head.isOf(first[:n])
}

// resume checks that a known file's inode holds what its state says.
func (sc *scan) resume(f *File, st stat) {
	o, err := openFile(sc.rootOf(f.path), f.path)
	if err != nil {
		sc.refuse(f.path, err)
		return
	}
	if o.stat.inode != st.inode || !f.identity.sameInode(o.identity()) {
		(&reader{opened: o}).close()
		sc.isAnother(f, st)
		return
	}
	w := f.wanted()
	w.whole = o.zipped && f.finished
	r, err := w.position(o)
	switch {
	case err == nil:
		sc.confirm(f, r)
		return
	case errors.Is(err, errShrunk) && f.survivedPowerCut():
		sc.restart(f, st, o.stat.size)
	case isContentError(err) && !o.zipped:
		sc.restart(f, st, 0)
	case isContentError(err):
		sc.isAnother(f, st)
	default:
		sc.refuse(f.path, err)
	}
	(&reader{opened: o}).close()
}

// isContentError tells whether the error is about what is in the file, not about reading it.
func isContentError(err error) bool {
	return errors.Is(err, ErrChanged) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooLarge) ||
		errors.Is(err, errPartial) || errors.Is(err, io.EOF)
}

// isAnother says that f, of which only the state is known, is not in the inode where it was looked for.
func (sc *scan) isAnother(f *File, st stat) {
	f.round--
	sc.untrack(f)
	f.at = inode{}
	sc.track(f)
	if d := sc.dirs[path.Dir(f.path)]; d != nil && sc.selects(f.path) {
		sc.strangers = append(sc.strangers, candidate{path: f.path, dir: d, stat: st})
	}
}

// survivedPowerCut tells whether the machine was started anew since the state was stored. A file that is shorter now,
// and begins as it did, then lost what was not on disk yet.
func (f *File) survivedPowerCut() bool {
	return f.boot != "" && f.set.cfg.Boot != "" && f.boot != f.set.cfg.Boot && f.head.Bytes > 0
}

// confirm takes over the reader of a known file that was found.
func (sc *scan) confirm(f *File, r *reader) {
	f.verified, f.grewAt = true, sc.now
	f.zipped, f.mtime = r.opened.zipped, r.opened.stat.mtime
	f.size = r.opened.stat.size
	f.changed = f.changed || f.boot != sc.cfg.Boot
	if f.zipped {
		f.size = max(f.mark.Offset, int64(gzipSize(r.opened)))
	}
	f.rotated = f.rotated || sc.liveOf(f.path) != nil
	if f.finished && (f.zipped || f.size == f.mark.Offset) {
		r.close()
		return
	}
	if f.finished {
		f.finished = false
		sc.unfinished++
	}
	sc.found[f] = true
	f.reader = r
	if f.needsHead() {
		_ = f.growHead() // it was just checked
	}
	if !f.zipped && f.Lag() == 0 && f.path == f.source {
		f.detach()
	}
}

// quarantine gives up a compressed file that can't be read to its end.
func (sc *scan) quarantine(f *File) {
	unread := int64(-1)
	if f.size > f.Position() {
		unread = f.Lag()
	}
	f.Release()
	f.failed = nil
	f.changed = true
	sc.changes.Ended = append(sc.changes.Ended, Ended{File: f, Reason: EndDamaged, Unread: unread})
}
