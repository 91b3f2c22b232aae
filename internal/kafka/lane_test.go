package kafka_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipe/logpipe/internal/kafka"
)

// faulty is a cluster of three embedded brokers with a topic of two partitions.
func faulty(t *testing.T) (*kfake.Cluster, *fixture) {
	t.Helper()
	cluster := fake(t, kfake.NumBrokers(3))
	f := newFixture(t, cluster.ListenAddrs(), kafka.TopicSpec{Name: "topic", Partitions: 2, ReplicationFactor: 3})
	return cluster, f
}

// numbered makes n batches of ten records each, from sequence 10*first on.
func numbered(id int64, first, n int) (out []*kafka.Batch) {
	for i := range n {
		out = append(out, batchOf(0, id, int32(10*(first+i)), 10))
	}
	return out
}

func TestBatchesAreSentAgainInOrder(t *testing.T) {
	tests := map[string]*kerr.Error{
		"the leader moves":                           kerr.NotLeaderForPartition,
		"there is no leader":                         kerr.LeaderNotAvailable,
		"too few replicas are in sync":               kerr.NotEnoughReplicas,
		"replicas are lost after the append":         kerr.NotEnoughReplicasAfterAppend,
		"the replicas take too long":                 kerr.RequestTimedOut,
		"the disk fails":                             kerr.KafkaStorageError,
		"a broker does not know the topic yet":       kerr.UnknownTopicOrPartition,
		"the batch was damaged on the way":           kerr.CorruptMessage,
		"an error that nobody has heard of happened": kerr.UnknownServerError,
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			cluster, f := faulty(t)
			id := f.producerID()
			p := f.producer(kafka.ProducerConfig{})
			f.send(p, numbered(id, 0, 1)...) // so that five are in flight when it happens
			n := 0
			cluster.Fault(kfake.Fault{
				Keys: []kmsg.Key{kmsg.Produce}, Err: fault, Count: 3,
				When: func(kmsg.Request) bool { n++; return n%4 == 0 },
			})
			f.send(p, numbered(id, 1, 20)...)
			if diff := cmp.Diff(lines(id, 0, 210), f.read(0, 0, 1<<20)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			want := map[int32]kafka.PartitionStatus{0: {}}
			if diff := cmp.Diff(want, p.Status()); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBatchesSurviveBrokenConnections(t *testing.T) {
	for name, moves := range map[string]bool{"to one that stays leader": false, "to one that is leader no more": true} {
		t.Run(name, func(t *testing.T) {
			cluster, f := faulty(t)
			n := 0
			cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				if n++; n%4 != 0 || n > 12 {
					return nil, nil, false
				}
				if leader := int32(n/4) % 3; moves {
					go func() { _ = cluster.MoveTopicPartition("topic", 0, leader) }()
				}
				return nil, errors.New("broken"), true
			})
			id := f.producerID()
			f.send(f.producer(kafka.ProducerConfig{}), numbered(id, 0, 20)...)
			if diff := cmp.Diff(lines(id, 0, 200), f.read(0, 0, 1<<20)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeaderMovesWhileSending(t *testing.T) {
	cluster, f := faulty(t)
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{Compression: kafka.CompressionLz4})
	var got int
	for i := range 40 {
		p.Send(numbered(id, i, 1)[0])
		if i%8 == 0 {
			if err := cluster.MoveTopicPartition("topic", 0, int32(i/8)%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range f.results(p, 40) {
		if r.Err != nil || int(r.Batch.FirstSequence) != got {
			t.Fatalf("result for sequence %d, want %d; error %v", r.Batch.FirstSequence, got, r.Err)
		}
		got += 10
	}
	if diff := cmp.Diff(lines(id, 0, 400), f.read(0, 0, 1<<20)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// TestBlockedPartitionHoldsUpNoOther leaves the requests of one partition without an answer.
func TestBlockedPartitionHoldsUpNoOther(t *testing.T) {
	cluster, f := faulty(t)
	for partition := range int32(2) { // on the same broker
		if err := cluster.MoveTopicPartition("topic", partition, 1); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{1}, Err: kerr.NotEnoughReplicas, Count: -1,
	})
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	p.Send(batchOf(1, id, 0, 10))
	f.send(p, numbered(id, 0, 20)...)
	deadline := time.Now().Add(patience)
	for p.Status()[1].BlockedSince.IsZero() && time.Now().Before(deadline) {
		f.send(p, batchOf(0, f.producerID(), 0, 1))
	}
	status := p.Status()[1]
	if status.Waiting != 1 || status.BlockedSince.IsZero() || fmt.Sprint(status.Err) == "<nil>" {
		t.Errorf("status of the blocked partition is %+v", status)
	}
	p.Close() // does not wait for it
}

func TestHopelessBatchesHaltTheirPartition(t *testing.T) {
	tests := map[string]struct {
		fault *kerr.Error
		want  error
	}{
		"a newer epoch is at work":            {kerr.InvalidProducerEpoch, kafka.ErrFenced},
		"the producer was fenced":             {kerr.ProducerFenced, kafka.ErrFenced},
		"a timestamp is out of bounds":        {kerr.InvalidTimestamp, kafka.ErrRefused},
		"a record is invalid":                 {kerr.InvalidRecord, kafka.ErrRefused},
		"the sequence is out of order":        {kerr.OutOfOrderSequenceNumber, kafka.ErrOutOfOrder},
		"the producer is unknown":             {kerr.UnknownProducerID, kafka.ErrOutOfOrder},
		"the batch is larger than the limit":  {kerr.MessageTooLarge, kafka.ErrTooLarge},
		"the batch is larger than a segment":  {kerr.RecordListTooLarge, kafka.ErrTooLarge},
		"the broker had the batch, it is not": {kerr.DuplicateSequenceNumber, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster, f := faulty(t)
			handle := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: test.fault, Count: -1})
			id := f.producerID()
			p := f.producer(kafka.ProducerConfig{})
			for _, b := range numbered(id, 0, 8) {
				p.Send(b)
			}
			results := f.results(p, 8)
			handle.Remove()
			p.Send(numbered(id, 8, 1)[0])
			if test.want != nil {
				results = append(results, f.results(p, 1)...)
			}
			for i, r := range results {
				if !errors.Is(r.Err, test.want) || r.Offset != -1 || int(r.Batch.FirstSequence) != 10*i {
					t.Errorf("result %d: %d of sequence %d, error %v; want %v",
						i, r.Offset, r.Batch.FirstSequence, r.Err, test.want)
				}
			}
		})
	}
}
