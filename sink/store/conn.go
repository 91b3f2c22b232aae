package store

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxAnswer bounds an answer of a NameNode, as ipc.maximum.response.length does there. The client makes a buffer of
// whatever length it is told.
const maxAnswer = 128 << 20

// timedConn gives every read and write a deadline, and closes the connection after the first that fails: the client
// would go on with it, and take a late answer for the next one or wait for ever while it holds its lock.
type timedConn struct {
	net.Conn
	timeout time.Duration
}

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// nameNodeConn is a connection to a NameNode. It follows the frames of the answers, each after its length in 4 bytes,
// to refuse one that is too long.
type nameNodeConn struct {
	timedConn
	// failed is called when an answer cannot be read.
	failed func()

	length [4]byte
	have   int   // bytes of length
	left   int64 // bytes of the frame
}

func (c *nameNodeConn) Read(p []byte) (int, error) {
	n, err := c.readFrame(p)
	if err != nil {
		c.failed()
	}
	return n, err
}

func (c *nameNodeConn) readFrame(p []byte) (int, error) {
	if c.left > 0 {
		n, err := c.timedConn.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
		return n, err
	}
	n, err := c.timedConn.Read(p[:min(len(p), len(c.length)-c.have)])
	c.have += copy(c.length[c.have:], p[:n])
	if c.have == len(c.length) {
		c.have = 0
		c.left = int64(binary.BigEndian.Uint32(c.length[:]))
	}
	if err == nil && c.left > maxAnswer {
		_ = c.Close()
		// io.ReadFull would not see the error if the length was complete.
		return 0, fmt.Errorf("answer of %d bytes is longer than %d", c.left, maxAnswer)
	}
	return n, err
}

// blockConn is the connection over which a file's block is written. It keeps the first error for the file to find,
// since the client tells it only at Close, if at all. From then on it swallows what is written, because the client's
// goroutines for the block end only if the end of the block can be "sent"; no acknowledgement is read any more, so
// the block cannot end well.
type blockConn struct {
	timedConn

	mu  sync.Mutex
	err error
}

func (c *blockConn) Read(p []byte) (int, error) {
	if err := c.failure(); err != nil {
		return 0, err
	}
	n, err := c.timedConn.Read(p)
	if err != nil {
		c.fail(err)
	}
	return n, err
}

func (c *blockConn) Write(p []byte) (int, error) {
	if c.failure() == nil {
		if _, err := c.timedConn.Write(p); err != nil {
			c.fail(err)
		}
	}
	return len(p), nil
}

// fail closes the connection for a reason, of which the first is kept.
func (c *blockConn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	_ = c.Close()
}

func (c *blockConn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
