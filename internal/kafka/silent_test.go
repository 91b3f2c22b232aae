package kafka_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

// mute makes a broker silent: it accepts connections and requests, and its answers get lost.
type mute struct{ atomic.Bool }

func (m *mute) listen(network, address string) (net.Listener, error) {
	listener, err := net.Listen(network, address)
	return muteListener{listener, m}, err
}

type muteListener struct {
	net.Listener
	mute *mute
}

func (l muteListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &muteConn{Conn: conn, mute: l.mute}, err
}

// muteConn is silent for ever once it was silent: nobody may see half of an answer.
type muteConn struct {
	net.Conn
	mute   *mute
	silent atomic.Bool
}

func (c *muteConn) Write(b []byte) (int, error) {
	if c.mute.Load() {
		c.silent.Store(true)
	}
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// mutable is a cluster of one broker that may fall silent, with a topic of two partitions.
func mutable(t *testing.T, cfg kafka.Config) (*mute, *kfake.Cluster, *fixture) {
	t.Helper()
	m := &mute{}
	cluster := fake(t, kfake.NumBrokers(1), kfake.ListenFn(m.listen), kfake.SeedTopics(2, "topic"))
	cfg.BootstrapServers = cluster.ListenAddrs()
	return m, cluster, &fixture{TB: t, bootstrap: cfg.BootstrapServers, topic: "topic", client: connect(t, cfg)}
}

// await waits until the status of partition 0 is as it should be.
func (f *fixture) await(p *kafka.Producer, ok func(kafka.PartitionStatus) bool) {
	f.Helper()
	for deadline := time.Now().Add(patience); !ok(p.Status()[0]); runtime.Gosched() {
		if time.Now().After(deadline) {
			f.Fatalf("status stays %+v", p.Status()[0])
		}
	}
}

func blocked(s kafka.PartitionStatus) bool { return !s.BlockedSince.IsZero() }

func TestSilentBrokerIsTriedAgain(t *testing.T) {
	m, _, f := mutable(t, kafka.Config{
		DialTimeout: conf.Duration(200 * time.Millisecond), RequestTimeout: conf.Duration(300 * time.Millisecond),
	})
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	f.send(p, numbered(id, 0, 1)...)
	m.Store(true)
	for _, b := range numbered(id, 1, 8) {
		p.Send(b)
	}
	f.await(p, blocked)
	if status := p.Status()[0]; status.Waiting != 8 || !isTimeout(status.Err) {
		t.Errorf("status is %+v, want 8 batches to wait after a time-out", status)
	}
	m.Store(false)
	for i, r := range f.results(p, 8) {
		if r.Err != nil || int(r.Batch.FirstSequence) != 10*(i+1) {
			t.Errorf("result %d is of sequence %d, error %v", i, r.Batch.FirstSequence, r.Err)
		}
	}
	if diff := cmp.Diff(lines(id, 0, 90), f.read(0, 0, 1<<20)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestFetchFromSilentBrokerFails(t *testing.T) {
	m, _, f := mutable(t, kafka.Config{
		DialTimeout: conf.Duration(200 * time.Millisecond), RequestTimeout: conf.Duration(1500 * time.Millisecond),
	})
	id := f.producerID()
	f.send(f.producer(kafka.ProducerConfig{}), numbered(id, 0, 1)...)
	fetcher := f.fetcher(0)
	if _, err := fetcher.Fetch(t.Context(), 0, 1<<20); err != nil {
		t.Fatal(err)
	}
	m.Store(true)
	for range 2 { // on a connection that was open, and on one that is not opened
		if _, err := fetcher.Fetch(t.Context(), 0, 1<<20); !isTimeout(err) {
			t.Errorf("error %v, want a time-out", err)
		}
	}
	m.Store(false)
	if got, err := fetcher.Fetch(t.Context(), 0, 1<<20); err != nil || len(got.Records) != 10 {
		t.Errorf("fetch after that: %+v, %v", got, err)
	}
}

// TestSilentBrokerIsAvoided has clients that may ask a silent broker first: they do so once and not every time.
func TestSilentBrokerIsAvoided(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	cluster := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "topic"))
	const timeout = 500 * time.Millisecond
	for range 4 { // each begins with either
		client := connect(t, kafka.Config{
			BootstrapServers: append(cluster.ListenAddrs(), silent.Addr().String()), DialTimeout: conf.Duration(timeout),
		})
		began := time.Now()
		for range 6 {
			if _, err := client.Topic(t.Context(), "topic"); err != nil { // asks twice
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 3*timeout {
			t.Errorf("twelve questions took %v", took)
		}
	}
}

func TestCloseEndsAtOnceInEveryState(t *testing.T) {
	tests := map[string]func(*fixture, *kafka.Producer, *mute, *kfake.Cluster){
		"nothing was sent": func(*fixture, *kafka.Producer, *mute, *kfake.Cluster) {},
		"all is acknowledged": func(f *fixture, p *kafka.Producer, _ *mute, _ *kfake.Cluster) {
			f.send(p, numbered(f.producerID(), 0, 3)...)
		},
		"five are in flight": func(f *fixture, p *kafka.Producer, m *mute, cluster *kfake.Cluster) {
			id := f.producerID()
			f.send(p, numbered(id, 0, 1)...)
			m.Store(true)
			arrived := produced(cluster, 5)
			for _, b := range numbered(id, 1, 8) {
				p.Send(b)
			}
			<-arrived
		},
		"it looks for the leader": func(f *fixture, p *kafka.Producer, m *mute, cluster *kfake.Cluster) {
			id := f.producerID()
			m.Store(true)
			arrived := make(chan struct{})
			cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
				close(arrived)
				return nil, nil, false
			})
			p.Send(numbered(id, 0, 1)[0])
			<-arrived
		},
		"it waits to try again": func(f *fixture, p *kafka.Producer, _ *mute, cluster *kfake.Cluster) {
			id := f.producerID()
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
			p.Send(numbered(id, 0, 1)[0])
			f.await(p, blocked)
		},
		"nobody takes the results": func(f *fixture, p *kafka.Producer, _ *mute, _ *kfake.Cluster) {
			for _, b := range numbered(f.producerID(), 0, 100) {
				p.Send(b)
			}
			f.await(p, func(s kafka.PartitionStatus) bool { return s.Waiting < 36 }) // 64 have room
		},
		"nobody takes the refusals": func(f *fixture, p *kafka.Producer, _ *mute, cluster *kfake.Cluster) {
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1})
			for _, b := range numbered(f.producerID(), 0, 100) {
				p.Send(b)
			}
			f.await(p, func(s kafka.PartitionStatus) bool { return s.Err != nil })
		},
	}
	for name, arrange := range tests {
		t.Run(name, func(t *testing.T) {
			m, cluster, f := mutable(t, kafka.Config{})
			p := f.producer(kafka.ProducerConfig{})
			arrange(f, p, m, cluster)
			soon(t, "close the producer", p.Close)
			p.Send(batchOf(0, 1, 0, 1)) // does nothing
			soon(t, "close the client", func() { _ = f.client.Close() })
			nothingRuns(t)
		})
	}
}

