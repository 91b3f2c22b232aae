package kafka_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/test/servers"
)

func TestOnApacheKafka(t *testing.T) {
	runSuite(t, servers.Kafka(t, 1).Bootstrap)
}

func TestLastSequence(t *testing.T) {
	f := newFixture(t, servers.Kafka(t, 1).Bootstrap, kafka.TopicSpec{
		Name: servers.UniqueName(t), Partitions: 2, ReplicationFactor: 1,
	})
	id := f.producerID()
	f.send(f.producer(kafka.ProducerConfig{}), numbered(id, 0, 7)...)
	last, found, err := f.client.LastSequence(t.Context(), f.topic, 0, id)
	if last != 69 || !found || err != nil {
		t.Errorf("last sequence is %d, %v, %v; want 69", last, found, err)
	}
	if last, found, err := f.client.ScanProducer(t.Context(), f.topic, 0, 0, id); last != 69 || !found || err != nil {
		t.Errorf("scan found %d, %v, %v; want 69", last, found, err)
	}
	if last, found, err := f.client.LastSequence(t.Context(), f.topic, 1, id); found || err != nil {
		t.Errorf("last sequence where it never wrote is %d, %v, %v", last, found, err)
	}
}

// TestFetchPassesEmptyBatches lets the cleaner leave batches without a record, the last one of each producer.
func TestFetchPassesEmptyBatches(t *testing.T) {
	f := newFixture(t, servers.Kafka(t, 1).Bootstrap, kafka.TopicSpec{
		Name: servers.UniqueName(t), Partitions: 1, ReplicationFactor: 1,
		Config: map[string]string{
			"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001",
			"min.compaction.lag.ms": "0",
		},
	})
	p := f.producer(kafka.ProducerConfig{})
	fetcher, waiter := f.fetcher(0), f.fetcher(0)
	for deadline := time.Now().Add(2 * time.Minute); ; { // the cleaner looks every 15 s
		last := f.send(p, batchOf(0, f.producerID(), 0, 1))[0]          // the same key as ever
		if _, err := waiter.Fetch(t.Context(), last+1, 1); err != nil { // waits a second for more
			t.Fatal(err)
		}
		got, err := fetcher.Fetch(t.Context(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Next > 1 { // the first batch is empty or gone
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was compacted: %+v", got)
		}
	}
	_, end, err := f.client.Offsets(t.Context(), f.topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.read(0, 0, 1); len(got) == 0 || len(got) >= int(end) {
		t.Errorf("%d records of %d were read", len(got), end)
	}
	if _, found, err := f.client.ScanProducer(t.Context(), f.topic, 0, 0, 1<<40); found || err != nil {
		t.Errorf("scan: %v, %v", found, err)
	}
}

// TestLeadersAreKilled kills brokers under load: every record has to be there once and in order.
func TestLeadersAreKilled(t *testing.T) {
	const partitions, batches, perBatch = 6, 84, 100
	cluster := servers.PrivateKafka(t, 3)
	f := newFixture(t, cluster.Bootstrap, kafka.TopicSpec{
		Name: servers.UniqueName(t), Partitions: partitions, ReplicationFactor: 3,
		Config: map[string]string{"min.insync.replicas": "2"},
	})
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{Compression: kafka.CompressionZstd})
	sent := make([]int, partitions)
	send := func() {
		if partition := rand.IntN(partitions); sent[partition] < batches {
			p.Send(batchOf(int32(partition), id, int32(sent[partition]*perBatch), perBatch))
			sent[partition]++
		}
	}
	acknowledged, victim := 0, 1
	for acknowledged < partitions*batches/2 {
		for range 3 {
			send()
		}
		if acknowledged == partitions*batches/4 {
			cluster.Kill(victim)
		}
		f.acknowledged(p)
		acknowledged++
	}
	cluster.Start(victim)
	cluster.Kill(victim + 1)
	for acknowledged < partitions*batches {
		for range 3 {
			send()
		}
		f.acknowledged(p)
		acknowledged++
	}
	cluster.Start(victim + 1)
	for partition := range int32(partitions) {
		if diff := cmp.Diff(lines(id, 0, batches*perBatch), f.read(partition, 0, 1<<20)); diff != "" {
			t.Errorf("values of partition %d (-want +got):\n%s", partition, diff)
		}
	}
}

func (f *fixture) acknowledged(p *kafka.Producer) {
	f.Helper()
	if r := f.results(p, 1)[0]; r.Err != nil {
		f.Fatalf("batch at sequence %d: %v", r.Batch.FirstSequence, r.Err)
	}
}
