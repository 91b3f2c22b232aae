package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cespare/xxhash/v2"
)

var (
	// ErrReplaced is returned by Read when the file no longer continues what was read of it: it was truncated, or
	// truncated and filled again. The next Scan brings what is there now as a new File.
	ErrReplaced = errors.New("file was truncated")
	// ErrNotFound is returned when a stored file is nowhere any more.
	ErrNotFound = errors.New("file is gone")
)

// File is one incarnation of one log file. It stays the same through renames and compression. One goroutine owns it.
type File struct {
	// Ref is the owner's name for the file.
	Ref uint32

	set      *Set
	of       *File // what it is opened again of, nil for one of the set
	copied   bool  // it is opened again, and perhaps a copy of less than was read before
	id       Identity
	born     int64 // see State.Born
	source   string
	path     string
	head     Head
	position int64
	// tail holds the bytes before position, or nil until they were read and compared with mark.
	tail []byte
	mark Mark
	// began, behind, trail and boot are as in State.
	began  int64
	behind uint32
	trail  Trail
	boot   string
	cut    *Mark // it was cut off there, by a power cut, and is replaced by what is behind
	end    int64 // if it is opened again, where another file begins in it

	fd  Handle
	zip *gzipReader

	size     int64
	changed  time.Time // when size was last seen to grow
	live     bool      // it is under a name that matches the patterns
	rotated  bool      // another file has taken its name
	gone     bool      // it has no name any more
	gzip     bool      // only its compressed form has a name
	replaced bool      // it was truncated or cut off, and has not been placed yet
	shorn    bool      // a power cut may have taken what was read of it
	passed   bool      // it was truncated, and its copy ends before the position
	idle     bool      // it was read to its end, and has a name to find it by
	finished bool
	watch    int32
	scan     uint64
	overlap  [MarkBytes]byte
}

// Path is the name the file has now, or had last.
func (f *File) Path() string { return f.path }

// Source is the name under which the file was first seen.
func (f *File) Source() string { return f.source }

// Afresh tells whether the file begins behind a truncation or a power cut: what is missing of the one before it was not
// copied, or is gone.
func (f *File) Afresh() bool { return f.id.Incarnation > 0 }

// Position is the offset from where Read reads.
func (f *File) Position() int64 { return f.position }

// HasName tells whether the file is the one that has the name under which logs of it are written.
func (f *File) HasName() bool { return f.live && !f.rotated && !f.gone }

// Lag is how many bytes are known to be unread. Those of a compressed file are not known.
func (f *File) Lag() int64 {
	if f.gzip {
		return 0
	}
	return max(0, f.size-f.position)
}

// Read fills buf with the bytes at the position, without moving it. It returns io.EOF when there are none for now, and
// ErrReplaced when the bytes before the position are not those that were read.
func (f *File) Read(buf []byte) (int, error) {
	if f.replaced {
		return 0, ErrReplaced
	}
	if err := f.prove(); err != nil {
		return 0, err
	}
	if err := f.open(); err != nil {
		return 0, err
	}
	if f.end > 0 {
		buf = buf[:max(0, min(int64(len(buf)), f.end-f.position))]
	}
	if f.zip != nil {
		return f.readGzip(buf)
	}
	before := min(f.position, MarkBytes)
	n, err := f.fd.ReadAround(f.overlap[:before], buf, f.position-before)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", f.path, err)
	}
	if int64(n) < before {
		return 0, f.missing()
	}
	n -= int(before)
	if !f.continues(f.overlap[:before]) || f.position == 0 && !f.beginsWith(buf[:n], n < len(buf)) {
		return 0, f.missing()
	}
	if n == 0 {
		return 0, io.EOF
	}
	f.growHead(buf[:n])
	if end := f.position + int64(n); end > f.size {
		f.size, f.changed = end, f.set.now()
	}
	return n, nil
}

// readGzip is Read for a compressed file.
func (f *File) readGzip(buf []byte) (int, error) {
	n, err := f.zip.peek(buf)
	if refused := f.zip.err; n < len(buf) && passing(refused) {
		if n = bytes.LastIndexByte(buf[:n], '\n') + 1; n > 0 {
			return n, nil // the rest would look like the end
		}
		f.closeFile() // the next Read begins anew
		return 0, fmt.Errorf("read %s: %w", f.path, refused)
	}
	if !f.Cut() || !f.zip.grown(f.fd) {
		return n, err
	}
	f.closeFile() // it was not whole when it was opened
	f.changed = f.set.now()
	return f.Read(buf)
}

