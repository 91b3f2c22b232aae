package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens the journal in dir, which it makes if it is missing, and reads it. Only one journal may be open on a
// directory: while another agent has it, Open waits until ctx is done.
func Open(ctx context.Context, dir string) (*Journal, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	lock, err := lockFile(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, lock: lock, buffer: openFrame(nil)}
	if err := j.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", j.fileName(), err), lock.Close())
	}
	return j, nil
}

// makeDir makes dir, and those it lies in, so that a power cut does not undo it. One that is there may lie below others
// we cannot read.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// recover reads the file, or makes it.
func (j *Journal) recover() error {
	data, err := os.ReadFile(j.fileName())
	if errors.Is(err, fs.ErrNotExist) {
		j.state = newState()
		return j.rewrite()
	}
	if err != nil {
		return err
	}
	if j.state, j.base, j.end, err = replay(data); err != nil {
		return err
	}
	j.torn = int64(len(data)) - j.end
	return j.adopt()
}

// adopt opens the file for writing. It cuts off a torn frame and syncs the rest: the agent before may have written it
// without a sync, and from now on decisions rest on it.
func (j *Journal) adopt() error {
	file, err := os.OpenFile(j.fileName(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if j.torn > 0 {
		err = file.Truncate(j.end)
	}
	if err = errors.Join(err, file.Sync(), syncDir(j.dir)); err != nil {
		return errors.Join(err, file.Close())
	}
	j.file, j.durable = file, j.end
	return nil
}
