package tail

import (
	"cmp"
	"path"
	"slices"
)

// adoptRotated finds the files that had a live name between two scans and were rotated away before the second.
func (sc *scan) adoptRotated() {
	for _, f := range sc.snapshot() {
		if sc.live[f.source] != f || f.dormant || !f.verified || f.round != sc.round && !f.gone {
			continue
		}
		d := sc.dirs[path.Dir(f.source)]
		if d == nil || d.round != sc.round || f.round == sc.round && f.path == f.source || f.adopted == d.version() {
			continue
		}
		f.adopted = d.version()
		sc.adoptBetween(f, d)
	}
}

// adoptBetween makes files of those that had the live name of f after f, and were rotated away unseen. It returns the
// newest of them, f itself if there is none.
func (sc *scan) adoptBetween(f *File, d *directory) *File {
	if d == nil {
		return f
	}
	isNewest := sc.live[f.source] == f
	var successor *File
	if i := slices.IndexFunc(sc.files, func(other *File) bool { return other.previous == f }); i >= 0 {
		successor = sc.files[i]
	}
	last := f
	for _, c := range sc.rotatedAfter(f, d) {
		next := sc.admit(c, admission{source: f.source})
		if next == nil {
			sc.changes.Unsettled = true
			break
		}
		next.previous, next.rotated = last, true
		last = next
		sc.putBefore(next, successor)
	}
	if successor != nil {
		successor.previous = last
	}
	if isNewest {
		sc.live[f.source] = last
	}
	return last
}

// putBefore keeps the files of one live name in their order.
func (s *Set) putBefore(f, successor *File) {
	if successor == nil {
		return
	}
	s.files = slices.DeleteFunc(s.files, func(other *File) bool { return other == f })
	s.files = slices.Insert(s.files, slices.Index(s.files, successor), f)
}

// rotatedAfter lists unknown files that were rotated away from the live name of f after f was, oldest first.
func (sc *scan) rotatedAfter(f *File, d *directory) []candidate {
	live := path.Base(f.source)
	fits := sc.bounds(f)
	names := sc.names(d)
	out := slices.DeleteFunc(slices.Clone(names), func(c candidate) bool {
		name, ok := rotationOf(live, path.Base(c.path))
		switch {
		case !ok, c.stat.size == 0, sc.holder(c.stat) != nil, sc.aliases[c.stat.inode] != nil:
			return true
		case c.zipped() && (!sc.cfg.Compressed || hasPlainTwin(names, c)):
			return true
		case !fits(name):
			return true
		}
		if !isYounger(c.stat, f) || f.identity.Birth > 0 && c.stat.mtime < f.identity.Birth {
			return true // a compressed file, too, was made after the bytes in it were written
		}
		return !c.zipped() && sc.isAlias(c)
	})
	slices.SortStableFunc(out, func(a, b candidate) int {
		x, _ := rotationOf(live, path.Base(a.path))
		y, _ := rotationOf(live, path.Base(b.path))
		switch {
		case x.older(y):
			return -1
		case y.older(x):
			return 1
		}
		return 0
	})
	return out
}

// bounds returns a function that tells whether a name lies between those of the files before and after f.
func (sc *scan) bounds(f *File) func(rotation) bool {
	live := path.Base(f.source)
	var before, after []rotation
	isBefore := true
	for _, other := range sc.files {
		name, ok := rotationOf(live, path.Base(other.path))
		switch {
		case other.source != f.source || other.round != sc.round || !ok:
		case isBefore:
			before = append(before, name)
		default:
			after = append(after, name)
		}
		isBefore = isBefore && other != f
	}
	return func(name rotation) bool {
		return !slices.ContainsFunc(before, func(r rotation) bool { return !r.older(name) }) &&
			!slices.ContainsFunc(after, func(r rotation) bool { return !name.older(r) })
	}
}

// compareAge orders files of one live name from old to new, as far as their names tell, and else as they became known.
func compareAge(a, b *File) int {
	x, isRotated := rotationOf(path.Base(a.source), path.Base(a.path))
	y, isOther := rotationOf(path.Base(b.source), path.Base(b.path))
	switch {
	case isRotated && isOther && x.older(y), isRotated && b.path == b.source:
		return -1
	case isRotated && isOther && y.older(x), isOther && a.path == a.source:
		return 1
	}
	return cmp.Compare(a.ref, b.ref)
}