// continues tells whether before is what was before the position when it was read.
func (f *File) continues(before []byte) bool {
	if f.tail != nil {
		return bytes.Equal(f.tail, before)
	}
	if f.position > 0 && xxhash.Sum64(before) != f.mark.Hash {
		return false
	}
	f.tail = append(make([]byte, 0, MarkBytes), before...)
	return true
}

// beginsWith tells whether data, with which the file begins, is what it began with before; all says that there is no
// more.
func (f *File) beginsWith(data []byte, all bool) bool {
	if len(data) < f.head.Bytes {
		return !all
	}
	return f.head.Bytes == 0 || xxhash.Sum64(data[:f.head.Bytes]) == f.head.Hash
}

// open opens the file where it is now.
func (f *File) open() error {
	f.idle = false
	if f.fd != nil {
		return nil
	}
	if f.gone {
		return fmt.Errorf("%s: %w", f.path, ErrNotFound)
	}
	fd, err := f.set.disk.Open(f.set.root(f.path), f.path)
	if err != nil {
		return err
	}
	found, err := fd.Look()
	if err != nil || !f.id.sameInode(found.ID) {
		f.set.Rescan()
		return errors.Join(fmt.Errorf("%s: another file has this name now: %w", f.path, fs.ErrNotExist), err, fd.Close())
	}
	if f.gzip {
		// Without the tail, the next marks would not cover the bytes before the position.
		if f.zip, f.tail, err = newGzipReader(fd, f.position, f.mark); err != nil {
			f.gone, f.replaced = errors.Is(err, ErrReplaced), errors.Is(err, ErrReplaced)
			return errors.Join(fmt.Errorf("read %s: %w", f.path, err), fd.Close())
		}
		f.fd = fd
		return nil
	}
	f.fd = fd
	if f.id.Generation == 0 {
		f.id.Generation = fd.Generation()
	}
	return nil
}

// admit opens a new file and reads its head: from then on it is known whatever becomes of its name, and its bytes stay
// readable until it is finished.
func (f *File) admit() error {
	if err := f.open(); err != nil {
		return err
	}
	var err error
	if f.gzip {
		f.head, err = gzipHead(f.fd, HeadBytes)
	} else {
		f.head, err = readHead(f.fd, HeadBytes)
	}
	if err != nil {
		return fmt.Errorf("read the beginning of %s: %w", f.path, err)
	}
	return nil
}

// Advance moves the position behind data, which Read gave.
func (f *File) Advance(n int, data []byte) {
	f.position += int64(n)
	f.mark.Offset = f.position
	f.tail = lastBytes(f.tail, data[:n])
	f.mark.Hash = xxhash.Sum64(f.tail)
	if f.zip != nil {
		f.zip.discard(n)
		f.size = max(f.size, f.position)
	}
}

// lastBytes returns the last MarkBytes of before and data, in the memory of before.
func lastBytes(before, data []byte) []byte {
	if len(data) >= MarkBytes {
		return append(before[:0], data[len(data)-MarkBytes:]...)
	}
	if keep := MarkBytes - len(data); len(before) > keep {
		before = append(before[:0], before[len(before)-keep:]...)
	}
	return append(before, data...)
}

// MarkAt returns the mark for an offset inside chunk, the bytes at the position that Read gave last.
func (f *File) MarkAt(offset int64, chunk []byte) Mark {
	if offset == f.position {
		return f.mark
	}
	data := chunk[:offset-f.position]
	if len(data) >= MarkBytes {
		return Mark{Offset: offset, Hash: xxhash.Sum64(data[len(data)-MarkBytes:])}
	}
	var digest xxhash.Digest
	digest.Reset()
	keep := min(len(f.tail), MarkBytes-len(data))
	_, _ = digest.Write(f.tail[len(f.tail)-keep:])
	_, _ = digest.Write(data)
	return Mark{Offset: offset, Hash: digest.Sum64()}
}

// Rewind moves the position to where mark was taken. The bytes before it are compared at the next Read.
func (f *File) Rewind(mark Mark) {
	f.position, f.mark, f.tail, f.passed = mark.Offset, mark, nil, false
	if mark.Offset == 0 {
		f.tail = []byte{}
	}
	if f.zip != nil {
		f.closeFile()
	}
}

