package tail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Bounds for what a compressed file may become: text is rarely compressed more than tenfold.
const (
	maxRatio    = 200
	maxRatioMin = 64 << 20 // small files may have any ratio
)

var errBomb = errors.New("gzip file expands more than 200 times: it is taken for an attack and not read")

// Cut tells whether the file is a compressed one whose end was found to be missing.
func (f *File) Cut() bool { return f.zip != nil && errors.Is(f.zip.err, io.ErrUnexpectedEOF) }

// gzipReader reads a compressed log once, forward. What was looked at and not used up is kept.
type gzipReader struct {
	zip    *gzip.Reader
	size   int64 // compressed
	total  int64 // decompressed so far
	unused []byte
	err    error
}

// newGzipReader starts behind position, where the bytes before, which it returns too, must have the hash of mark.
func newGzipReader(f Handle, position int64, mark Mark) (z *gzipReader, tail []byte, err error) {
	found, err := f.Look()
	if err != nil {
		return nil, nil, err
	}
	zip, err := gzip.NewReader(io.NewSectionReader(f, 0, found.Size))
	if err != nil {
		return nil, nil, err
	}
	z = &gzipReader{zip: zip, size: found.Size}
	tail = make([]byte, 0, MarkBytes)
	buf := make([]byte, 32<<10)
	for left := position; left > 0; {
		n, err := z.read(buf[:min(int64(len(buf)), left)])
		tail = lastBytes(tail, buf[:n])
		left -= int64(n)
		if err != nil && left > 0 {
			return nil, nil, fmt.Errorf("go to offset %d: %w", position, err)
		}
	}
	if position > 0 && xxhash.Sum64(tail) != mark.Hash {
		return nil, nil, ErrReplaced
	}
	return z, tail, nil
}

func (z *gzipReader) read(buf []byte) (int, error) {
	n, err := z.zip.Read(buf)
	z.total += int64(n)
	if z.total > maxRatioMin && z.total/maxRatio > z.size {
		return n, errBomb
	}
	return n, err
}

// peek fills buf with the next bytes without using them up.
func (z *gzipReader) peek(buf []byte) (int, error) {
	for len(z.unused) < len(buf) && z.err == nil {
		start := len(z.unused)
		z.unused = append(z.unused, make([]byte, len(buf)-start)...)
		var n int
		n, z.err = z.read(z.unused[start:])
		z.unused = z.unused[:start+n]
	}
	n := copy(buf, z.unused)
	if n == 0 {
		return 0, z.err
	}
	return n, nil
}

// grown tells whether more was written to the file since it was opened.
func (z *gzipReader) grown(f Handle) bool {
	found, err := f.Look()
	return err == nil && found.Size > z.size
}

func (z *gzipReader) discard(n int) {
	z.unused = append(z.unused[:0], z.unused[n:]...)
}

// gzipHead hashes up to limit first bytes of what f holds compressed.
func gzipHead(f Handle, limit int) (Head, error) {
	found, err := f.Look()
	if err != nil {
		return Head{}, err
	}
	zip, err := gzip.NewReader(io.NewSectionReader(f, 0, found.Size))
	if err != nil {
		return Head{}, err
	}
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(zip, int64(limit))); err != nil {
		return Head{}, err
	}
	return Head{Bytes: buf.Len(), Hash: xxhash.Sum64(buf.Bytes())}, nil
}