// produced is closed when the broker has got n batches.
func produced(cluster *kfake.Cluster, n int) <-chan struct{} {
	done := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if n--; n == 0 {
			close(done)
		}
		return nil, nil, false
	})
	return done
}

// soon fails the test if f takes as long as a time-out that it should not wait for.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("%s: took %v", what, took)
	}
}

// nothingRuns waits until no goroutine is left of this package's and of sarama's connections.
func nothingRuns(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		left := goroutines()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left running:\n%s", strings.Join(left, "\n\n"))
		}
	}
}

func goroutines() (out []string) {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "IBM/sarama.") || strings.Contains(stack, "logpipe/internal/kafka.") {
			out = append(out, stack)
		}
	}
	return out
}

func TestClientClosesWhileItIsAsked(t *testing.T) {
	m, cluster, f := mutable(t, kafka.Config{})
	arrived := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(arrived)
		return nil, nil, false
	})
	m.Store(true)
	asked := make(chan error, 2)
	for range 2 { // the second waits for the first
		go func() {
			_, err := f.client.Topic(context.Background(), "topic")
			asked <- err
		}()
	}
	<-arrived
	soon(t, "close the client", func() { _ = f.client.Close() })
	for range 2 {
		if err := <-asked; !errors.Is(err, sarama.ErrClosedClient) {
			t.Errorf("error %v, want %v", err, sarama.ErrClosedClient)
		}
	}
	if _, err := f.client.Topic(t.Context(), "topic"); !errors.Is(err, sarama.ErrClosedClient) {
		t.Errorf("error after Close is %v, want %v", err, sarama.ErrClosedClient)
	}
	nothingRuns(t)
}

func TestFailedConnectLeavesNothing(t *testing.T) {
	m, _, f := mutable(t, kafka.Config{})
	_ = f.client.Close()
	m.Store(true)
	cfg := kafka.Config{BootstrapServers: f.bootstrap, DialTimeout: conf.Duration(100 * time.Millisecond)}
	if _, err := kafka.Connect(t.Context(), cfg, logr.Discard()); !isTimeout(err) {
		t.Errorf("error %v, want a time-out", err)
	}
	nothingRuns(t)
}
