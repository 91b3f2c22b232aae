package tail

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// File is one log file, from its first byte to its last, under whatever names it has. It belongs to the goroutine of
// its Set.
type File struct {
	set    *Set
	ref    uint32
	source string
	path   string
	// identity and head say what the bytes are, at is the inode that holds them now: another one when they were
	// compressed or copied.
	identity Identity
	at       inode
	zipped   bool
	head     Head
	boot     string // under which the state was stored

	// mark is the position, its hash valid while reader is nil.
	mark   Mark
	acked  int64
	reader *reader
	// failed is what ended reading; the next scan ends the file.
	failed error

	// previous is the file whose last line may go on in this one.
	previous *File

	// size and mtime are as last seen, of the plain file; size is an estimate for a compressed one.
	size   int64
	mtime  int64
	before int64 // size at the scan before: growth since then may be of other content
	grewAt time.Time

	verified bool // seen to hold what its state says
	dormant  bool // known, but not selected by the patterns now
	finished bool
	gone     bool // no name leads to it any more
	rotated  bool // found under the name of a rotated file
	copied   bool // the bytes are in a copy that is complete
	retry    bool // a read failed for want of the file
	changed  bool // State differs from what was last reported
	final    bool // what Final said at the last scan

	round    uint64  // the scan that saw it last
	missed   int     // scans since then
	searched version // what was last searched for it
	adopted  version // what was last searched for files between it and its successor
}

// Ref returns the reference the file is known by, 0 for a new one.
func (f *File) Ref() uint32 { return f.ref }

// SetRef gives a new file its reference. It may be done once.
func (f *File) SetRef(ref uint32) { f.ref = ref }

// Path returns where the file was last seen.
func (f *File) Path() string { return f.path }

// Source returns the path that the file was first seen under, or the live name of a file first seen when rotated.
func (f *File) Source() string { return f.source }

// Position returns the offset from where Read reads. In a compressed file it counts decompressed bytes.
func (f *File) Position() int64 { return f.mark.Offset }

// Size returns the file's size as last seen. It is an estimate for a compressed file.
func (f *File) Size() int64 { return max(f.size, f.mark.Offset) }

// Lag returns the number of bytes not read yet, as of the last scan or read. It is an estimate for a compressed file.
func (f *File) Lag() int64 { return f.Size() - f.mark.Offset }

// Previous returns the file that had the live name before and has not been released yet, nil if there is none. It is to
// be read to its end first: its last line may go on in this file.
func (f *File) Previous() *File {
	if f.previous != nil && f.previous.finished {
		f.previous = nil
	}
	return f.previous
}

// Finished tells whether the file was released. It is false again when the file grows after all.
func (f *File) Finished() bool { return f.finished }

// State returns what to store of the file if reading is to go on from mark.
func (f *File) State(mark Mark) State {
	return State{
		Identity: f.identity, Path: f.path, Head: f.head, Mark: mark, Boot: f.set.cfg.Boot,
		Finished: f.finished && mark.Offset == f.mark.Offset,
	}
}

// Read fills buf from the position on and leaves the position where it is. A short count means that there is no more
// for now, io.EOF that there is nothing new. Any other error ends reading until the next scan.
func (f *File) Read(buf []byte) (int, error) {
	if f.failed != nil {
		return 0, f.failed
	}
	n, err := f.read(buf)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, errPartial):
		return 0, f.partial()
	case errors.Is(err, io.EOF):
		return 0, io.EOF
	case errors.Is(err, ErrMoved):
		f.retry = true
	case errors.Is(err, ErrReplaced), errors.Is(err, ErrDamaged), errors.Is(err, ErrTooLarge):
		f.failed = fmt.Errorf("read %s: %w", f.path, err)
		return 0, f.failed
	}
	return 0, fmt.Errorf("read %s: %w", f.path, err)
}

func (f *File) read(buf []byte) (int, error) {
	if err := f.attach(); err != nil {
		return 0, err
	}
	n, err := f.reader.content.read(buf, f.reader.before(), f.mark.Offset)
	if err != nil {
		return 0, err
	}
	f.size = max(f.size, f.mark.Offset+int64(n))
	if f.needsHead() {
		err = f.growHead()
	}
	return n, err
}

// needsHead tells whether the head is to be read: it can grow, or no mark tells yet that the file was refilled.
func (f *File) needsHead() bool {
	return !f.reader.opened.zipped && (f.head.Bytes < HeadBytes || f.mark.Offset == 0)
}

// partial is the outcome of reading a compressed file that ends too early: if it is still being written there will be
// more, to be read by a new stream.
func (f *File) partial() error {
	if f.set.now().Sub(f.grewAt) < f.set.cfg.IdleAfter {
		f.detach()
		return io.EOF
	}
	f.failed = fmt.Errorf("read %s: %w: %w", f.path, ErrDamaged, errPartial)
	return f.failed
}

