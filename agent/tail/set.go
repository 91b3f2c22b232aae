package tail

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Known is a file of an earlier run.
type Known struct {
	State State
	// Source is what File.Source returned then.
	Source string
}

// Set is the files that the patterns of a Config select, and those they became by rotation.
type Set struct {
	cfg    Config
	inputs []input
	roots  []string
	settle time.Duration

	round       uint64
	first       bool // there is no known file and no scan yet
	dirs        map[string]*directory
	dirsChanged bool

	files    []*File
	iterated []*File // see snapshot
	byPath   map[string]*File
	byInode  map[uint64][]*File
	// live holds the newest file of each live name.
	live map[string]*File
	// aliases are second forms of a file that is still there: a copy before the truncation, a .gz before the removal.
	aliases map[inode]*File
	refused map[string]refused
}

type refused struct {
	reason string
	round  uint64
}

// NewSet makes a set that goes on with the known files of an earlier run, by their references. The first Scan finds
// them.
func NewSet(cfg Config, known map[uint32]Known) (*Set, error) {
	inputs, err := compileInputs(cfg.Inputs)
	if err != nil {
		return nil, err
	}
	s := &Set{
		cfg: cfg.withDefaults(), inputs: inputs, settle: directorySettle, first: len(known) == 0,
		dirs: map[string]*directory{}, byPath: map[string]*File{}, byInode: map[uint64][]*File{},
		live: map[string]*File{}, aliases: map[inode]*File{}, refused: map[string]refused{},
	}
	for _, in := range inputs {
		for _, p := range in.include {
			s.roots = append(s.roots, p.root)
		}
	}
	slices.Sort(s.roots)
	s.roots = slices.Compact(s.roots)
	for ref, k := range known {
		s.files = append(s.files, s.restored(ref, k))
	}
	slices.SortFunc(s.files, func(a, b *File) int {
		return cmp.Or(strings.Compare(a.source, b.source), compareAge(a, b))
	})
	newest := map[Identity]uint32{}
	for _, f := range s.files {
		newest[f.identity.withoutIncarnation()] = max(newest[f.identity.withoutIncarnation()], f.identity.Incarnation)
	}
	for _, f := range s.files {
		if f.identity.Incarnation < newest[f.identity.withoutIncarnation()] {
			f.at = inode{} // its bytes can only be in a copy
		}
		s.track(f)
		f.previous = s.live[f.source]
		s.live[f.source] = f
	}
	return s, nil
}

// restored is a file of which nothing but its state is known yet.
func (s *Set) restored(ref uint32, k Known) *File {
	st := k.State
	f := &File{
		set: s, ref: ref, source: k.Source, path: st.Path, identity: st.Identity,
		at:   inode{number: st.Identity.Inode, birth: st.Identity.Birth},
		head: st.Head, mark: st.Mark, acked: st.Mark.Offset, boot: st.Boot,
		finished: st.Finished, dormant: true, grewAt: s.now(),
	}
	if f.source == "" {
		f.source = f.path
	}
	return f
}

// Close closes all files.
func (s *Set) Close() error {
	for _, f := range s.files {
		f.detach()
	}
	return nil
}

// Lookup returns the file that was last seen under the path, nil if there is none.
func (s *Set) Lookup(name string) *File { return s.byPath[name] }

// Len returns the number of files, finished ones included.
func (s *Set) Len() int { return len(s.files) }

func (s *Set) now() time.Time { return s.cfg.Now() }

// selects tells whether a file with this name is to be read.
func (s *Set) selects(name string) bool { return s.selectsPath(name) && s.cfg.Accept(name) }

// isSuperseded tells whether another file took the live name of f.
func (s *Set) isSuperseded(f *File) bool {
	newest := s.live[f.source]
	return newest != nil && newest != f
}

// track makes f findable by its path and inode.
func (s *Set) track(f *File) {
	s.byPath[f.path] = f
	s.byInode[f.at.number] = append(s.byInode[f.at.number], f)
}

func (s *Set) untrack(f *File) {
	if s.byPath[f.path] == f {
		delete(s.byPath, f.path)
	}
	rest := slices.DeleteFunc(s.byInode[f.at.number], func(other *File) bool { return other == f })
	if len(rest) == 0 {
		delete(s.byInode, f.at.number)
		return
	}
	s.byInode[f.at.number] = rest
}

// move says that f is now at the path, in the inode.
func (s *Set) move(f *File, name string, at inode) {
	s.untrack(f)
	f.changed = f.changed || f.path != name
	f.path, f.at = name, at
	s.track(f)
}

// holder returns the file whose bytes are in the inode, nil if there is none.
func (s *Set) holder(st stat) *File {
	for _, f := range s.byInode[st.number] {
		if f.isAt(st) {
			return f
		}
	}
	return nil
}

// rootOf returns the directory below which a path is opened without following links, "" if it is below none.
func (s *Set) rootOf(name string) string {
	if d := s.dirs[path.Dir(name)]; d != nil {
		return d.root
	}
	best := ""
	for _, root := range s.roots {
		if strings.HasPrefix(name, strings.TrimSuffix(root, "/")+"/") && len(root) > len(best) {
			best = root
		}
	}
	return best
}

// liveOf returns the file in place under the live name that name is a rotation of, nil if there is none.
func (s *Set) liveOf(name string) *File {
	return rotatedFrom(name, func(live string) *File {
		if f := s.byPath[live]; f != nil && f.round == s.round && !f.zipped {
			return f
		}
		return nil
	})
}

// rotatedFrom returns the first file that is found for a live name which name is a rotation of.
func rotatedFrom(name string, find func(live string) *File) *File {
	dir, base := path.Split(name)
	extension := path.Ext(strings.TrimSuffix(base, gzipSuffix))
	for i := 1; i < len(base); i++ {
		if !strings.ContainsRune(".-_", rune(base[i])) {
			continue
		}
		for _, live := range [...]string{base[:i], base[:i] + extension} {
			if _, ok := rotationOf(live, base); !ok {
				continue
			}
			if f := find(dir + live); f != nil {
				return f
			}
		}
	}
	return nil
}

// ignoresAge tells whether every input that selects the path leaves out files of that age.
func (s *Set) ignoresAge(name string, age time.Duration) bool {
	for i := range s.inputs {
		in := &s.inputs[i]
		if in.selects(name) && (in.ignoreOlder == 0 || age <= in.ignoreOlder) {
			return false
		}
	}
	return true
}

// String describes f in tests and logs.
func (f *File) String() string { return fmt.Sprintf("%s@%d", f.path, f.mark.Offset) }
