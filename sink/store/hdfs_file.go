package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

// replicateTimeout bounds how long Close waits for the DataNodes to report a block to the NameNode.
const replicateTimeout = 30 * time.Second

var (
	// errFull is returned for a write beyond the block size: the client's second block of a file fails too easily.
	errFull    = errors.New("file is full")
	errAborted = errors.New("file was given up")
)

// hdfsFile is a file being written, of one block. It has no buffer beside the library's, which holds a packet of 64 KiB
// and whatever is written at once: writes of 64 KiB cost 70 KiB per open file, and about 3.5 CPU s/GiB instead of the
// 5.7 of 200 bytes each. A quiet file without a write holds no connection to a DataNode.
type hdfsFile struct {
	store    *hdfsStore
	client   *client
	name, at string
	out      *hdfs.FileWriter

	// block is the connection to the DataNode, from the first write on.
	block *blockConn
	size  int64
	ended bool
	err   error // the first; the library completes a file whose write has failed
}

func (f *hdfsFile) Write(p []byte) (int, error) {
	if f.ended {
		return 0, f.reason()
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.write(p)
	f.size += int64(n)
	if err != nil {
		f.end(describe("write", f.name, err))
		return n, f.err
	}
	return n, nil
}

func (f *hdfsFile) write(p []byte) (int, error) {
	if f.size+int64(len(p)) > f.store.blockSize {
		return 0, fmt.Errorf("%w: raise blockSize above %d, or roll earlier", errFull, f.store.blockSize)
	}
	if f.block == nil {
		return f.begin(p)
	}
	if err := f.block.failure(); err != nil {
		return 0, err
	}
	return f.out.Write(p)
}

// begin makes the first write, for which the library asks for a block and connects to its DataNode. It may be tried
// again as long as the NameNode was not asked.
func (f *hdfsFile) begin(p []byte) (int, error) {
	deadline := time.Now().Add(f.store.timeout)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		n, err := f.connectAndWrite(p)
		if err == nil || !notDone(describe("write", f.name, err)) || !f.store.pause(deadline, pause) {
			return n, err
		}
	}
}

func (f *hdfsFile) connectAndWrite(p []byte) (int, error) {
	f.client.writing.Lock()
	defer f.client.writing.Unlock()
	f.client.block = nil
	n, err := f.out.Write(p)
	block := f.client.block
	if err != nil && block != nil {
		block.fail(err) // the library leaves it open, but has not yet started its goroutines
		return n, err
	}
	f.block = block
	return n, err
}

// Close waits for the DataNodes to acknowledge all, and completes the file.
func (f *hdfsFile) Close() error {
	if f.ended {
		return f.reason()
	}
	// Asking for the file first finds out whether another client has removed it, and gets a NameNode that answers:
	// what follows must not be repeated when its answer is lost.
	_, err := attempts(f.store, call{op: "close", name: f.name, repeat: true}, func() (fs.FileInfo, error) {
		return f.client.Stat(f.at)
	})
	if err != nil {
		f.end(err)
		return f.err
	}
	err = describe("close", f.name, f.complete())
	f.ended = true
	f.err = err
	f.store.writers.give(f.client, !broken(err))
	return err
}

// complete closes the library's file. It may only be repeated after an answer of the NameNode: when an acknowledgement
// is missing, the second time would complete a short file.
func (f *hdfsFile) complete() error {
	deadline := time.Now().Add(replicateTimeout)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f.out.Close()
		again := hdfs.IsErrReplicating(err) || notDone(describe("close", f.name, err))
		if !again || !f.store.pause(deadline, pause) {
			return err
		}
	}
}

// Abort gives the file up. It stays in HDFS, as long as its directory does, with what had been acknowledged or less.
func (f *hdfsFile) Abort() {
	if !f.ended {
		f.end(errAborted)
	}
}

// end gives the file up for a reason.
func (f *hdfsFile) end(err error) {
	f.ended, f.err = true, err
	if f.block != nil {
		f.block.fail(err)
		// Lets the library's goroutines for the block end. It fails before the NameNode is asked to complete the file,
		// because the last packet is never acknowledged; see blockConn.
		_ = f.out.Close()
	}
	f.store.writers.give(f.client, !broken(err))
}

func (f *hdfsFile) reason() error {
	if f.err != nil {
		return f.err
	}
	return &fs.PathError{Op: "write", Path: f.name, Err: fs.ErrClosed}
}

// hdfsReader is a file being read.
type hdfsReader struct {
	store  *hdfsStore
	client *client
	name   string
	file   *hdfs.FileReader
	err    error
}

func (r *hdfsReader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
		err = describe("read", r.name, err)
	}
	return n, err
}

func (r *hdfsReader) Close() error {
	if r.client == nil {
		return fs.ErrClosed
	}
	err := r.file.Close()
	r.store.readers.give(r.client, !broken(r.err))
	r.client = nil
	return err
}
