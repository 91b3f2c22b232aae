package format

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// zstdWindow bounds the memory of an encoder, to 1 MiB at level 1; log lines repeat themselves well within it.
	zstdWindow = 256 << 10
	// packedSize buffers the compressor's output, which comes in pieces of some 240 bytes from gzip.
	packedSize = 32 << 10
)

// compressor is what gzip and zstd writers have in common.
type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// packer is a compressor with a buffer behind it. It is costly to make and so is used again and again.
type packer struct {
	compressor
	out  *bufio.Writer
	pool *sync.Pool
}

// packerKey names a kind of packer.
type packerKey struct {
	compression Compression
	level       int
}

// packers holds a *sync.Pool of *packer for each packerKey. Levels are few, so it stays small.
var packers sync.Map

func newPacker(compression Compression, level int, w io.Writer) (*packer, error) {
	pool, _ := packers.LoadOrStore(packerKey{compression, level}, &sync.Pool{})
	p, _ := pool.(*sync.Pool).Get().(*packer)
	if p == nil {
		var err error
		if p, err = makePacker(compression, level); err != nil {
			return nil, err
		}
		p.pool = pool.(*sync.Pool)
	}
	p.out.Reset(w)
	p.Reset(p.out)
	return p, nil
}

func makePacker(compression Compression, level int) (*packer, error) {
	p := &packer{out: bufio.NewWriterSize(nil, packedSize)}
	var err error
	switch compression {
	case Gzip:
		p.compressor, err = gzip.NewWriterLevel(nil, level)
	case Zstd:
		p.compressor, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstd.EncoderLevel(level)),
			zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow))
	default:
		err = fmt.Errorf("no compressor %q", compression)
	}
	if err != nil {
		return nil, fmt.Errorf("make %s compressor: %w", compression, err)
	}
	return p, nil
}

// finish writes what is left of the stream.
func (p *packer) finish() error {
	if err := p.Close(); err != nil {
		return err
	}
	return p.out.Flush()
}

// release keeps the packer for another file, without a hold on this one.
func (p *packer) release() {
	p.out.Reset(nil)
	p.Reset(nil)
	p.pool.Put(p)
}
