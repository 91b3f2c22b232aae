package sink

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/go-logr/logr"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/sink/format"
)

// source is what a partition needs of Kafka. Errors of the network and of the brokers wrap errKafka: nothing is lost by
// trying again.
type source interface {
	// TopicID is the id of the topic as it is now.
	TopicID(ctx context.Context) (string, error)
	// Bounds returns the first offset that Kafka still has, and the one the next record gets.
	Bounds(ctx context.Context) (start, end int64, err error)
	// Fetch returns what can be read from an offset on. It may wait for more if there is nothing yet. It returns
	// errOutOfRange when Kafka has nothing at that offset and never will.
	Fetch(ctx context.Context, offset int64) (batch, error)
	// Close frees the connection.
	Close()
}

var (
	errKafka      = errors.New("kafka")
	errOutOfRange = errors.New("offset out of range")
)

// batch is what one fetch brought.
type batch struct {
	// records in ascending order of their offsets. Each is valid until the next one.
	records iter.Seq[*format.Record]
	// next is the offset to go on at. It passes control records and those of aborted transactions.
	next int64
	// end is the offset that the next record of the partition will get, as far as it may be read.
	end int64
}

// reader is a partition of a real topic.
type reader struct {
	client    *kafka.Client
	fetcher   *kafka.Fetcher
	topic     string
	partition int32
	maxBytes  int
}

func newReader(client *kafka.Client, cfg *Config, partition int32, log logr.Logger) *reader {
	return &reader{client: client, fetcher: kafka.NewFetcher(client, cfg.Topic, partition, log), topic: cfg.Topic,
		partition: partition, maxBytes: cfg.FetchBytes}
}

// TopicID implements source.
func (r *reader) TopicID(ctx context.Context) (string, error) {
	topic, err := r.client.Topic(ctx, r.topic)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errKafka, err)
	}
	return topic.ID, nil
}

// Bounds implements source.
func (r *reader) Bounds(ctx context.Context) (start, end int64, err error) {
	start, end, err = r.client.Offsets(ctx, r.topic, r.partition)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errKafka, err)
	}
	return start, end, nil
}

// Fetch implements source. The first error may only be that of a connection which the broker closed meanwhile, as it
// does with idle ones, or of a leader that has moved.
func (r *reader) Fetch(ctx context.Context, offset int64) (batch, error) {
	got, err := r.fetcher.Fetch(ctx, offset, r.maxBytes)
	if err != nil && ctx.Err() == nil && !errors.Is(err, kafka.ErrOffsetOutOfRange) {
		got, err = r.fetcher.Fetch(ctx, offset, r.maxBytes)
	}
	if errors.Is(err, kafka.ErrOffsetOutOfRange) {
		return batch{}, fmt.Errorf("%w: %w", errOutOfRange, err)
	}
	if err != nil {
		return batch{}, fmt.Errorf("%w: %w", errKafka, err)
	}
	return batch{records: r.records(got.Records), next: got.Next, end: got.Stable}, nil
}

func (r *reader) records(fetched []kafka.Record) iter.Seq[*format.Record] {
	return func(yield func(*format.Record) bool) {
		rec := format.Record{Topic: r.topic, Partition: r.partition}
		for i := range fetched {
			from := &fetched[i]
			rec.Offset, rec.Time, rec.Key, rec.Value = from.Offset, from.Time, from.Key, from.Value
			rec.Headers = rec.Headers[:0]
			for _, header := range from.Headers {
				rec.Headers = append(rec.Headers, format.Header{Key: header.Key, Value: header.Value})
			}
			if !yield(&rec) {
				return
			}
		}
	}
}

// Close implements source.
func (r *reader) Close() { r.fetcher.Close() }
