package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

// deadline bounds what a test waits for; nothing takes nearly as long.
const deadline = 20 * time.Second

// bench is a broker with one topic, and a directory of logs.
type bench struct {
	t      *testing.T
	dir    string
	client *kafka.Client
	cfg    Config
	// out is what is outside of the agents that runLogged starts.
	out outside
}

// newBench starts a broker inside the test. Its topic has 6 partitions.
func newBench(t *testing.T) *bench {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return benchOn(t, cluster.ListenAddrs(), 6)
}

// benchOn uses the brokers given.
func benchOn(t *testing.T, brokers []string, partitions int32) *bench {
	b := &bench{t: t, dir: t.TempDir(), out: realOutside()}
	b.cfg = Config{
		Name: "test/" + t.Name(), StateDir: filepath.Join(b.dir, "state"),
		Topic:        strings.ToLower(strings.Map(topicRune, t.Name())) + fmt.Sprint(time.Now().UnixNano()),
		Kafka:        kafka.Config{BootstrapServers: brokers},
		Inputs:       []Input{{Files: &FilesInput{Include: []string{b.path("app.log")}}}},
		Batch:        Batch{Interval: conf.Duration(20 * time.Millisecond)},
		ScanInterval: conf.Duration(50 * time.Millisecond),
		Node:         Node{Name: "node-1", IP: "10.1.2.3", Labels: map[string]string{zoneLabel: "zone-a"}},
	}
	var err error
	if b.client, err = kafka.Connect(t.Context(), b.cfg.Kafka, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.client.Close() })
	spec := kafka.TopicSpec{Name: b.cfg.Topic, Partitions: partitions, ReplicationFactor: 1}
	if _, err := b.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	return b
}

func topicRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	f, err := os.OpenFile(b.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// run starts an agent, waits until it follows its files, and returns what stops it and waits for it.
func (b *bench) run() (stop func()) {
	b.t.Helper()
	stop, started := b.runWaiting()
	timeout := time.After(deadline)
	a := <-started
	for a.Stats().Problem != "" {
		select {
		case <-timeout:
			b.t.Fatalf("the agent does not start: %s", a.Stats().Problem)
		case <-time.After(time.Millisecond):
		}
	}
	return stop
}

// runWaiting starts an agent and delivers it once it has its state directory.
func (b *bench) runWaiting() (stop func(), started <-chan *Agent) {
	ctx, cancel := context.WithCancel(b.t.Context())
	done, agents := make(chan error, 1), make(chan *Agent, 1)
	log := funcr.New(func(prefix, args string) { b.t.Log(prefix, args) }, funcr.Options{Verbosity: 1})
	go func() {
		a, err := New(ctx, b.cfg, log)
		if err == nil {
			agents <- a
			err = a.Run(ctx)
		}
		done <- err
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			b.t.Errorf("agent: %v", err)
		}
	}
	b.t.Cleanup(stop)
	return stop, agents
}

// got is a record as it arrived.
type got struct {
	Partition  int32
	Key, Value string
	Headers    map[string]string
}

// read waits until n records are in the topic and returns them by partition; more than n are an error.
func (b *bench) read(n int) []got {
	b.t.Helper()
	ctx, end := b.t.Context(), time.Now().Add(deadline)
	topic, err := b.client.Topic(ctx, b.cfg.Topic)
	if err != nil {
		b.t.Fatal(err)
	}
	for {
		out := b.all(ctx, topic)
		if len(out) == n {
			return out
		}
		if len(out) > n {
			b.t.Fatalf("%d records arrived, want %d", len(out), n)
		}
		if time.Now().After(end) {
			b.t.Fatalf("%d of %d records arrived", len(out), n)
		}
	}
}

// all returns the records that are in the topic now.
func (b *bench) all(ctx context.Context, topic kafka.Topic) []got {
	b.t.Helper()
	var out []got
	for p := range topic.Partitions {
		fetcher := kafka.NewFetcher(b.client, topic.Name, p, logr.Discard())
		_, end, err := b.client.Offsets(ctx, topic.Name, p)
		if err != nil {
			b.t.Fatal(err)
		}
		for offset := int64(0); offset < end; {
			fetched, err := fetcher.Fetch(ctx, offset, 1<<20)
			if err != nil {
				b.t.Fatal(err)
			}
			for _, r := range fetched.Records {
				headers := map[string]string{}
				for _, h := range r.Headers {
					headers[string(h.Key)] = string(h.Value)
				}
				out = append(out, got{Partition: p, Key: string(r.Key), Value: string(r.Value), Headers: headers})
			}
			offset = fetched.Next
		}
		fetcher.Close()
	}
	return out
}

func values(records []got) []string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = r.Value
	}
	return out
}
