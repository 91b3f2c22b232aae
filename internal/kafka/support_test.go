package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipe/logpipe/internal/kafka"
)

// patience is how long a test waits for what has to come.
const patience = time.Minute

// fixture is a cluster with one topic.
type fixture struct {
	testing.TB
	bootstrap []string
	client    *kafka.Client
	topic     string
}

func fake(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func connect(tb testing.TB, cfg kafka.Config) *kafka.Client {
	tb.Helper()
	client, err := kafka.Connect(tb.Context(), cfg, logr.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// newFixture makes a topic in the cluster at bootstrap.
func newFixture(t *testing.T, bootstrap []string, spec kafka.TopicSpec) *fixture {
	t.Helper()
	f := &fixture{
		TB: t, bootstrap: bootstrap, topic: spec.Name,
		client: connect(t, kafka.Config{BootstrapServers: bootstrap}),
	}
	if _, err := f.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) producer(cfg kafka.ProducerConfig) *kafka.Producer {
	f.Helper()
	p := kafka.NewProducer(f.client, f.topic, cfg, logr.Discard())
	f.Cleanup(p.Close)
	return p
}

func (f *fixture) producerID() int64 {
	f.Helper()
	id, epoch, err := f.client.InitProducerID(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	if epoch != 0 {
		f.Fatalf("epoch is %d, want 0", epoch)
	}
	return id
}

// batchOf makes a batch of n records whose values tell their sequence numbers.
func batchOf(partition int32, producerID int64, first int32, n int) *kafka.Batch {
	now := time.UnixMilli(time.Now().UnixMilli())
	b := &kafka.Batch{
		Partition: partition, ProducerID: producerID, FirstSequence: first, Time: now, MaxTime: now,
	}
	for i := range n {
		value := fmt.Appendf(nil, "line %d of producer %d", int(first)+i, producerID)
		b.Records = append(b.Records, &sarama.Record{
			OffsetDelta: int64(i), Key: []byte("key"), Value: value,
			Headers: []*sarama.RecordHeader{{Key: []byte("host"), Value: []byte("a")}},
		})
	}
	return b
}

// results waits for n results.
func (f *fixture) results(p *kafka.Producer, n int) []kafka.Result {
	f.Helper()
	deadline := time.After(patience)
	var out []kafka.Result
	for len(out) < n {
		select {
		case r := <-p.Results():
			out = append(out, r)
		case <-deadline:
			f.Fatalf("%d of %d results came; status: %+v", len(out), n, p.Status())
		}
	}
	return out
}

// send sends batches and fails the test if one is not acknowledged. It returns their offsets.
func (f *fixture) send(p *kafka.Producer, batches ...*kafka.Batch) []int64 {
	f.Helper()
	for _, b := range batches {
		p.Send(b)
	}
	var offsets []int64
	for _, r := range f.results(p, len(batches)) {
		if r.Err != nil {
			f.Fatalf("batch at sequence %d: %v", r.Batch.FirstSequence, r.Err)
		}
		offsets = append(offsets, r.Offset)
	}
	return offsets
}

// read returns the values of a partition from an offset to its end.
func (f *fixture) read(partition int32, offset int64, maxBytes int) []string {
	f.Helper()
	_, end, err := f.client.Offsets(f.Context(), f.topic, partition)
	if err != nil {
		f.Fatal(err)
	}
	fetcher := f.fetcher(partition)
	var values []string
	for deadline := time.Now().Add(patience); offset < end; {
		got, err := fetcher.Fetch(f.Context(), offset, maxBytes)
		if err != nil {
			f.Fatal(err)
		}
		if time.Now().After(deadline) {
			f.Fatalf("reading stays at offset %d of %d", offset, end)
		}
		for i, r := range got.Records {
			if r.Offset < offset || r.Offset >= got.Next || i > 0 && r.Offset <= got.Records[i-1].Offset {
				f.Fatalf("offset %d is out of order between %d and %d", r.Offset, offset, got.Next)
			}
			values = append(values, string(r.Value))
		}
		offset = got.Next
	}
	return values
}

// lines are the values that batchOf makes.
func lines(producerID int64, first, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("line %d of producer %d", first+i, producerID))
	}
	return out
}

func (f *fixture) fetcher(partition int32) *kafka.Fetcher {
	fetcher := kafka.NewFetcher(f.client, f.topic, partition, logr.Discard())
	f.Cleanup(fetcher.Close)
	return fetcher
}
