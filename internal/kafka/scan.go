package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// scanBytes is how much of a partition is read at a time.
const scanBytes = 4 << 20

// ScanProducer reads a partition from offset to its end and returns the last sequence number that a producer wrote
// there. It is for brokers that have forgotten the producer, and for those that don't tell (see LastSequence). What was
// deleted by retention meanwhile can't be found.
func (c *Client) ScanProducer(ctx context.Context, topic string, partition int32, offset, producerID int64) (
	sequence int32, found bool, err error,
) {
	start, end, err := c.Offsets(ctx, topic, partition)
	if err != nil {
		return 0, false, err
	}
	f := NewFetcher(c, topic, partition, c.log)
	defer f.Close()
	for at := max(offset, start); at < end; {
		var block *sarama.FetchResponseBlock
		err := whileChanging(ctx, func() (err error) {
			block, err = f.fetch(ctx, at, scanBytes, sarama.ReadUncommitted)
			return err
		})
		if err != nil {
			return 0, false, err
		}
		next, last, here := scanBlock(block, at, producerID)
		if here {
			sequence, found = last, true
		}
		if next == at {
			if next, err = f.skipEmpty(ctx, at); err != nil {
				return 0, false, err
			}
		}
		if next == at {
			return 0, false, fmt.Errorf("scan %s/%d at %d of %d: %w", topic, partition, at, end, errNothingThere)
		}
		at = next
	}
	return sequence, found, nil
}

var errNothingThere = errors.New("nothing could be read there")

// scanBlock returns the offset behind a fetched answer, and the last sequence number of a producer in it.
func scanBlock(block *sarama.FetchResponseBlock, offset, producerID int64) (next int64, last int32, found bool) {
	next = offset
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
		if batch == nil || batch.PartialTrailingRecord {
			break
		}
		if batch.ProducerID == producerID && !batch.Control && batch.LastOffset() >= offset {
			last = addSequence(batch.FirstSequence, batch.LastOffsetDelta)
			found = true
		}
		next = max(next, batch.LastOffset()+1)
	}
	return next, last, found
}

// addSequence adds as brokers do: 0 follows 2^31 - 1.
func addSequence(sequence, n int32) int32 { return int32((int64(sequence) + int64(n)) & 0x7fffffff) }
