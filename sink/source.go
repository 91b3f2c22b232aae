package sink

import (
	"context"
	"errors"
	"iter"

	"github.com/logpipe/logpipe/sink/format"
)

// source is what a partition needs of Kafka. Errors of the network and of the brokers wrap errKafka: nothing is lost by
// trying again.
type source interface {
	// TopicID is the id of the topic as it is now.
	TopicID(ctx context.Context) (string, error)
	// Bounds returns the first offset that Kafka still has of a partition, and the one its next record gets.
	Bounds(ctx context.Context, partition int32) (start, end int64, err error)
	// Fetch returns what can be read from an offset on, without waiting for more. It returns errOutOfRange when Kafka
	// has nothing at that offset and never will.
	Fetch(ctx context.Context, partition int32, offset int64) (batch, error)
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
