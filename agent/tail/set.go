package tail

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	defaultQuiet = 5 * time.Second
	// copyGrace is how long a file that looks like a copy of another waits for that other one to be truncated.
	copyGrace = time.Minute
	// cutGrace is how long a compressed file that is not whole is waited for; then it stays as it is.
	cutGrace  = time.Minute
	tmpSuffix = ".tmp"
	gzSuffix  = ".gz"
)

// Config says which files a Set has.
type Config struct {
	// Include are absolute glob patterns, see CheckPattern.
	Include []string
	// Accept is asked about every path that matches; nil accepts all.
	Accept func(path string) bool
	// IgnoreOlder tells how long ago a file may have been modified at most when it is first seen, or else it is left
	// out; 0 is any time. Without it none is left out.
	IgnoreOlder func(path string) time.Duration
	// StartAtEnd skips what is in files that are there at the first Scan of a Set that knows none.
	StartAtEnd bool
	// Compressed also reads what was compressed before it was read.
	Compressed bool
	// Quiet is how long a file that lost its name must not grow to be taken as ended. Default 5s.
	Quiet time.Duration
	// InUse tells whether bytes that Read gave are still to be used: the position is behind them soon. nil: never.
	InUse func(f *File) bool
	// Unsettled tells whether something that was read would be read again after a crash. It is asked only of files that
	// are not InUse. nil: never.
	Unsettled func(f *File) bool
	// Seen is when files of an earlier run were read last, by the clock that dates files. What was changed later was
	// written to since.
	Seen time.Time
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Disk is where the files are. Default the machine's.
	Disk Disk
}

// Known is a file of an earlier run.
type Known struct {
	Ref    uint32
	Source string
	State  State
}

// Found is a file that is new to the Set.
type Found struct {
	File *File
	// Before is the file that had its name, nil if there was none: it has to be read to its end first.
	Before *File
}

// Problem is a file that can't be read, and why. It is told at every Scan.
type Problem struct {
	Path string
	Err  error
}

// Changes are what a Scan found.
type Changes struct {
	// New files, each behind the one that had its name before.
	New []Found
	// Gone files have neither a name nor a descriptor any more: their state can be dropped. Lost counts the bytes that
	// are known to be unread.
	Gone []Gone
	// Problems are files that match but can't be read.
	Problems []Problem
	// Cut are files of which a power cut took the end.
	Cut []Cut
}

// Cut is a file that goes on as another one, New too, where a power cut has cut it off. Bytes were read before from
// there on.
type Cut struct {
	File  *File
	Bytes int64
}

// Gone is a file that is no more.
type Gone struct {
	File *File
	Lost int64
}

// Set knows all files that match, and those that did.
type Set struct {
	cfg  Config
	disk Disk
	// boot is the present run of the machine, since booted.
	boot   string
	booted time.Time
	files  []*File
	// byInode finds files by inode number; several may have had it.
	byInode map[uint64][]*File
	// newest is the last file that had a name, by name.
	newest map[string]*File
	// remains are what there is of files that were truncated or cut off, by the Ref of these.
	remains map[uint32]remains
	// suspects are files that wait for the log to be truncated that they may be copies of.
	suspects map[Identity]suspect
	// present are the names of the unknown files of the Scan at hand.
	present map[string]bool
	// vanished are the names of which files are being moved: their new ones are left to the next pass.
	vanished map[string]bool
	// listings are the directories in which files were looked for in the pass at hand.
	listings map[string]*listing
	// forms are all files of the names of unknown ones, as the last pass saw them, by live name and path.
	forms map[string]map[string]Info
	// refusals are what the disk refused in the pass at hand.
	refusals []Problem
	first    bool
	scans    uint64
	// began is when the last pass over all names did.
	began  time.Time
	rescan bool
	roots  []string
	watch  *watcher
}

// remains are the beginning of a file up to an end in another one, or all of it. It was read.
type remains struct {
	in     *File
	end    int64
	copied bool
}

