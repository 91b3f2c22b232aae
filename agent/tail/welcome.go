package tail

import (
	"cmp"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rotatedName splits the names that rotation makes: app.log.1, app.log-20261123, 0.log.20261123-061718.gz.
var rotatedName = regexp.MustCompile(`^(.+?)[.\-_]\d[\dT:.\-_]*(?:\.gz)?$`)

// unrotated returns the name that path is a rotated form of by its looks, or path itself.
func unrotated(path string) string {
	if match := rotatedName.FindStringSubmatch(path); match != nil {
		return match[1]
	}
	return path
}

// sibling tells whether path is a rotated form of live by its name.
func sibling(live, path string) bool {
	return path != live && unrotated(path) == live
}

// welcome takes a file that no one knows. If another file had its name, or it is a rotated form of that name, it is
// read behind the newest such file.
func (s *Set) welcome(c candidate, changes *Changes) {
	if s.knows(c.info.ID) {
		return // the compressed form of a known file, or a second name of one that is new itself
	}
	plain, zipped := strings.CutSuffix(c.path, gzSuffix)
	switch {
	case zipped && !s.cfg.Compressed:
		return
	case zipped && (s.mayExist(s.nameOf(c.path), plain) || s.has(plain)):
		return // it is just being made: a later scan finds its plain form gone, and takes it for that
	case s.tooOld(c):
		return
	case s.mayBeCopy(c):
		return // a later scan will tell
	}
	name := s.nameOf(c.path)
	before := s.newest[name]
	if before != nil && (!before.rotated && !before.gone || name != c.path && !newer(c, before)) {
		before = nil // it still has the name, or had it later
	}
	if name == c.path {
		before = s.welcomeMissed(before, c.path, changes)
	}
	f := s.create(c, name, changes)
	if f == nil {
		return
	}
	f.follow(before)
	if name == c.path && before != nil && changes.hasFirst(before) && f.copiedTo(before) {
		f.id.Incarnation = 1
	}
	if before != nil || name == c.path || s.present[name] {
		s.newest[name] = f
	}
	if s.cfg.StartAtEnd && s.first {
		s.skip(f)
	}
	changes.New = append(changes.New, Found{File: f, Before: before})
}

// welcomeMissed takes the files that came between before and live, and returns the newest of them.
func (s *Set) welcomeMissed(before *File, live string, changes *Changes) *File {
	for _, between := range s.newerForms(before, live, changes) {
		between.follow(before)
		changes.New = append(changes.New, Found{File: between, Before: before})
		before = between
		s.newest[live] = between // the file that has the name may be gone from it by now, and never be created
	}
	return before
}

// follow notes which file came before f. When f was born is not known if it was compressed when it was found, but that
// it was not before that one.
func (f *File) follow(before *File) {
	if f.gzip && before != nil {
		f.born = before.born
	}
}

// hasFirst tells whether f is new and follows no other: nothing is known yet of how its log is rotated.
func (c *Changes) hasFirst(f *File) bool {
	return slices.ContainsFunc(c.New, func(found Found) bool { return found.File == f && found.Before == nil })
}

// copiedTo tells whether a log was there before a rotated file, by the clock: that is a copy then, and no record goes
// on from it.
func (f *File) copiedTo(rotated *File) bool {
	return !rotated.gzip && f.id.Birth != 0 && f.id.Birth < rotated.id.Birth
}

// welcomeOrphans takes the files that came behind a rotated one while its name is nobody's: the next rotation was
// quicker than we are.
func (s *Set) welcomeOrphans(changes *Changes) {
	for _, f := range slices.Clone(s.files) {
		if s.newest[f.source] != f || !f.rotated && !f.gone || s.present[f.source] || s.vanished[f.source] {
			continue
		}
		if forms, whole := s.formsOf(f.source); whole && len(s.missed(f, forms)) == 0 {
			continue
		}
		if s.compare(f.source); !s.vanished[f.source] {
			s.welcomeMissed(f, f.source, changes)
		}
	}
}

// tooOld tells whether a new file is to be left out because of its age.
func (s *Set) tooOld(c candidate) bool {
	if s.cfg.IgnoreOlder == nil {
		return false
	}
	most := s.cfg.IgnoreOlder(c.path)
	return most > 0 && s.now().Sub(c.info.Changed) > most
}

// nameOf returns the live name that path is a rotated form of, if a file has or had it, or path itself.
func (s *Set) nameOf(path string) string {
	if live := unrotated(path); s.newest[live] != nil || s.present[live] {
		return live
	}
	return path
}

// compareNames orders new files: the rotated forms of a name from old to new, then the one that has it.
func (s *Set) compareNames(a, b string) int {
	live := s.nameOf(a)
	if other := s.nameOf(b); other != live {
		return cmp.Compare(live, other)
	}
	switch {
	case a == live:
		return 1
	case b == live:
		return -1
	default:
		return compareRotated(live, a, b)
	}
}

// has tells whether a known file had the name when it was last looked at.
func (s *Set) has(path string) bool {
	return slices.ContainsFunc(s.files, func(f *File) bool { return f.path == path && !f.gone })
}

// mayExist tells whether there is something at path, a form of the name live, or the disk refuses to tell.
func (s *Set) mayExist(live, path string) bool {
	_, err := s.disk.Look(path)
	return err == nil || s.heldFor(live, path, err)
}

// create adds a file that was seen for the first time; name is its live name, whether it still has it or not. It is nil
// if it can't be read, which is a Problem. A file that was renamed or compressed after it was looked at, or can't be
// opened for now, is nil, too, and so are those behind it: they are left to the next Scan, which finds it first.
func (s *Set) create(c candidate, name string, changes *Changes) *File {
	if s.vanished[name] {
		return nil
	}
	zipped := strings.HasSuffix(c.path, gzSuffix)
	f := &File{
		set: s, id: c.info.ID, born: c.info.ID.Birth, source: name, path: c.path, size: c.info.Size, changed: s.now(),
		live: !zipped && name == c.path, rotated: name != c.path, gzip: zipped, boot: s.boot,
		scan: s.scans, watch: -1,
	}
	if zipped && name == c.path {
		f.source = strings.TrimSuffix(c.path, gzSuffix)
	}
	if log := s.newest[name]; log != nil && f.rotated && log.Afresh() && log.live && !log.rotated {
		f.id.Incarnation = 1 // it is a copy: the log that has the name is truncated, not renamed
	}
	f.Rewind(Mark{})
	if err := f.admit(); err != nil {
		f.closeFile()
		switch {
		case s.heldFor(name, c.path, err):
		case errors.Is(err, fs.ErrNotExist):
			s.hold(name)
		default:
			changes.Problems = append(changes.Problems, Problem{c.path, err})
		}
		return nil
	}
	s.add(f)
	return f
}

// createAll adds those of the files that can be read.
func (s *Set) createAll(found []candidate, name string, changes *Changes) []*File {
	var out []*File
	for _, c := range found {
		if f := s.create(c, name, changes); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// skip moves a file's position behind its last whole line. A compressed one can have no other: it is done with.
func (s *Set) skip(f *File) {
	if f.gzip {
		f.Finish()
		return
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		if err != nil || n == 0 {
			return
		}
		if f.size-f.position > int64(len(buf)) {
			f.Advance(n, buf[:n])
			continue
		}
		end := strings.LastIndexByte(string(buf[:n]), '\n') + 1
		f.Advance(end, buf[:end])
		return
	}
}

// newerForms makes files of those that came after before and were rotated away before live took the name, oldest first:
// what happened while nobody looked.
func (s *Set) newerForms(before *File, live string, changes *Changes) []*File {
	if before == nil {
		return nil
	}
	return s.createAll(s.missed(before, s.forms[live]), live, changes)
}

// missed returns those of the forms of a name that nobody knows and that came after before, oldest first.
func (s *Set) missed(before *File, forms map[string]Info) []candidate {
	return slices.DeleteFunc(s.unknownForms(before.source, forms), func(c candidate) bool {
		return !newer(c, before)
	})
}

// unknownForms returns those of the rotated forms of a name that nobody knows, oldest first.
func (s *Set) unknownForms(live string, forms map[string]Info) []candidate {
	var unknown []candidate
	for path, found := range forms {
		if path == live || s.knows(found.ID) {
			continue
		}
		plain, zipped := strings.CutSuffix(path, gzSuffix)
		if zipped && (!s.cfg.Compressed || s.beingMade(live, plain, forms)) {
			continue
		}
		unknown = append(unknown, candidate{path, found})
	}
	slices.SortFunc(unknown, func(a, b candidate) int { return compareRotated(live, a.path, b.path) })
	return unknown
}

// beingMade tells whether a file is just being compressed, as its plain form is there, too. If that was not there a
// moment ago, names have moved since.
func (s *Set) beingMade(live, plain string, forms map[string]Info) bool {
	if _, seen := forms[plain]; seen {
		return true
	}
	made := s.mayExist(live, plain)
	if made {
		s.hold(live)
	}
	return made
}

// newer tells whether the rotated file c was in use after before. Where before is gone, names by numbers may have moved
// on since it was seen last, but only away from newer ones. Its birth tells then.
func newer(c candidate, before *File) bool {
	return compareRotated(before.source, before.path, c.path) < 0 ||
		before.gone && c.info.Changed.UnixNano() > before.born
}

// compareRotated orders rotated names from old to new: numbers count down (app.log.2, app.log.1), times count up.
func compareRotated(live, a, b string) int {
	n, numbered := rotatedNumber(live, a)
	m, numberedToo := rotatedNumber(live, b)
	switch {
	case numbered && numberedToo:
		return cmp.Compare(m, n)
	case numbered:
		return -1 // rotation went over from numbers to times
	case numberedToo:
		return 1
	}
	return cmp.Compare(strings.TrimSuffix(a, gzSuffix), strings.TrimSuffix(b, gzSuffix))
}

// rotatedNumber returns the number at the end of the rotated name path; false if it is a time.
func rotatedNumber(live, path string) (int, bool) {
	text := strings.TrimSuffix(strings.TrimPrefix(path, live), gzSuffix)
	n, err := strconv.Atoi(strings.TrimLeft(text, ".-_"))
	return n, err == nil && n < 100_000
}
