package tail

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// scan is one look at all files.
type scan struct {
	*Set
	now     time.Time
	changes Changes
	found   map[*File]bool
	// unfinished is the number of files that count against Config.MaxFiles.
	unfinished int
	// strangers are selected files that are not known under their name.
	strangers []candidate
	// emptied are files that were truncated, whose content may be elsewhere.
	emptied []emptied
	listed  map[*directory][]candidate
	// undecided holds a missing file, if there is one, by its live name.
	undecided map[string]*File
}

// candidate is a regular file that may be, or become, one of the set's.
type candidate struct {
	path string
	dir  *directory
	stat stat
}

func (c candidate) zipped() bool { return strings.HasSuffix(c.path, gzipSuffix) }

// Scan looks at every file once and tells what changed. The only error is that of ctx: files that can't be looked at or
// read are in Changes.Refused.
func (s *Set) Scan(ctx context.Context) (Changes, error) {
	s.round++
	sc := &scan{
		Set: s, now: s.now(), found: map[*File]bool{},
		listed: map[*directory][]candidate{}, undecided: map[string]*File{},
	}
	if err := sc.walk(ctx); err != nil {
		return Changes{}, fmt.Errorf("scan: %w", err)
	}
	for _, f := range s.files {
		f.dormant = f.dormant && !s.selects(f.source)
		if !f.finished && !f.dormant {
			sc.unfinished++
		}
	}
	sc.look()
	sc.recognise()
	sc.searchNames()
	sc.searchContent()
	sc.judge()
	sc.adoptRotated()
	sc.admitStrangers()
	sc.review()
	sc.report()
	s.first = false
	return sc.changes, nil
}

// snapshot returns the files as they are now: a loop over them may forget some. It is valid until the next one.
func (s *Set) snapshot() []*File {
	s.iterated = append(s.iterated[:0], s.files...)
	return s.iterated
}

// look stats every selected path, and where files were last seen besides.
func (sc *scan) look() {
	for _, d := range sc.dirs {
		for i := range d.odd {
			sc.refuse(d.odd[i].path, notRegular(d.odd[i].kind))
		}
		for i := range d.files {
			if d.files[i].selected {
				sc.lookAt(d.files[i].path, d)
			}
		}
	}
	for _, f := range sc.snapshot() {
		if f.round == sc.round {
			continue
		}
		st, err := statPath(f.path)
		switch {
		case err == nil && st.isRegular() && f.isAt(st):
			sc.observe(f, st)
		case err != nil && !isGone(err):
			f.round = sc.round
			sc.refuse(f.path, err)
		}
	}
}

func (sc *scan) lookAt(name string, d *directory) {
	f := sc.byPath[name]
	if f == nil && !sc.cfg.Accept(name) {
		return
	}
	st, err := statPath(name)
	switch {
	case isGone(err):
	case err != nil:
		sc.refuse(name, err)
		if f != nil {
			f.round = sc.round
		}
	case !st.isRegular():
		sc.refuse(name, notRegular(st.kind()))
	case f != nil && f.isAt(st):
		sc.observe(f, st)
	default:
		sc.strangers = append(sc.strangers, candidate{path: name, dir: d, stat: st})
	}
}

// recognise finds renamed files among those that have an unknown name. A second name of a file that was seen under its
// first is left alone.
func (sc *scan) recognise() {
	strangers := sc.strangers
	sc.strangers = nil
	for _, c := range strangers {
		f := sc.holder(c.stat)
		switch {
		case f == nil:
			sc.strangers = append(sc.strangers, c)
		case f.round != sc.round:
			sc.renamed(f, c)
		}
	}
	for _, c := range sc.strangers {
		if live := sc.liveOf(c.path); live != nil {
			sc.probe(live)
		}
	}
}

