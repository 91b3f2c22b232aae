package agent

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/simulation"
)

// simDisk is a file system in memory with one directory. As on ext4, the number of a freed inode goes to the next file.
type simDisk struct {
	*world
	names map[string]*simInode
	free  []uint64
	last  uint64
	// births says that the file system keeps birth times, generations that inodes have one.
	births, generations bool
	// skew is what the machine's clock, which dates files, is ahead of the time that passes.
	skew time.Duration
	// boots is how often the machine was started, booted when.
	boots  int
	booted time.Time
}

// simInode is a file. It is there as long as it has a name or somebody has it open.
type simInode struct {
	number     uint64
	birth      time.Time
	generation uint32
	changed    time.Time
	data       []byte
	safe       int // bytes of data that are on the disk
	names      int
	open       int
}

func newSimDisk(w *world) *simDisk {
	d := &simDisk{world: w, names: map[string]*simInode{}, last: 100, births: true, generations: w.Chance(50)}
	return d
}

// tick is the time of the next change.
func (d *simDisk) tick() time.Time { return d.world.tick().Add(d.skew) }

// setClock sets the machine's clock forward, or back where no file is told by its date: rotated files with numbers are
// when the one that was known last is gone, and a compressed one is when nothing was known of what it begins with.
func (d *simDisk) setClock() {
	least := -7200
	if slices.ContainsFunc(d.logs, func(l *simLog) bool { return l.numbered || l.file == nil || !l.arrived[l.first] }) {
		least = 0
	}
	d.skew += time.Duration(d.Between(least, 7200)) * time.Second
	d.Event("clock set", d.skew.String)
}

// create makes a file that is open.
func (d *simDisk) create(name string) *simInode {
	d.last++
	i := &simInode{number: d.last, birth: d.tick(), generation: d.Uint32(), names: 1, open: 1}
	if n := len(d.free); n > 0 {
		d.last--
		i.number, d.free = d.free[n-1], d.free[:n-1]
		d.Event("inode used again", func() string { return fmt.Sprint(name, " ", i.number) })
	}
	i.changed = i.birth
	d.names[name] = i
	return i
}

func (d *simDisk) append(i *simInode, text []byte) {
	i.data = append(i.data, text...)
	if now := d.tick(); len(text) > 0 {
		i.changed = now
	}
}

// rename replaces what has the name to.
func (d *simDisk) rename(from, to string) {
	i := d.names[from]
	delete(d.names, from)
	if there := d.names[to]; there != nil {
		there.names--
		d.release(there)
	}
	d.names[to] = i
}

func (d *simDisk) remove(name string) {
	i := d.names[name]
	delete(d.names, name)
	i.names--
	d.release(i)
}

func (d *simDisk) close(i *simInode) {
	i.open--
	d.release(i)
}

func (d *simDisk) release(i *simInode) {
	if i.names == 0 && i.open == 0 {
		d.free = append(d.free, i.number)
	}
}

func (d *simDisk) list() []string { return slices.Sorted(maps.Keys(d.names)) }

func (d *simDisk) info(i *simInode) tail.Info {
	info := tail.Info{ID: tail.Identity{Inode: i.number}, Size: int64(len(i.data)), Regular: true, Changed: i.changed}
	if d.births {
		info.ID.Birth = i.birth.UnixNano()
	}
	return info
}

// agentDisk is the disk as one agent sees it.
type agentDisk struct {
	*simDisk
	process *simulation.Process
	handles map[*simHandle]bool
	opened  int
}

