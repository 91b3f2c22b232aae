package format

import (
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"
)

// chunkSize is how many bytes go on at once, to the compressor and to the file. It is one packet of HDFS.
const chunkSize = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunks keeps the buffers of closed writers for the next ones.
var chunks = sync.Pool{New: func() any {
	chunk := make([]byte, 0, chunkSize)
	return &chunk
}}

// Writer encodes records into one file. It must be ended by Close or Discard. It is used by one goroutine at a time.
type Writer struct {
	json bool
	// chunk collects encoded records. It may grow beyond chunkSize for one large record.
	chunk *[]byte
	pack  *packer // nil when not compressed
	file  counter
	err   error

	records  int64
	min, max time.Time
	stamp    stamp
}

// NewWriter returns a writer of records to w in the format of cfg. Closing it does not close w.
func NewWriter(cfg Config, w io.Writer) (*Writer, error) {
	cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	out := &Writer{json: cfg.Format == JSONLines, file: counter{w: w}, chunk: chunks.Get().(*[]byte)}
	if cfg.Compression != None {
		pack, err := newPacker(cfg.Compression, cfg.Level, &out.file)
		if err != nil {
			out.release()
			return nil, err
		}
		out.pack = pack
	}
	return out, nil
}

// Write adds a record. After an error every call fails and the file is of no use.
func (w *Writer) Write(rec *Record) error {
	if w.err != nil {
		return w.err
	}
	w.note(rec.Time)
	if w.json {
		*w.chunk = w.appendJSON(*w.chunk, rec)
	} else {
		w.appendText(rec.Value)
	}
	if len(*w.chunk) >= chunkSize {
		w.flush()
	}
	return w.err
}

func (w *Writer) appendText(value []byte) {
	if len(*w.chunk)+len(value) < cap(*w.chunk) {
		*w.chunk = append(append(*w.chunk, value...), '\n')
		return
	}
	w.flush()
	if len(value) >= chunkSize {
		w.put(value)
		value = nil
	}
	*w.chunk = append(append(*w.chunk, value...), '\n')
}

// note takes down what the manifest says of the records.
func (w *Writer) note(t time.Time) {
	if w.records == 0 || t.Before(w.min) {
		w.min = t
	}
	if w.records == 0 || t.After(w.max) {
		w.max = t
	}
	w.records++
}

func (w *Writer) flush() {
	w.put(*w.chunk)
	*w.chunk = (*w.chunk)[:0]
}

func (w *Writer) put(data []byte) {
	if w.err != nil || len(data) == 0 {
		return
	}
	if w.pack != nil {
		_, w.err = w.pack.Write(data)
	} else {
		_, w.err = w.file.Write(data)
	}
	if w.err != nil {
		w.err = fmt.Errorf("write records: %w", w.err)
	}
}

// Close writes what is buffered and ends the compression. Written and CRC32C are final after it. It can be called once.
func (w *Writer) Close() error {
	if w.chunk == nil {
		return w.err
	}
	w.flush()
	if w.pack != nil && w.err == nil {
		if err := w.pack.finish(); err != nil {
			w.err = fmt.Errorf("end compression: %w", err)
		}
	}
	err := w.err
	w.release()
	return err
}

// Discard gives the writer up without writing anything more. It does nothing after Close.
func (w *Writer) Discard() {
	w.release()
}

func (w *Writer) release() {
	if w.chunk == nil {
		return
	}
	if cap(*w.chunk) <= 2*chunkSize {
		*w.chunk = (*w.chunk)[:0]
		chunks.Put(w.chunk)
	}
	w.chunk = nil
	if w.pack != nil {
		w.pack.release()
		w.pack = nil
	}
	if w.err == nil {
		w.err = io.ErrClosedPipe
	}
}

// Written is how many bytes the file has got so far, after compression. Until Close it lags behind what was written by
// the buffers of Writer and compressor, at most some 100 KiB compressed.
func (w *Writer) Written() int64 { return w.file.bytes }

// CRC32C is the CRC-32 (Castagnoli) of the bytes counted by Written.
func (w *Writer) CRC32C() uint32 { return w.file.crc }

// Records is how many records were written.
func (w *Writer) Records() int64 { return w.records }

// MinTime and MaxTime bound the times of the records; zero when there is none.
func (w *Writer) MinTime() time.Time { return w.min }

// MaxTime is the latest time of a record; zero when there is none.
func (w *Writer) MaxTime() time.Time { return w.max }

// counter passes bytes on, counted and summed.
type counter struct {
	w     io.Writer
	bytes int64
	crc   uint32
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bytes += int64(n)
	c.crc = crc32.Update(c.crc, castagnoli, p[:n])
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
