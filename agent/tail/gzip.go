package tail

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxRatio bounds what a compressed file expands to; text hardly ever reaches 50.
	maxRatio = 200
	// ratioFree may be expanded from any input: the first block of an honest file of equal lines expands a lot.
	ratioFree = 1 << 20
	// gzipTrailer is CRC-32 and ISIZE, the size of the last member before compression, modulo 2^32 (RFC 1952).
	gzipTrailer = 8
)

// errPartial says that a compressed file ends too early: it is still being written, or it is damaged.
var errPartial = errors.New("compressed data ends too early")

// gzipStream decompresses a file once, from its beginning to its end. What was read and not used yet is kept.
type gzipStream struct {
	file     *counter
	zip      *gzip.Reader
	next     int64 // decompressed offset of what comes out of zip next
	maxBytes int64
	err      error

	// kept are the decompressed bytes from the position up to next.
	kept []byte
}

// counter reads a file from its beginning, whatever the descriptor's own position is.
type counter struct {
	fd     int
	offset int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := readAt(c.fd, p, c.offset)
	c.offset += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func newGzipStream(fd int, maxBytes int64) *gzipStream {
	return &gzipStream{file: &counter{fd: fd}, maxBytes: maxBytes}
}

// inflate reads up to len(p) decompressed bytes. It is short only with an error, which it then returns ever after.
func (g *gzipStream) inflate(p []byte) (int, error) {
	n := 0
	for n < len(p) && g.err == nil {
		var m int
		m, g.err = g.step(p[n:])
		n += m
		g.next += int64(m)
	}
	if n == len(p) {
		return n, nil
	}
	return n, g.err
}

func (g *gzipStream) step(p []byte) (int, error) {
	if g.zip == nil {
		zip, err := gzip.NewReader(bufio.NewReaderSize(g.file, 32<<10))
		if err != nil {
			return 0, gzipError(err)
		}
		g.zip = zip
	}
	if allowed := min(g.maxBytes, g.file.offset*maxRatio+ratioFree) - g.next; allowed <= 0 {
		return 0, fmt.Errorf("%w: %d bytes from %d", ErrTooLarge, g.next, g.file.offset)
	} else if int64(len(p)) > allowed {
		p = p[:allowed]
	}
	n, err := g.zip.Read(p)
	if errors.Is(err, gzip.ErrHeader) && g.next+int64(n) > 0 {
		err = io.EOF // what follows the last member is not gzip; gzip(1) leaves it out too
	}
	return n, gzipError(err)
}

func gzipError(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errPartial
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// skip decompresses up to the offset and returns the bytes before it that a mark covers.
func (g *gzipStream) skip(offset int64, before []byte) error {
	scratch := make([]byte, 64<<10)
	for start := offset - int64(len(before)); g.next < start; {
		if _, err := g.inflate(scratch[:min(int64(len(scratch)), start-g.next)]); err != nil {
			return err
		}
	}
	_, err := g.inflate(before)
	return err
}

func (g *gzipStream) read(buf, _ []byte, _ int64) (int, error) {
	n := copy(buf, g.kept)
	if n == len(buf) {
		return n, nil
	}
	m, err := g.inflate(buf[n:])
	g.kept = append(g.kept, buf[n:n+m]...)
	if n += m; n > 0 && (m > 0 || errors.Is(err, io.EOF)) {
		return n, nil
	}
	return 0, err // what is kept was seen before, and nothing will complete it
}

func (g *gzipStream) used(n int) {
	if n == len(g.kept) {
		g.kept = g.kept[:0]
		return
	}
	g.kept = append(g.kept[:0], g.kept[n:]...)
}

func (g *gzipStream) ended() bool { return errors.Is(g.err, io.EOF) }

// positionGzip is position for a compressed file.
func (w wanted) positionGzip(o opened) (*reader, error) {
	if w.whole && w.mark.Offset > 0 && !sizeMatches(o, w.mark.Offset) {
		w.whole = false // several members, or another file
	}
	g := newGzipStream(o.fd, w.maxBytes)
	first := make([]byte, w.head.Bytes)
	n, err := g.inflate(first)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !w.head.isOf(first[:n]) {
		return nil, ErrChanged
	}
	r := &reader{content: g, opened: o}
	if w.whole {
		return r, nil
	}
	r.size = overlapBefore(w.mark.Offset)
	if w.mark.Offset < g.next {
		g = newGzipStream(o.fd, w.maxBytes)
		r.content = g
	}
	// The head may lie between here and the mark's own bytes, or overlap them.
	switch err := w.skipFrom(g, first[:n], r.before()); {
	case errors.Is(err, io.EOF):
		return nil, ErrChanged
	case err != nil:
		return nil, err
	case markOf(w.mark.Offset, r.before()) != w.mark:
		return nil, ErrChanged
	}
	return r, nil
}

// skipFrom moves g, which has given first or nothing yet, to the mark.
func (w wanted) skipFrom(g *gzipStream, first, before []byte) error {
	start := w.mark.Offset - int64(len(before))
	if g.next == 0 || g.next <= start {
		return g.skip(w.mark.Offset, before)
	}
	n := copy(before, first[start:])
	_, err := g.inflate(before[n:])
	return err
}

// sizeMatches tells whether the file of one member has the given size when decompressed.
func sizeMatches(o opened, size int64) bool { return gzipSize(o) == uint32(size&0xffffffff) }

// gzipSize returns what the trailer says of the decompressed size: right for files of one member below 4 GiB.
func gzipSize(o opened) uint32 {
	var trailer [gzipTrailer]byte
	if n, _ := readAt(o.fd, trailer[:], o.stat.size-gzipTrailer); n < gzipTrailer {
		return 0
	}
	return binary.LittleEndian.Uint32(trailer[4:])
}