// growHead makes the head cover more of the file, if there is more.
func (f *File) growHead() error {
	first := make([]byte, HeadBytes)
	n, err := readAt(f.reader.opened.fd, first, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !f.head.isOf(first[:n]) {
		return ErrReplaced
	}
	if n > f.head.Bytes {
		f.head, f.changed = headOf(first[:n]), true
	}
	return nil
}

// attach opens the file at the position unless it is open.
func (f *File) attach() error {
	if f.reader.isOpen() {
		return nil
	}
	o, err := openFile(f.set.rootOf(f.path), f.path)
	if isGone(err) {
		return ErrMoved
	}
	if err != nil {
		return err
	}
	r, err := f.positioned(o)
	if err != nil {
		(&reader{opened: o}).close()
		return err
	}
	f.reader = r
	return nil
}

func (f *File) positioned(o opened) (*reader, error) {
	if !f.isAt(o.stat) {
		return nil, ErrMoved
	}
	r, err := f.wanted().position(o)
	if errors.Is(err, ErrChanged) {
		err = ErrReplaced
	}
	return r, err
}

// isAt tells whether the status is that of the inode which holds the bytes. A file of which nothing but its state is
// known has been seen on no device yet.
func (f *File) isAt(st stat) bool {
	if f.at.dev != 0 && f.at.dev != st.dev {
		return false
	}
	return f.at.number == st.number && (f.at.birth == 0 || st.birth == 0 || f.at.birth == st.birth)
}

func (f *File) wanted() wanted {
	return wanted{head: f.head, mark: f.Mark(), maxBytes: f.set.cfg.MaxDecompressed}
}

// detach closes the descriptor and keeps the position.
func (f *File) detach() {
	if f.reader == nil {
		return
	}
	f.mark = f.Mark()
	f.reader.close()
	f.reader = nil
}

// Mark returns the mark of the position.
func (f *File) Mark() Mark { return f.MarkAt(f.mark.Offset, nil) }

// MarkAt returns the mark of an offset inside chunk, or at its end. Chunk are the bytes that Read returned last.
func (f *File) MarkAt(offset int64, chunk []byte) Mark {
	if f.reader == nil {
		return f.mark
	}
	var scratch [MarkBytes]byte
	return markOf(offset, f.reader.lastOf(chunk[:offset-f.mark.Offset], scratch[:]))
}

// Advance moves the position over the first n bytes of data, which Read returned last.
func (f *File) Advance(n int, data []byte) {
	if f.reader != nil {
		f.reader.keep(data[:n])
		if f.reader.content != nil {
			f.reader.content.used(n)
		}
	}
	f.mark.Offset += int64(n)
	f.size = max(f.size, f.mark.Offset)
}

// Acknowledge says that nothing before the offset is to be read again. A file keeps its descriptor until its position
// is acknowledged.
func (f *File) Acknowledge(offset int64) { f.acked = max(f.acked, offset) }

// Rewind moves the position to a mark that MarkAt or Mark gave before. It returns ErrChanged if the bytes before it
// are no longer what they were.
func (f *File) Rewind(mark Mark) error {
	if mark == f.Mark() {
		return nil
	}
	if err := f.attach(); err != nil {
		return fmt.Errorf("rewind %s: %w", f.path, err)
	}
	w := f.wanted()
	w.mark = mark
	o := f.reader.opened
	o.stat.size = max(o.stat.size, f.size)
	r, err := w.position(o)
	if err != nil {
		return fmt.Errorf("rewind %s: %w", f.path, err)
	}
	f.reader, f.mark, f.finished = r, mark, false
	return nil
}

// maxRest bounds what Rest returns.
const maxRest = 64 << 20

// Rest returns what is left between the position and the end. It is meant for the last line of a file that is Final,
// which lacks a newline.
func (f *File) Rest() ([]byte, error) {
	rest := make([]byte, min(f.Lag(), maxRest)+1)
	n, err := f.Read(rest)
	for n == len(rest) && n < maxRest {
		rest = make([]byte, min(2*n, maxRest))
		n, err = f.Read(rest)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return rest[:n], nil
}

// Final tells whether the file, once read to its end, can no longer grow, so that its last line is complete even
// without a newline. It was deleted, or renamed while another file took its name, and has not grown for
// Config.FinishQuiet; renamed with no successor it has not grown for Config.IdleAfter. A compressed file is final at
// its end.
func (f *File) Final() bool {
	if f.readsGzip() {
		return f.reader.isOpen() && f.reader.content.ended()
	}
	quiet := f.set.now().Sub(f.grewAt)
	switch {
	case f.copied:
		return true
	case f.gone, f.rotated, f.set.isSuperseded(f):
		return quiet >= f.set.cfg.FinishQuiet
	case f.path != f.source:
		return quiet >= f.set.cfg.IdleAfter
	}
	return false
}

// readsGzip tells whether the bytes come out of a compressed file. One that was compressed while open is read to its
// end as it was.
func (f *File) readsGzip() bool {
	if f.reader.isOpen() {
		return f.reader.opened.zipped
	}
	return f.zipped
}

// Release closes a file that was read to its end and whose last byte is acknowledged. The file is finished; its state
// is to be kept until a scan says that it is forgotten. A file from OpenState is closed, and nothing else.
func (f *File) Release() {
	f.detach()
	f.finished, f.previous = true, nil
	f.acked = f.mark.Offset
}