// Rest returns the bytes behind the position of a file that can no longer grow.
func (f *File) Rest() ([]byte, error) {
	buf := make([]byte, 64<<10)
	n, err := f.Read(buf)
	for n == len(buf) && err == nil {
		buf = make([]byte, 4*len(buf))
		n, err = f.Read(buf)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, ErrReplaced) || errors.Is(err, ErrNotFound) ||
		errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	return buf[:n], err
}

// rotate notes whether the file has lost its name. From then on its writer has a while to notice.
func (f *File) rotate(rotated bool) {
	if rotated && !f.rotated {
		f.changed = f.set.now()
	}
	f.rotated = rotated
}

// Final tells whether the file can no longer grow: it lost its name, or its content to a compressed form, and was quiet
// for a while, in case its writer still has it open. A compressed form that is not whole has longer. Since then the
// names were looked at, so that the file that took its name is known.
func (f *File) Final() bool {
	switch {
	case f.replaced:
		return f.gone || f.passed // else its copy is looked for
	case f.set.vanished[f.source]:
		return false
	case f.Cut():
		return f.set.began.Sub(f.changed) >= cutGrace
	}
	return f.gzip || (f.rotated || f.gone) && f.set.began.Sub(f.changed) >= f.set.cfg.Quiet
}

// Finish says that all of the file was read and acknowledged. Its descriptor is closed; its state has to be kept until
// a Scan reports it gone.
func (f *File) Finish() {
	f.finished = true
	f.closeFile()
}

// Resume takes Finish back: the file has grown all the same.
func (f *File) Resume() { f.finished = false }

// Idle closes the descriptor of a file that is read to its end and can be found again by its name.
func (f *File) Idle() {
	if f.HasName() && !f.gzip && f.Lag() == 0 {
		f.closeFile()
		f.idle = true
	}
}

// hold opens a file that has unread bytes, so that they stay readable whatever becomes of its name.
func (f *File) hold() {
	if f.fd != nil || f.finished || f.idle || f.gone {
		return
	}
	if err := f.open(); err != nil && !f.set.refused(f.path, err) {
		f.set.Rescan() // its name changed since it was looked at
	}
}

func (f *File) closeFile() {
	if f.fd != nil {
		_ = f.fd.Close()
	}
	f.fd, f.zip = nil, nil
}

// State is what has to be stored of the file to find it again and go on at mark.
func (f *File) State(mark Mark) State {
	return State{
		Identity: f.id, Born: f.born, Path: f.path, Head: f.head, Mark: mark, Began: f.began, Behind: f.behind,
		Trail: f.trail, Boot: f.boot, Finished: f.finished,
	}
}

// growHead makes the head cover more of a file that was shorter before. What it covers must be what was read: the file
// may have been truncated since.
func (f *File) growHead(fresh []byte) {
	end := min(f.position+int64(len(fresh)), HeadBytes)
	if end <= int64(f.head.Bytes) {
		return
	}
	buf := make([]byte, end)
	if copy(buf[min(f.position, end):], fresh); f.position > 0 {
		_, err := f.fd.ReadAt(buf[:min(f.position, end)], 0)
		if err != nil || f.head.Bytes > 0 && xxhash.Sum64(buf[:f.head.Bytes]) != f.head.Hash {
			return
		}
	}
	f.head = Head{Bytes: int(end), Hash: xxhash.Sum64(buf)}
}

// readHead makes the head cover what is there now.
func (f *File) readHead() error {
	head, err := readHead(f.fd, HeadBytes)
	if err == nil {
		f.head = head
	}
	return err
}

// headMatches tells whether r begins with the bytes that the head covers.
func (f *File) headMatches(r io.ReaderAt) (bool, error) {
	head, err := readHead(r, f.head.Bytes)
	return err == nil && (f.head.Bytes == 0 || head == f.head), err
}

// readHead hashes up to limit first bytes.
func readHead(r io.ReaderAt, limit int) (Head, error) {
	buf := make([]byte, limit)
	n, err := r.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Head{}, err
	}
	return Head{Bytes: n, Hash: xxhash.Sum64(buf[:n])}, nil
}

// sameInode compares what both sides know. The incarnation is ours and no part of it.
func (id Identity) sameInode(other Identity) bool {
	return id.Inode == other.Inode && (id.Birth == 0 || other.Birth == 0 || id.Birth == other.Birth) &&
		(id.Generation == 0 || other.Generation == 0 || id.Generation == other.Generation)
}
