package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

// Modes of what is made. The client applies no umask.
const (
	fileMode = 0o644
	dirMode  = 0o755
)

// hdfsStore is a directory on HDFS.
type hdfsStore struct {
	root        string
	timeout     time.Duration
	replication int
	blockSize   int64
	writers     *pool
	readers     *pool
	closing     chan struct{}
	closeOnce   sync.Once
}

// openHDFS connects to the NameNodes that cfg and root name, and makes the root directory. It tries once.
func openHDFS(ctx context.Context, cfg Config, root *url.URL) (*hdfsStore, error) {
	options, err := clientOptions(cfg, root)
	if err != nil {
		return nil, err
	}
	timeout := cfg.CallTimeout.Std()
	// Two connections, or as many as there are NameNodes, fit into a call.
	perConnection := timeout / time.Duration(max(2, len(options.Addresses)))
	d := &connector{
		options: options, addresses: options.Addresses, callTimeout: perConnection, blockTimeout: timeout,
	}
	s := &hdfsStore{
		root: root.Path, timeout: timeout, replication: cfg.Replication, blockSize: cfg.BlockSize,
		readers: &pool{connect: d.connectReader, size: cfg.Clients / 2},
		writers: &pool{connect: d.connectWriter, size: cfg.Clients - cfg.Clients/2},
		closing: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.prepare(); err != nil {
		_ = s.Close()
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("open %s: %w", root.Redacted(), err))
	}
	return s, nil
}

// prepare makes the root directory and asks for the replication where none is set.
func (s *hdfsStore) prepare() error {
	replication, err := within(s, s.timeout, func() (int, error) {
		return use(s.readers, func(c *client) (int, error) {
			defaults, err := c.ServerDefaults()
			if err != nil {
				return 0, err
			}
			return defaults.Replication, c.MkdirAll(s.root, dirMode)
		})
	})
	if s.replication == 0 {
		s.replication = replication
	}
	return describe("mkdir", s.root, err)
}

func (s *hdfsStore) MkdirAll(name string) error {
	return s.do(call{op: "mkdir", name: name, repeat: true}, func(c *client, at string) error {
		return c.MkdirAll(at, dirMode)
	})
}

func (s *hdfsStore) Mkdir(name string) error {
	return s.do(call{op: "mkdir", name: name}, func(c *client, at string) error {
		return c.Mkdir(at, dirMode)
	})
}

func (s *hdfsStore) Create(name string) (File, error) {
	file, err := run(s, call{op: "create", name: name, pool: s.writers}, s.create)
	if err != nil {
		return nil, err
	}
	file.name = name
	return file, nil
}

func (s *hdfsStore) create(c *client, at string) (*hdfsFile, error) {
	out, err := c.CreateFile(at, s.replication, s.blockSize, fileMode)
	if err != nil {
		return nil, err
	}
	s.writers.share(c)
	return &hdfsFile{store: s, client: c, at: at, out: out}, nil
}

func (s *hdfsStore) ReadFile(name string, limit int64) ([]byte, error) {
	return run(s, call{op: "read", name: name, repeat: true}, func(c *client, at string) ([]byte, error) {
		file, err := openFile(c, at)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if size := file.Stat().Size(); size > limit {
			return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, size, limit)
		}
		return io.ReadAll(file)
	})
}

func (s *hdfsStore) Open(name string) (io.ReadCloser, error) {
	reader, err := run(s, call{op: "open", name: name, repeat: true}, func(c *client, at string) (*hdfsReader, error) {
		file, err := openFile(c, at)
		if err != nil {
			return nil, err
		}
		s.readers.share(c)
		return &hdfsReader{store: s, client: c, file: file}, nil
	})
	if err != nil {
		return nil, err
	}
	reader.name = name
	return reader, nil
}

func openFile(c *client, at string) (*hdfs.FileReader, error) {
	file, err := c.Open(at)
	if err != nil {
		return nil, err
	}
	if file.Stat().IsDir() {
		return nil, syscall.EISDIR
	}
	return file, nil
}

func (s *hdfsStore) ReadDir(name string) ([]fs.FileInfo, error) {
	return run(s, call{op: "readdir", name: name, repeat: true}, func(c *client, at string) ([]fs.FileInfo, error) {
		dir, err := c.Open(at)
		if err != nil {
			return nil, err
		}
		if !dir.Stat().IsDir() {
			return nil, syscall.ENOTDIR
		}
		return dir.Readdir(0)
	})
}

func (s *hdfsStore) Stat(name string) (fs.FileInfo, error) {
	return run(s, call{op: "stat", name: name, repeat: true}, func(c *client, at string) (fs.FileInfo, error) {
		return c.Stat(at)
	})
}

// RenameDir relies on the NameNode's rename2, which refuses to replace a directory that is not empty even when it is
// told to overwrite.
func (s *hdfsStore) RenameDir(from, to string) error {
	return s.rename(from, to)
}

func (s *hdfsStore) RenameFile(from, to string) error {
	return s.rename(from, to)
}

func (s *hdfsStore) rename(from, to string) error {
	if err := checkName("rename", to); err != nil {
		return err
	}
	target := path.Join(s.root, to)
	err := s.do(call{op: "rename", name: from}, func(c *client, at string) error {
		return c.Rename(at, target)
	})
	if err != nil {
		return fmt.Errorf("%w (to %s)", err, to)
	}
	return nil
}

func (s *hdfsStore) RemoveAll(name string) error {
	if name == "." {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	}
	return s.do(call{op: "remove", name: name, repeat: true}, func(c *client, at string) error {
		return c.RemoveAll(at)
	})
}

// Close ends the connections, and every call that waits.
func (s *hdfsStore) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.readers.close()
		s.writers.close()
	})
	return nil
}