// CheckPattern returns an error if pattern is not an absolute glob pattern: * and ? within one path element, ** over
// any number of them, [a-z] classes and {a,b} alternatives, and no "..".
func CheckPattern(pattern string) error {
	switch {
	case !filepath.IsAbs(pattern):
		return fmt.Errorf("it must be absolute, such as /var/log/app/*.log")
	case strings.ContainsRune(pattern, 0):
		return fmt.Errorf("it must not hold a NUL")
	case !utf8.ValidString(pattern):
		return fmt.Errorf("it must be UTF-8")
	case slices.Contains(strings.Split(pattern, "/"), ".."):
		return fmt.Errorf("it must not hold \"..\"")
	case strings.Count(pattern, "**") > 2:
		return fmt.Errorf("it must not hold more than two \"**\"")
	case !doublestar.ValidatePathPattern(pattern):
		return fmt.Errorf("it must be a glob pattern: * ? ** [a-z] {a,b}")
	}
	return nil
}

// Match tells whether path matches pattern.
func Match(pattern, path string) bool {
	ok, err := doublestar.PathMatch(pattern, path)
	return err == nil && ok
}

// NewSet returns a set that knows the files of an earlier run. Its first Scan finds them again.
func NewSet(cfg Config, known []Known) *Set {
	if cfg.Quiet == 0 {
		cfg.Quiet = defaultQuiet
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Disk == nil {
		cfg.Disk = machine{}
	}
	s := &Set{
		cfg: cfg, disk: cfg.Disk, byInode: map[uint64][]*File{}, newest: map[string]*File{},
		remains: map[uint32]remains{}, suspects: map[Identity]suspect{},
		first: len(known) == 0,
	}
	s.boot, s.booted = cfg.Disk.Boot()
	for _, pattern := range cfg.Include {
		root, _ := doublestar.SplitPattern(filepath.ToSlash(pattern))
		s.roots = append(s.roots, root)
	}
	for _, k := range known {
		f := &File{
			Ref: k.Ref, set: s, id: k.State.Identity, born: k.State.Born, source: k.Source, path: k.State.Path,
			head: k.State.Head, began: k.State.Began, behind: k.State.Behind, trail: k.State.Trail, boot: k.State.Boot,
			finished: k.State.Finished, changed: cfg.Now(), watch: -1,
			gzip: strings.HasSuffix(k.State.Path, gzSuffix), rotated: k.State.Path != k.Source,
		}
		f.Rewind(k.State.Mark)
		s.add(f)
		s.newest[f.source] = f // they come in the order in which they were first seen
	}
	for _, f := range s.files {
		f.replaced = !f.gzip && s.hasSuccessor(f)
	}
	s.leaveKnown()
	return s
}

func (s *Set) now() time.Time { return s.cfg.Now() }

func (s *Set) add(f *File) {
	s.files = append(s.files, f)
	s.byInode[f.id.Inode] = append(s.byInode[f.id.Inode], f)
}

// move notes that f has another inode now.
func (s *Set) move(f *File, id Identity) {
	s.byInode[f.id.Inode] = slices.DeleteFunc(s.byInode[f.id.Inode], func(g *File) bool { return g == f })
	incarnation := f.id.Incarnation
	f.id = id
	f.id.Incarnation = incarnation
	s.byInode[id.Inode] = append(s.byInode[id.Inode], f)
}

func (s *Set) drop(f *File) {
	f.closeFile()
	s.unwatchFile(f)
	s.files = slices.DeleteFunc(s.files, func(g *File) bool { return g == f })
	if s.newest[f.source] == f {
		delete(s.newest, f.source)
	}
	maps.DeleteFunc(s.remains, func(_ uint32, r remains) bool { return r.in == f })
	s.byInode[f.id.Inode] = slices.DeleteFunc(s.byInode[f.id.Inode], func(g *File) bool { return g == f })
	if len(s.byInode[f.id.Inode]) == 0 {
		delete(s.byInode, f.id.Inode)
	}
}

// find returns the file that has the inode now: its newest incarnation.
func (s *Set) find(id Identity) *File {
	var newest *File
	for _, f := range s.byInode[id.Inode] {
		if f.id.sameInode(id) && !f.gzip && !f.replaced && (newest == nil || f.id.Incarnation > newest.id.Incarnation) {
			newest = f
		}
	}
	return newest
}

// findGzip returns the file whose compressed form has the inode.
func (s *Set) findGzip(id Identity) *File {
	for _, f := range s.byInode[id.Inode] {
		if f.gzip && f.id.sameInode(id) {
			return f
		}
	}
	return nil
}

// replacedBy returns the files that had the inode before they were truncated, and have not been placed yet.
func (s *Set) replacedBy(id Identity) (files []*File) {
	for _, f := range s.byInode[id.Inode] {
		if f.replaced && !f.gone && f.id.sameInode(id) {
			files = append(files, f)
		}
	}
	return files
}

// knows tells whether a file, or the compressed form of one, has the inode.
func (s *Set) knows(id Identity) bool {
	return s.find(id) != nil || s.findGzip(id) != nil || len(s.replacedBy(id)) > 0
}

// Files lists all files of the set.
func (s *Set) Files() []*File { return s.files }

// Rescan asks for a Scan soon.
func (s *Set) Rescan() { s.rescan = true }

// NeedsScan tells whether something asked for a Scan.
func (s *Set) NeedsScan() bool { return s.rescan }

// root returns the directory that path was found below: what precedes the first wildcard of its pattern.
func (s *Set) root(path string) string {
	for _, root := range s.roots {
		if strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/") {
			return root
		}
	}
	return filepath.Dir(path)
}

