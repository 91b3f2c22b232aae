package tail

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// content is the bytes of an open file, plain or compressed.
type content interface {
	// read fills buf with what is behind offset. It returns a short count only at the present end, and io.EOF with
	// count 0. before is what was read before offset: if the file no longer has it there, read returns ErrReplaced.
	read(buf, before []byte, offset int64) (int, error)
	// used says that offset moved forward by n bytes of those that read returned last.
	used(n int)
	// ended tells whether the end of what can only be read once has been reached.
	ended() bool
}

// reader is an open file with the last bytes before its position.
type reader struct {
	content content
	opened  opened

	// kept holds the last size bytes before the position.
	kept [MarkBytes]byte
	size int
}

func (r *reader) before() []byte { return r.kept[:r.size] }

// keep takes the bytes that the position moved over.
func (r *reader) keep(data []byte) { r.size = copy(r.kept[:], r.lastOf(data, r.kept[:])) }

// lastOf returns up to MarkBytes bytes that end with data, made in scratch where data alone is too short.
func (r *reader) lastOf(data, scratch []byte) []byte {
	if len(data) >= MarkBytes {
		return data[len(data)-MarkBytes:]
	}
	old := r.before()
	old = old[max(0, len(old)+len(data)-MarkBytes):]
	n := copy(scratch, old)
	n += copy(scratch[n:MarkBytes], data)
	return scratch[:n]
}

func (r *reader) close() {
	if r.opened.fd >= 0 {
		_ = unix.Close(r.opened.fd)
		r.opened.fd = -1
	}
	r.content = nil
}

func (r *reader) isOpen() bool { return r != nil && r.content != nil }

// wanted is what an open file has to hold to be taken for the one of a state.
type wanted struct {
	head Head
	mark Mark
	// whole says that the file must end at the mark, as a finished one does; the mark itself need not be looked at.
	whole bool
	// maxBytes bounds what a compressed file may expand to.
	maxBytes int64
}

// errShrunk is the ErrChanged of a file whose head is right and whose end is before the mark.
var errShrunk = errors.Join(ErrChanged, errors.New("shorter than what was read"))

// position makes a reader of o at the mark. It returns ErrChanged if o does not hold what is wanted, and closes
// nothing.
func (w wanted) position(o opened) (*reader, error) {
	if o.zipped {
		return w.positionGzip(o)
	}
	return w.positionPlain(o)
}

func (w wanted) positionPlain(o opened) (*reader, error) {
	if w.head.Bytes > 0 {
		first := make([]byte, w.head.Bytes)
		if n, err := readAt(o.fd, first, 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		} else if !w.head.isOf(first[:n]) {
			return nil, ErrChanged
		}
	}
	if o.stat.size < w.mark.Offset {
		return nil, errShrunk
	}
	r := &reader{content: &plain{fd: o.fd}, opened: o, size: overlapBefore(w.mark.Offset)}
	switch _, err := readAt(o.fd, r.before(), w.mark.Offset-int64(r.size)); {
	case errors.Is(err, io.EOF):
		return nil, ErrChanged
	case err != nil:
		return nil, err
	case markOf(w.mark.Offset, r.before()) != w.mark:
		return nil, ErrChanged
	}
	return r, nil
}

// plain is an uncompressed file.
type plain struct {
	fd int
	// overlap is where the bytes before the position are read to, in the same system call as those behind it.
	overlap [MarkBytes]byte
	parts   [2][]byte
}

func (p *plain) read(buf, before []byte, offset int64) (int, error) {
	p.parts = [2][]byte{p.overlap[:len(before)], buf}
	var n int
	err := retry(func() (err error) {
		n, err = unix.Preadv(p.fd, p.parts[:], offset-int64(len(before)))
		return err
	})
	p.parts = [2][]byte{}
	switch {
	case err != nil:
		return 0, err
	case n < len(before) || !bytes.Equal(p.overlap[:len(before)], before):
		return 0, ErrReplaced
	case n == len(before):
		return 0, io.EOF
	}
	return n - len(before), nil
}

func (p *plain) used(int) {}

func (p *plain) ended() bool { return true }
