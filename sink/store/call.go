package store

import (
	"errors"
	"io/fs"
	"path"
	"time"
)

// The pauses between two attempts of a call; each is twice the one before.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// errNoAnswer is what a call fails with that took too long, whatever it waited for.
var errNoAnswer = errors.New("no answer within the call timeout")

// call says what is called. A call whose answer was lost is repeated if that does no harm; one that was surely not
// carried out is repeated in any case. Both within the call timeout.
type call struct {
	op, name string
	repeat   bool
	pool     *pool // nil is the readers'
}

// do runs a call that returns nothing.
func (s *hdfsStore) do(c call, f func(c *client, at string) error) error {
	_, err := run(s, c, func(c *client, at string) (struct{}, error) {
		return struct{}{}, f(c, at)
	})
	return err
}

// run runs a call on a client of the pool; f gets the absolute name.
func run[T any](s *hdfsStore, c call, f func(c *client, at string) (T, error)) (T, error) {
	if err := checkName(c.op, c.name); err != nil {
		var none T
		return none, err
	}
	if c.pool == nil {
		c.pool = s.readers
	}
	at := path.Join(s.root, c.name)
	return attempts(s, c, func() (T, error) {
		return use(c.pool, func(client *client) (T, error) { return f(client, at) })
	})
}

// attempts runs f until it succeeds, must not be repeated, or the call timeout is over.
func attempts[T any](s *hdfsStore, c call, f func() (T, error)) (T, error) {
	deadline := time.Now().Add(s.timeout)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		v, err := within(s, time.Until(deadline), f)
		err = describe(c.op, c.name, err)
		again := notDone(err) || c.repeat && Unavailable(err)
		if !again || !s.pause(deadline, pause) {
			return v, err
		}
	}
}

// pause waits for a moment; it reports false when that would be later than deadline, or the store is closed.
func (s *hdfsStore) pause(deadline time.Time, d time.Duration) bool {
	if time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return false
	}
}

// result is what a call returns.
type result[T any] struct {
	value T
	err   error
}

// within runs f, but does not wait longer than d for it, nor after the store is closed. A call of the library that
// waits for the client's lock has no deadline of its own. f ends soon after by the deadlines of the connections; what
// it then still returns is given up.
func within[T any](s *hdfsStore, d time.Duration, f func() (T, error)) (v T, err error) {
	done := make(chan result[T])
	left := make(chan struct{})
	defer close(left)
	go func() {
		value, err := f()
		select {
		case done <- result[T]{value, err}:
		case <-left:
			giveUp(value)
		}
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-timer.C:
		return v, errNoAnswer
	case <-s.closing:
		return v, fs.ErrClosed
	}
}

func giveUp(value any) {
	switch v := value.(type) {
	case *hdfsFile:
		if v != nil {
			v.Abort()
		}
	case *hdfsReader:
		if v != nil {
			_ = v.Close()
		}
	}
}

// use runs f with a client of the pool, which loses the client when its connection is no longer good.
func use[T any](p *pool, f func(c *client) (T, error)) (T, error) {
	c, err := p.take()
	if err != nil {
		var none T
		return none, err
	}
	v, err := f(c)
	p.give(c, !broken(err))
	return v, err
}

// broken reports whether err came from a connection, not from a NameNode.
func broken(err error) bool {
	var e *hdfsError
	return err != nil && errors.As(describe("", "", err), &e) && !e.answered()
}