// Close closes all descriptors.
func (s *Set) Close() error {
	for _, f := range s.files {
		f.closeFile()
	}
	return s.watch.close()
}

// whatIsLeft returns what there is of the file with a reference: most often the file itself.
func (s *Set) whatIsLeft(ref uint32) remains {
	if left, ok := s.remains[ref]; ok {
		return left
	}
	whole := remains{end: math.MaxInt64}
	if i := slices.IndexFunc(s.files, func(f *File) bool { return f.Ref == ref }); i >= 0 {
		whole.in = s.files[i]
	}
	return whole
}

// Sought tells whether the file with a reference was truncated, or lost its end, and what is left of it is still looked
// for: one of the next Scans knows.
func (s *Set) Sought(ref uint32) bool {
	f := s.whatIsLeft(ref).in
	return f != nil && f.replaced && !f.gone && !f.gzip
}

// Open opens the file with a reference once more, at mark, to read again what is pending. It must be closed. Of one
// that was truncated there may be only a beginning.
func (s *Set) Open(ref uint32, mark Mark) (*File, error) {
	left := s.whatIsLeft(ref)
	f := left.in
	if f == nil || mark.Offset >= left.end {
		return nil, ErrNotFound
	}
	if err := f.prove(); err != nil {
		return nil, err
	}
	if f.cut != nil {
		return nil, ErrReplaced // the next Scan says where it goes on
	}
	again := &File{set: s, watch: -1, of: f, copied: left.copied || f.rotated, end: left.end}
	again.id, again.path, again.head, again.gzip, again.gone = f.id, f.path, f.head, f.gzip, f.gone
	again.Rewind(mark)
	if f.fd == nil {
		return again, nil
	}
	// What is open can be read whatever became of its name, and may be the plain form of what is compressed by now.
	fd, err := f.fd.Reopen()
	if err != nil {
		return nil, fmt.Errorf("open %s again: %w", f.path, err)
	}
	if again.fd, again.gzip = fd, f.zip != nil; again.gzip {
		if again.zip, again.tail, err = newGzipReader(fd, mark.Offset, mark); err != nil {
			again.closeFile()
			return nil, fmt.Errorf("read %s again: %w", f.path, err)
		}
	}
	return again, nil
}

// Close closes the descriptor of a file that Open returned.
func (f *File) Close() { f.closeFile() }
