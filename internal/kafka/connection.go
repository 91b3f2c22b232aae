package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// contactAge is how long questions go to the same broker. One that is cut off from the others answers too, but with
// what it knew when that happened.
const contactAge = time.Minute

// connection is a connection to a broker that one goroutine uses. It is none of those that sarama's client would share:
// on a shared one a request that waits for its answer holds up all others, in the broker and in sarama.
type connection struct {
	*sarama.Broker
	opened time.Time
	// cut breaks the connection; whatever waits on it fails.
	cut context.CancelFunc
}

// dial opens a connection with the credentials and certificates of the moment.
func (c *Client) dial(ctx context.Context, address string) (*connection, error) {
	config, err := c.cfg.Sarama()
	if err != nil {
		return nil, err
	}
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cut)
	defer stop()
	config.Net.Proxy.Dialer = dialFunc(func(_ context.Context, address string) (net.Conn, error) {
		conn, err := c.cfg.connect(life, address)
		if err == nil {
			context.AfterFunc(life, func() { _ = conn.Close() })
		}
		return conn, err
	})
	conn := &connection{Broker: sarama.NewBroker(address), opened: time.Now(), cut: cut}
	if err = conn.Open(config); err == nil {
		_, err = conn.Connected()
	}
	if err != nil {
		conn.close()
		return nil, fmt.Errorf("connect to %s: %w", address, because(ctx, err))
	}
	return conn, nil
}

// close ends the connection at once.
func (c *connection) close() {
	c.cut()
	_ = c.Close()
}

// use calls f, and breaks the connection if ctx ends before f returns.
func (c *connection) use(ctx context.Context, f func(*sarama.Broker) error) error {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	if err := f(c.Broker); err != nil {
		return because(ctx, err)
	}
	return nil
}

// because prefers the reason for which a connection was cut to what that looked like.
func because(ctx context.Context, err error) error {
	switch ctxErr := context.Cause(ctx); {
	case ctxErr == nil:
		return err
	case errors.Is(ctxErr, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w: %w", ctxErr, err)
	default:
		return ctxErr
	}
}

// contact is the connection to one broker on which questions are asked, one at a time.
type contact struct {
	address string
	// turn holds one token, for the right to use conn. Unlike a mutex, it can be waited for as long as a context lasts.
	turn chan struct{}
	conn *connection
}

func newContact(address string) *contact {
	return &contact{address: address, turn: make(chan struct{}, 1)}
}

// ask puts a question to the broker at an address and keeps the connection for the next one.
func (c *Client) ask(ctx context.Context, address string, question func(*sarama.Broker) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.life, func() { cancel(sarama.ErrClosedClient) }) //nolint:contextcheck // a second end
	defer stop()
	who := c.contact(address)
	select {
	case who.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("ask broker %s: %w", address, context.Cause(ctx))
	}
	defer func() { <-who.turn }()
	if c.life.Err() != nil { // Close has had its turn
		return sarama.ErrClosedClient
	}
	if who.conn != nil && time.Since(who.conn.opened) > contactAge {
		who.hangUp()
	}
	if who.conn == nil {
		conn, err := c.dial(ctx, address)
		if err != nil {
			return err
		}
		who.conn = conn
	}
	if err := who.conn.use(ctx, question); err != nil {
		who.hangUp()
		return fmt.Errorf("ask broker %s: %w", address, err)
	}
	return nil
}

func (who *contact) hangUp() {
	if who.conn != nil {
		who.conn.close()
		who.conn = nil
	}
}

func (c *Client) contact(address string) *contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := c.contacts[address]
	if who == nil {
		who = newContact(address)
		c.contacts[address] = who
	}
	return who
}

// askAny puts a question to one broker after another until one answers. The same one begins for a while, then the next.
func (c *Client) askAny(ctx context.Context, question func(*sarama.Broker) error) error {
	addresses, first := c.addresses()
	var errs []error
	for i := range addresses {
		attempt, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout.Std())
		err := c.ask(attempt, addresses[(first+i)%len(addresses)], question)
		cancel()
		if err == nil {
			return nil
		}
		c.avoid(addresses[(first+i)%len(addresses)])
		errs = append(errs, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

// addresses returns those of the brokers as far as known, and with which to begin.
func (c *Client) addresses() (addresses []string, first int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known, c.first()
}

// first is the index in known of the broker to begin with. The caller holds mu.
func (c *Client) first() int {
	return (c.start + int(time.Since(c.connected)/contactAge)) % len(c.known)
}

// avoid lets later questions begin with another broker than one that failed: if it is silent, each of them would wait
// for it as long as this one did.
func (c *Client) avoid(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[c.first()] == address {
		c.start++
	}
}

// learn takes note of the brokers of the cluster. The bootstrap servers stay: all others may have been replaced.
func (c *Client) learn(brokers []*sarama.Broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make([]string, 0, len(brokers)+len(c.cfg.BootstrapServers))
	seen := map[string]bool{}
	add := func(address string) {
		if !seen[address] {
			seen[address] = true
			known = append(known, address)
		}
	}
	for _, broker := range brokers {
		add(broker.Addr())
	}
	for _, address := range c.cfg.BootstrapServers {
		add(address)
	}
	c.known = known
}

const (
	changePause = 100 * time.Millisecond
	changeMost  = 5 * time.Second
)

// whileChanging repeats f for a few seconds while it fails only because leaders and coordinators move, or have not
// heard of it yet.
func whileChanging(ctx context.Context, f func() error) error {
	for pause, waited := changePause, time.Duration(0); ; pause *= 2 {
		err := f()
		if !changing(err) || waited >= changeMost {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			waited += pause
		}
	}
}

func changing(err error) bool {
	var code sarama.KError
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrReplicaNotAvailable,
		sarama.ErrUnknownTopicOrPartition, sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch,
		sarama.ErrOffsetNotAvailable, sarama.ErrOffsetsLoadInProgress, sarama.ErrConsumerCoordinatorNotAvailable,
		sarama.ErrKafkaStorageError:
		return true
	default:
		return false
	}
}
