package kafka_test

import (
	"testing"

	"github.com/logpipe/logpipe/internal/kafka"
)

func TestFetchFollowsTheLeader(t *testing.T) {
	cluster, f := faulty(t)
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	fetcher := f.fetcher(0)
	for i := range 6 {
		if err := cluster.MoveTopicPartition("topic", 0, int32(i)%3); err != nil {
			t.Fatal(err)
		}
		f.send(p, numbered(id, i, 1)...)
		got, err := fetcher.Fetch(t.Context(), int64(10*i), 1<<20)
		if err != nil || len(got.Records) != 10 {
			t.Fatalf("fetch %d: %+v, %v", i, got, err)
		}
	}
}
