package tail

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// admission says how a new file is begun.
type admission struct {
	source      string
	incarnation uint32
	start       int64
	atEnd       bool
}

// unreadable are the suffixes of compressed files that are not read.
var unreadable = []string{".zst", ".xz", ".bz2", ".lz4", ".Z", ".zip", ".7z"}

// gzipMagic begins every gzip file (RFC 1952).
var gzipMagic = []byte{0x1f, 0x8b, 0x08}

// admitStrangers makes files of what is selected and not known.
func (sc *scan) admitStrangers() {
	slices.SortFunc(sc.strangers, func(a, b candidate) int {
		// The live name is shorter than those of what was rotated away from it.
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), strings.Compare(a.path, b.path))
	})
	for _, f := range sc.files {
		if f.round != sc.round && !f.gone && !f.dormant {
			sc.undecided[f.source] = f
		}
	}
	for _, c := range sc.strangers {
		if sc.holder(c.stat) != nil || sc.isPutOff(c) || sc.isAlias(c) {
			continue
		}
		previous := sc.live[c.path]
		f := sc.admit(c, admission{source: c.path, atEnd: sc.first && sc.cfg.StartAtEnd})
		if f == nil {
			continue
		}
		f.rotated = sc.liveOf(c.path) != nil
		f.previous = previous
		sc.live[c.path] = f
	}
}

// isPutOff tells whether c is not to be read, or not yet.
func (sc *scan) isPutOff(c candidate) bool {
	age := sc.now.Sub(time.Unix(0, c.stat.mtime))
	switch {
	case c.zipped() && !sc.cfg.Compressed:
		return true
	case slices.Contains(unreadable, path.Ext(c.path)):
		sc.refuse(c.path, refusal{"compressed in a format that is not read"})
		return true
	case sc.live[c.path] == nil && sc.ignoresAge(c.path, age):
		return true
	case sc.isUndecided(c.path):
		sc.changes.Unsettled = true // the one before it may turn up
		return true
	}
	return c.stat.size == 0 && (c.zipped() || sc.liveOf(c.path) != nil) // may become a copy
}

// isUndecided tells whether a file that had this live name, or the one this is a rotation of, is missing and may yet be
// found by the next scan.
func (sc *scan) isUndecided(name string) bool {
	return sc.undecided[name] != nil ||
		rotatedFrom(name, func(live string) *File { return sc.undecided[live] }) != nil
}

// isAlias tells whether c is a second form of a file that is still there.
func (sc *scan) isAlias(c candidate) bool {
	if of := sc.aliases[c.stat.inode]; of != nil {
		return true
	}
	var of *File
	if c.zipped() {
		of = sc.compressing(c)
	} else if live := sc.liveOf(c.path); live != nil && sc.isCopy(c, live) {
		of = live
	}
	if of != nil {
		sc.aliases[c.stat.inode] = of
	}
	return of != nil
}

// compressing returns the file that c is becoming, or is, the compressed form of.
func (sc *scan) compressing(c candidate) *File {
	if f := sc.byPath[strings.TrimSuffix(c.path, gzipSuffix)]; f != nil && f.round == sc.round {
		return f
	}
	o, err := openFile(c.dir.root, c.path)
	if err != nil {
		return nil
	}
	r := &reader{opened: o}
	defer r.close()
	first := make([]byte, HeadBytes)
	n, _ := newGzipStream(o.fd, sc.cfg.MaxDecompressed).inflate(first)
	for _, f := range sc.files {
		if path.Dir(f.path) != c.dir.path || f.zipped || f.round != sc.round || f.head.Bytes == 0 ||
			!f.head.isOf(first[:n]) {
			continue
		}
		if _, err := f.wanted().position(o); err == nil || errors.Is(err, errPartial) {
			return f
		}
	}
	return nil
}

// isCopy tells whether c was copied from live, as logrotate's copytruncate does before it truncates.
func (sc *scan) isCopy(c candidate, live *File) bool {
	if c.stat.size > live.size || !isYounger(c.stat, live) {
		return false
	}
	a, err := openFile(c.dir.root, c.path)
	if err != nil {
		return false
	}
	defer (&reader{opened: a}).close()
	b, err := openFile(c.dir.root, live.path)
	if err != nil {
		return false
	}
	defer (&reader{opened: b}).close()
	return sameAt(a.fd, b.fd, 0, HeadBytes, c.stat.size) &&
		sameAt(a.fd, b.fd, max(0, c.stat.size-MarkBytes), MarkBytes, c.stat.size)
}

