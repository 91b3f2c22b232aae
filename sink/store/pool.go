package store

import (
	"context"
	"io/fs"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

// client is a client of the library, with its one connection to a NameNode. A file stays with the client that made it,
// which holds its lease.
type client struct {
	*hdfs.Client

	// users and retired belong to the pool and are guarded by its mutex.
	users   int
	retired bool

	// writing is held over the first write to a file, when the library connects to the DataNode: so block is that
	// file's connection.
	writing sync.Mutex
	block   *blockConn

	mu       sync.Mutex
	nameNode net.Conn
}

// close ends the client at once, even if it waits for an answer.
func (c *client) close() {
	c.mu.Lock()
	if c.nameNode != nil {
		_ = c.nameNode.Close()
	}
	c.mu.Unlock()
	_ = c.Close()
}

// connector makes clients.
type connector struct {
	options hdfs.ClientOptions
	// callTimeout bounds a dial, and every read and write on a connection to a NameNode, or to a DataNode from which is
	// read: then the time of a call is enough for another one when one hangs.
	callTimeout time.Duration
	// blockTimeout bounds every read and write on a connection over which a block is written.
	blockTimeout time.Duration

	mu        sync.Mutex
	addresses []string // of the NameNodes; the one to try first is in front
}

// connectWriter returns a client for writing files.
func (d *connector) connectWriter() (*client, error) {
	return d.connect(func(c *client, conn net.Conn) net.Conn {
		c.block = &blockConn{timedConn: timedConn{Conn: conn, timeout: d.blockTimeout}}
		return c.block
	})
}

// connectReader returns a client for everything else.
func (d *connector) connectReader() (*client, error) {
	return d.connect(func(_ *client, conn net.Conn) net.Conn {
		return &timedConn{Conn: conn, timeout: d.callTimeout}
	})
}

// connect returns a client whose NameNode has answered; wrap makes its connections to DataNodes.
func (d *connector) connect(wrap func(*client, net.Conn) net.Conn) (*client, error) {
	c := &client{}
	options := d.options
	options.Addresses = d.order()
	options.NamenodeDialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return d.dialNameNode(ctx, c, network, address)
	}
	options.DatanodeDialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(c, conn), nil
	}
	var err error
	if c.Client, err = hdfs.NewClient(options); err != nil {
		return nil, err
	}
	// The library keeps the server's defaults once it has them, but without a lock: fetch them before the client is
	// shared.
	if _, err := c.ServerDefaults(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (d *connector) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: d.callTimeout}).DialContext(ctx, network, address)
}

func (d *connector) dialNameNode(ctx context.Context, c *client, network, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		d.avoid(address)
		return nil, err
	}
	c.mu.Lock()
	c.nameNode = conn
	c.mu.Unlock()
	return &nameNodeConn{
		timedConn: timedConn{Conn: conn, timeout: d.callTimeout},
		failed:    func() { d.avoid(address) },
	}, nil
}

func (d *connector) order() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.addresses)
}

// avoid lets new clients try another NameNode first: one that hangs accepts connections all the same.
func (d *connector) avoid(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.addresses[0] == address {
		d.addresses = append(d.addresses[1:], address)
	}
}

// pool shares clients among calls.
type pool struct {
	connect func() (*client, error)
	size    int

	mu      sync.Mutex
	clients []*client
	closed  bool
}

// take returns the client with the fewest users, or a new one while there are fewer than size. It is to be given back.
func (p *pool) take() (*client, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, fs.ErrClosed
	}
	var least *client
	for _, c := range p.clients {
		if least == nil || c.users < least.users {
			least = c
		}
	}
	if least != nil && (least.users == 0 || len(p.clients) >= p.size) {
		least.users++
		p.mu.Unlock()
		return least, nil
	}
	p.mu.Unlock()
	c, err := p.connect()
	if err != nil {
		return nil, err
	}
	return c, p.add(c)
}

// add takes in a client that has its first user. One too many, of several that were made at once, is used up by it.
func (p *pool) add(c *client) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.close()
		return fs.ErrClosed
	}
	c.users = 1
	if len(p.clients) < p.size {
		p.clients = append(p.clients, c)
	} else {
		c.retired = true
	}
	return nil
}

// share counts another user of a client that the caller has taken.
func (p *pool) share(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.users++
}

// give takes a client back. One that is no longer good gets no new users and ends with its last.
func (p *pool) give(c *client, good bool) {
	p.mu.Lock()
	c.users--
	if !good && !c.retired {
		c.retired = true
		p.clients = slices.DeleteFunc(p.clients, func(other *client) bool { return other == c })
	}
	last := c.retired && c.users == 0
	p.mu.Unlock()
	if last {
		c.close()
	}
}

// close ends all clients that are not in use, and the others as soon as they are given back.
func (p *pool) close() {
	p.mu.Lock()
	clients := p.clients
	p.clients, p.closed = nil, true
	for _, c := range clients {
		c.retired = true
	}
	clients = slices.DeleteFunc(clients, func(c *client) bool { return c.users > 0 })
	p.mu.Unlock()
	for _, c := range clients {
		c.close()
	}
}