// ask makes one call, which may fail with err for now.
func (d *agentDisk) ask(op, name string, err error) error {
	d.process.Wait()
	if d.rates.disk > 0 && d.Chance(d.rates.disk) {
		d.Event("disk call failed", func() string { return op + " " + name })
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// Glob implements tail.Disk. A directory of which not all was read has no names for it.
func (d *agentDisk) Glob(pattern string) ([]string, []tail.Problem) {
	dir := path.Dir(pattern)
	names, err := d.List(dir)
	if err != nil {
		return nil, []tail.Problem{{Path: dir, Err: err}}
	}
	var out []string
	for _, name := range names {
		full := path.Join(path.Dir(pattern), name)
		if ok, err := doublestar.PathMatch(pattern, full); ok && err == nil {
			out = append(out, full)
		}
	}
	return out, nil
}

// List reads the directory in two pieces: what is renamed in between may show twice, or not at all.
func (d *agentDisk) List(dir string) ([]string, error) {
	if err := d.ask("open", dir, syscall.EMFILE); err != nil {
		return nil, err
	}
	before := d.list()
	cut := path.Base(dir)
	if len(before) > 0 && d.Chance(30) {
		cut = before[d.IntN(len(before))]
		d.process.Wait()
	}
	var names []string
	for _, name := range before {
		if name < cut {
			names = append(names, path.Base(name))
		}
	}
	for _, name := range d.list() {
		if name >= cut {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (d *agentDisk) Look(name string) (tail.Info, error) {
	if err := d.ask("statx", name, syscall.EIO); err != nil {
		return tail.Info{}, err
	}
	i := d.names[name]
	if i == nil {
		return tail.Info{}, &fs.PathError{Op: "statx", Path: name, Err: fs.ErrNotExist}
	}
	return d.info(i), nil
}

func (d *agentDisk) Open(_, name string) (tail.Handle, error) {
	if err := d.ask("open", name, syscall.EMFILE); err != nil {
		return nil, err
	}
	i := d.names[name]
	if i == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return d.handle(i), nil
}

func (d *agentDisk) handle(i *simInode) *simHandle {
	d.opened++
	h := &simHandle{disk: d, inode: i, number: d.opened}
	d.handles[h] = true
	i.open++
	return h
}

// died closes what the agent had open, as the kernel does.
func (d *agentDisk) died() {
	byNumber := func(a, b *simHandle) int { return a.number - b.number }
	for _, h := range slices.SortedFunc(maps.Keys(d.handles), byNumber) {
		d.close(h.inode)
	}
	clear(d.handles)
}

// simHandle is an open file.
type simHandle struct {
	disk   *agentDisk
	inode  *simInode
	number int
}

var errClosed = errors.New("file already closed")

func (h *simHandle) ReadAt(p []byte, offset int64) (int, error) {
	n, err := h.ReadAround(nil, p, offset)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (h *simHandle) ReadAround(before, buf []byte, offset int64) (int, error) {
	if err := h.disk.ask("read", "", syscall.EIO); err != nil {
		return 0, err
	}
	if !h.disk.handles[h] {
		return 0, errClosed
	}
	if offset >= int64(len(h.inode.data)) {
		return 0, nil
	}
	data := h.inode.data[offset:]
	n := copy(before, data)
	return n + copy(buf, data[n:]), nil
}

func (h *simHandle) Look() (tail.Info, error) {
	if err := h.disk.ask("statx", "", syscall.EIO); err != nil {
		return tail.Info{}, err
	}
	return h.disk.info(h.inode), nil
}

func (h *simHandle) Reopen() (tail.Handle, error) {
	if err := h.disk.ask("open", "", syscall.EMFILE); err != nil {
		return nil, err
	}
	return h.disk.handle(h.inode), nil
}

func (h *simHandle) Generation() uint32 {
	if !h.disk.generations {
		return 0
	}
	return h.inode.generation
}

func (h *simHandle) Close() error {
	if !h.disk.handles[h] {
		return errClosed
	}
	delete(h.disk.handles, h)
	h.disk.close(h.inode)
	return nil
}

// compressed returns data as gzip has it.
func (w *world) compressed(data []byte) []byte {
	var out bytes.Buffer
	w.zip.Reset(&out)
	if _, err := w.zip.Write(data); err != nil {
		w.Fail("compress: %v", err)
	}
	if err := w.zip.Close(); err != nil {
		w.Fail("compress: %v", err)
	}
	return out.Bytes()
}

// newZip is a compressor that is quick to make.
func newZip() *gzip.Writer {
	zip, err := gzip.NewWriterLevel(io.Discard, gzip.HuffmanOnly)
	if err != nil {
		panic(err)
	}
	return zip
}