// sameAt tells whether two files have the same bytes at an offset, up to n of them and not behind end.
func sameAt(a, b int, offset, n, end int64) bool {
	x, y := make([]byte, min(n, end-offset)), make([]byte, min(n, end-offset))
	i, _ := readAt(a, x, offset)
	j, _ := readAt(b, y, offset)
	return i == len(x) && j == len(y) && bytes.Equal(x, y)
}

// admit opens a new file; nil if it can't be read, or not now.
func (sc *scan) admit(c candidate, how admission) *File {
	if sc.unfinished >= sc.cfg.MaxFiles {
		sc.changes.Skipped++
		return nil
	}
	root := sc.rootOf(c.path)
	o, err := openFile(root, c.path)
	switch {
	case isGone(err), err == nil && o.stat.inode != c.stat.inode:
		sc.changes.Unsettled = true
		if err == nil {
			(&reader{opened: o}).close()
		}
		return nil
	case err != nil:
		sc.refuse(c.path, err)
		return nil
	}
	f := &File{
		set: sc.Set, source: how.source, path: c.path, identity: o.identity(), at: o.stat.inode, zipped: o.zipped,
		size: o.stat.size, mtime: o.stat.mtime, grewAt: sc.now, verified: true, round: sc.round,
	}
	f.identity.Incarnation = how.incarnation
	f.reader = &reader{opened: o}
	if !sc.begin(f, how) {
		f.reader.close()
		return nil
	}
	sc.files = append(sc.files, f)
	sc.track(f)
	sc.found[f] = true
	if how.incarnation > 0 && (sc.live[f.source] == nil || sc.live[f.source].path == f.path) {
		sc.live[f.source] = f
	}
	if !f.finished {
		sc.unfinished++
	}
	return f
}

// begin reads the head of a new file and finds where to start.
func (sc *scan) begin(f *File, how admission) bool {
	if f.zipped {
		return sc.beginGzip(f, how)
	}
	fd := f.reader.opened.fd
	first := make([]byte, HeadBytes)
	n, err := readAt(fd, first, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		sc.refuse(f.path, err)
		return false
	}
	if bytes.HasPrefix(first[:n], gzipMagic) {
		if sc.now.Sub(time.Unix(0, f.mtime)) >= sc.cfg.IdleAfter { // before, it may still get its name
			sc.refuse(f.path, refusal{"compressed, and not named .gz"})
		}
		return false
	}
	f.head = headOf(first[:n])
	start := how.start
	if how.atEnd {
		start = lineEnd(fd, f.size)
	}
	w := wanted{head: f.head}
	before := make([]byte, overlapBefore(start))
	if _, err := readAt(fd, before, start-int64(len(before))); err != nil && !errors.Is(err, io.EOF) {
		sc.refuse(f.path, err)
		return false
	}
	w.mark = markOf(start, before)
	r, err := w.position(f.reader.opened)
	if err != nil {
		sc.changes.Unsettled = true // it changes while it is looked at
		return false
	}
	f.reader, f.mark, f.acked = r, w.mark, start
	return true
}

func (sc *scan) beginGzip(f *File, how admission) bool {
	first := make([]byte, HeadBytes)
	n, err := newGzipStream(f.reader.opened.fd, sc.cfg.MaxDecompressed).inflate(first)
	switch {
	case errors.Is(err, errPartial):
		if sc.now.Sub(time.Unix(0, f.mtime)) >= sc.cfg.IdleAfter { // before, it may still be written
			sc.refuse(f.path, err)
		}
		return false
	case err != nil && !errors.Is(err, io.EOF):
		sc.refuse(f.path, err)
		return false
	}
	f.head = headOf(first[:n])
	f.size = int64(gzipSize(f.reader.opened))
	f.reader.content = newGzipStream(f.reader.opened.fd, sc.cfg.MaxDecompressed)
	if how.atEnd {
		f.Release() // passed over whole
	}
	return true
}

// lineEnd returns the end of the last line before size, or size if the last line is very long.
func lineEnd(fd int, size int64) int64 {
	const farthest = 64 << 10
	last := make([]byte, min(size, farthest))
	n, _ := readAt(fd, last, size-int64(len(last)))
	if i := bytes.LastIndexByte(last[:n], '\n'); i >= 0 {
		return size - int64(len(last)) + int64(i) + 1
	}
	if size <= farthest {
		return 0
	}
	return size
}