// searchNames looks for missing files under names that are not selected, in the directory where they were.
func (sc *scan) searchNames() {
	for _, f := range sc.snapshot() {
		d := sc.searchable(f)
		if d == nil || f.searched == d.version() {
			continue
		}
		for _, c := range sc.names(d) {
			if f.isAt(c.stat) {
				sc.renamed(f, c)
				break
			}
		}
	}
}

// searchable returns the directory in which a missing file may have another name, nil if f is not missing.
func (sc *scan) searchable(f *File) *directory {
	if f.round == sc.round || f.dormant {
		return nil
	}
	d := sc.dirs[path.Dir(f.path)]
	if d == nil || d.round != sc.round || d.failed {
		return nil
	}
	return d
}

// names returns all regular files of a directory.
func (sc *scan) names(d *directory) []candidate {
	out, ok := sc.listed[d]
	if ok {
		return out
	}
	for i := range d.files {
		if st, err := statPath(d.files[i].path); err == nil && st.isRegular() {
			out = append(out, candidate{path: d.files[i].path, dir: d, stat: st})
		}
	}
	sc.listed[d] = out
	return out
}

func (sc *scan) renamed(f *File, c candidate) {
	sc.move(f, c.path, c.stat.inode)
	f.retry = f.retry || f.Lag() > 0
	f.grewAt = sc.now
	f.dormant = false
	sc.observe(f, c.stat)
}

// review closes what is idle and tells of files that became final.
func (sc *scan) review() {
	for _, f := range sc.files {
		if f.finished || f.dormant || !f.verified {
			continue
		}
		final := f.Final()
		if f.retry || final && !f.final {
			sc.ready(f)
		}
		f.final, f.retry = final, false
		if sc.isIdle(f) {
			f.detach()
		}
	}
}

// isIdle tells whether the descriptor of f is not needed: all was read and acknowledged, nothing happened for long, and
// the file has its own name.
func (sc *scan) isIdle(f *File) bool {
	return f.reader.isOpen() && !f.readsGzip() && !f.gone && !f.zipped && f.path == f.source &&
		f.Lag() == 0 && f.acked >= f.Position() && sc.now.Sub(f.grewAt) >= sc.cfg.IdleAfter
}

func (sc *scan) ready(f *File) {
	if !slices.Contains(sc.changes.Ready, f) {
		sc.changes.Ready = append(sc.changes.Ready, f)
	}
}

// report completes the changes.
func (sc *scan) report() {
	done := map[*File]bool{}
	var add func(f *File)
	add = func(f *File) {
		if f == nil || done[f] || !sc.found[f] {
			return
		}
		done[f] = true
		add(f.Previous())
		sc.changes.Found = append(sc.changes.Found, f)
	}
	for _, f := range sc.files {
		add(f)
		if f.changed && f.verified && !sc.found[f] {
			sc.changes.Updated = append(sc.changes.Updated, f)
		}
		f.changed = f.changed && !f.verified
	}
	sc.changes.Ready = slices.DeleteFunc(sc.changes.Ready, func(f *File) bool { return sc.found[f] || f.failed != nil })
	slices.SortFunc(sc.changes.Refused, func(a, b Refusal) int { return cmp.Compare(a.Path, b.Path) })
	for name, r := range sc.refused {
		if r.round != sc.round {
			delete(sc.refused, name)
		}
	}
	if sc.dirsChanged {
		sc.changes.Directories = []Directory{}
		for name, d := range sc.dirs {
			if d.inode != (inode{}) {
				sc.changes.Directories = append(sc.changes.Directories, Directory{Path: name, inode: d.inode})
			}
		}
		sc.dirsChanged = false
	}
}

// refuse tells of a path that is not read, unless that was told before.
func (sc *scan) refuse(name string, err error) {
	reason := reasonOf(err)
	if sc.refused[name].reason != reason {
		sc.changes.Refused = append(sc.changes.Refused, Refusal{Path: name, Reason: reason})
	}
	sc.refused[name] = refused{reason: reason, round: sc.round}
}
