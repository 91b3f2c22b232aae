package peers

import (
	"encoding/json"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	writerName = "w"
	partitions = 4
	// patience bounds how long a peer may take until its first line is in Kafka.
	patience = 2 * time.Minute
	// quiet is how long nothing may have come when all that was written seems to be there, silent when it is not; longest
	// is when a peer that never stops sending is stopped.
	quiet, silent, longest = 15 * time.Second, time.Minute, 8 * time.Minute
)

// trial is one peer in one case.
type trial struct {
	*peer
	topic  string
	client *kafka.Client
	writer *writer
}

// newTrial starts a peer and waits until the first line is through.
func newTrial(t *testing.T, brokers []string, name, glob string) *trial {
	logs := t.TempDir()
	r := &trial{peer: newPeer(t, name), topic: servers.UniqueName(t)}
	r.client = newTopic(t, brokers, r.topic)
	var err error
	r.writer, err = newWriter(filepath.Join(logs, "app.log"), int64(*count))
	r.check(err)
	r.start(logs, glob, brokers[0], r.topic)
	r.check(r.writer.until(late))
	r.await("the first line is in Kafka", func() bool { return r.end() > 0 })
	return r
}

// newTopic makes a topic and returns a client.
func newTopic(t *testing.T, brokers []string, name string) *kafka.Client {
	t.Helper()
	client, err := kafka.Connect(t.Context(), kafka.Config{BootstrapServers: brokers}, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	spec := kafka.TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: 1}
	if _, err := client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	return client
}

// end is the sum of the end offsets.
func (r *trial) end() (sum int64) {
	r.Helper()
	for p := range int32(partitions) {
		_, end, err := r.client.Offsets(r.Context(), r.topic, p)
		r.check(err)
		sum += end
	}
	return sum
}

// kill kills the peer each time another part of the lines is written and the peer has begun to send again; it is
// started again at once. The writer goes on meanwhile, and waits only for a peer that is a whole part behind.
func (r *trial) kill() {
	r.Helper()
	part := int64(*count) / (kills + 1)
	r.writer.limit.Store(2 * part)
	written := make(chan error, 1)
	go func() { written <- r.writer.until(int64(*count)) }()
	before := int64(0)
	for i := range int64(kills) {
		r.await("it is time to kill", func() bool { return r.writer.written.Load() >= (i+1)*part && r.end() > before })
		r.stop(syscall.SIGKILL)
		before = r.end()
		r.restart()
		r.writer.limit.Add(part)
	}
	r.check(<-written)
}

func (r *trial) rotate() {
	r.Helper()
	for i := range int64(rotations) {
		r.check(r.writer.until((i + 1) * int64(*count) / (rotations + 1)))
		r.check(r.writer.rotate())
	}
	r.check(r.writer.until(int64(*count)))
}

// finish waits until nothing comes any more, stops the peer in good order and compares what came with what was written.
func (r *trial) finish() lines.Verdict {
	r.Helper()
	began, last, since := time.Now(), int64(-1), time.Now()
	for {
		r.pause()
		if end := r.end(); end != last {
			last, since = end, time.Now()
		}
		still := time.Since(since)
		if still > silent || still > quiet && last >= int64(*count) {
			break
		}
		if time.Since(began) > longest {
			r.Logf("%s still sends after %s: what it would send then is not counted", r.name, longest)
			break
		}
	}
	r.stop(syscall.SIGTERM)
	checker := lines.NewChecker()
	for p := range int32(partitions) {
		r.read(p, checker)
	}
	return checker.Verdict(map[string]uint64{writerName: r.writer.source.Count()})
}

// read shows all records of a partition to checker. A record in quotes is one line as a JSON text.
func (r *trial) read(partition int32, checker *lines.Checker) {
	r.Helper()
	_, end, err := r.client.Offsets(r.Context(), r.topic, partition)
	r.check(err)
	fetcher := kafka.NewFetcher(r.client, r.topic, partition, logr.Discard())
	defer fetcher.Close()
	for offset := int64(0); offset < end; {
		fetched, err := fetcher.Fetch(r.Context(), offset, 4<<20)
		r.check(err)
		for _, record := range fetched.Records {
			line, text := record.Value, ""
			if len(line) > 0 && line[0] == '"' && json.Unmarshal(line, &text) == nil {
				line = []byte(text)
			}
			checker.Add(line)
		}
		offset = fetched.Next
	}
}
