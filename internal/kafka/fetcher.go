package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
)

// ErrOffsetOutOfRange is returned when the asked offset is not in the log: see Fetched for what is.
var ErrOffsetOutOfRange = errors.New("offset is not in the log")

// fetchWait is how long a broker may hold a fetch that finds nothing.
const fetchWait = time.Second

// Fetcher reads one partition in big pieces, committed records only. It has a connection of its own: a broker answers
// one connection in order, so that a fetch that waits for records would hold up those of other partitions.
type Fetcher struct {
	client    *Client
	topic     string
	partition int32
	log       logr.Logger
	broker    *sarama.Broker
}

// Fetched is one answer.
type Fetched struct {
	// Records lie between the asked offset and Next. Their keys and values share the answer's memory.
	Records []Record
	// Next is the offset to ask for then: behind Records and whatever else was passed over.
	Next int64
	// Start and Stable are the first offset of the log, and the first one that is not decided yet.
	Start, Stable int64
}

// Record is one record of a partition.
type Record struct {
	Offset     int64
	Time       time.Time
	Key, Value []byte
	Headers    []*sarama.RecordHeader
}

// NewFetcher returns a fetcher that connects when it is first used. One goroutine may use it.
func NewFetcher(client *Client, topic string, partition int32, log logr.Logger) *Fetcher {
	return &Fetcher{client: client, topic: topic, partition: partition, log: log}
}

// Close closes the connection.
func (f *Fetcher) Close() {
	if f.broker != nil {
		_ = f.broker.Close()
		f.broker = nil
	}
}

// Fetch returns what lies at offset: about maxBytes of it, at least one batch however large, nothing if nothing came
// within a second. It asks the new leader when the leader changes, and returns other errors after having forgotten the
// connection; the caller waits and asks again. ErrOffsetOutOfRange comes with Start and Stable.
func (f *Fetcher) Fetch(ctx context.Context, offset int64, maxBytes int) (*Fetched, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.connect(); err != nil {
		return nil, err
	}
	request := &sarama.FetchRequest{
		Version: 11, MaxWaitTime: int32(fetchWait.Milliseconds()), MinBytes: 1, MaxBytes: int32(maxBytes),
		Isolation: sarama.ReadCommitted, SessionEpoch: -1,
	}
	request.AddBlock(f.topic, f.partition, offset, int32(maxBytes), -1)
	response, err := f.broker.Fetch(request)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("fetch %s/%d at %d: %w", f.topic, f.partition, offset, err)
	}
	block := response.GetBlock(f.topic, f.partition)
	if block == nil {
		f.Close()
		return nil, fmt.Errorf("fetch %s/%d at %d: %w", f.topic, f.partition, offset, sarama.ErrIncompleteResponse)
	}
	switch block.Err {
	case sarama.ErrNoError:
		return decodeBlock(block, offset)
	case sarama.ErrOffsetOutOfRange:
		return f.outOfRange(ctx, offset)
	default:
		f.Close()
		return nil, fmt.Errorf("fetch %s/%d at %d: %w", f.topic, f.partition, offset, block.Err)
	}
}

// connect opens a connection to the leader.
func (f *Fetcher) connect() error {
	if f.broker != nil {
		return nil
	}
	if err := f.client.sarama.RefreshMetadata(f.topic); err != nil {
		return fmt.Errorf("find leader of %s/%d: %w", f.topic, f.partition, err)
	}
	leader, err := f.client.sarama.Leader(f.topic, f.partition)
	if err != nil {
		return fmt.Errorf("find leader of %s/%d: %w", f.topic, f.partition, err)
	}
	broker := sarama.NewBroker(leader.Addr())
	if err := broker.Open(f.client.sarama.Config()); err != nil {
		return fmt.Errorf("connect to %s: %w", leader.Addr(), err)
	}
	if _, err := broker.Connected(); err != nil {
		_ = broker.Close()
		return fmt.Errorf("connect to %s: %w", leader.Addr(), err)
	}
	f.broker = broker
	return nil
}

func (f *Fetcher) outOfRange(ctx context.Context, offset int64) (*Fetched, error) {
	start, end, err := f.client.Offsets(ctx, f.topic, f.partition)
	if err != nil {
		return nil, err
	}
	return &Fetched{Next: offset, Start: start, Stable: end}, fmt.Errorf("fetch %s/%d at %d: %w: it holds %d to %d",
		f.topic, f.partition, offset, ErrOffsetOutOfRange, start, end)
}

// Offsets returns the first offset of a partition's log and the one that its next record will have.
func (c *Client) Offsets(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	if start, err = c.sarama.GetOffset(topic, partition, sarama.OffsetOldest); err != nil {
		return 0, 0, fmt.Errorf("get start of %s/%d: %w", topic, partition, err)
	}
	if end, err = c.sarama.GetOffset(topic, partition, sarama.OffsetNewest); err != nil {
		return 0, 0, fmt.Errorf("get end of %s/%d: %w", topic, partition, err)
	}
	return start, end, nil
}

// decodeBlock takes the committed records at offset and behind it.
func decodeBlock(block *sarama.FetchResponseBlock, offset int64) (*Fetched, error) {
	out := &Fetched{Next: offset, Start: block.LogStartOffset, Stable: block.LastStableOffset}
	aborted := abortedProducers{pending: block.AbortedTransactions}
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
		if batch == nil {
			return nil, errors.New("the broker sent records in a format older than Kafka 0.11")
		}
		if batch.PartialTrailingRecord {
			break
		}
		if !aborted.skips(batch) && !batch.Control {
			out.add(batch, offset)
		}
		out.Next = max(out.Next, batch.LastOffset()+1)
	}
	return out, nil
}

// add takes the records of a batch from offset on.
func (out *Fetched) add(batch *sarama.RecordBatch, offset int64) {
	for _, r := range batch.Records {
		at := batch.FirstOffset + r.OffsetDelta
		if at < offset {
			continue
		}
		t := batch.FirstTimestamp.Add(r.TimestampDelta)
		if batch.LogAppendTime {
			t = batch.MaxTimestamp
		}
		out.Records = append(out.Records, Record{Offset: at, Time: t, Key: r.Key, Value: r.Value, Headers: r.Headers})
	}
}

// abortedProducers knows which transactions of an answer were aborted: those of a producer from its first aborted
// offset up to its next control batch (KIP-98).
type abortedProducers struct {
	pending []*sarama.AbortedTransaction
	active  map[int64]bool
}

// skips tells whether the batch belongs to an aborted transaction. Batches have to be shown in order.
func (a *abortedProducers) skips(batch *sarama.RecordBatch) bool {
	for i := 0; i < len(a.pending); {
		if t := a.pending[i]; t.FirstOffset <= batch.LastOffset() {
			if a.active == nil {
				a.active = map[int64]bool{}
			}
			a.active[t.ProducerID] = true
			a.pending = append(a.pending[:i:i], a.pending[i+1:]...)
			continue
		}
		i++
	}
	if batch.Control {
		delete(a.active, batch.ProducerID)
		return true
	}
	return batch.IsTransactional && a.active[batch.ProducerID]
}

// ScanProducer reads a partition from offset to its end and returns the last sequence number that a producer wrote
// there. It is for brokers that have forgotten the producer, and for those that don't tell (see LastSequence).
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
		if err := f.connect(); err != nil {
			return 0, false, err
		}
		request := &sarama.FetchRequest{Version: 11, MaxWaitTime: 100, MinBytes: 1, MaxBytes: 1 << 20, SessionEpoch: -1}
		request.AddBlock(topic, partition, at, 1<<20, -1)
		response, err := f.broker.Fetch(request)
		if err != nil {
			return 0, false, fmt.Errorf("scan %s/%d at %d: %w", topic, partition, at, err)
		}
		block := response.GetBlock(topic, partition)
		if block == nil || block.Err != sarama.ErrNoError {
			return 0, false, fmt.Errorf("scan %s/%d at %d: %w", topic, partition, at, blockError(block))
		}
		before := at
		for _, set := range block.RecordsSet {
			batch := set.RecordBatch
			if batch == nil || batch.PartialTrailingRecord {
				continue
			}
			if batch.ProducerID == producerID && !batch.Control {
				sequence = int32((int64(batch.FirstSequence) + int64(batch.LastOffsetDelta)) & 0x7fffffff)
				found = true
			}
			at = max(at, batch.LastOffset()+1)
		}
		if at == before {
			return sequence, found, nil
		}
	}
	return sequence, found, nil
}

func blockError(block *sarama.FetchResponseBlock) error {
	if block == nil {
		return sarama.ErrIncompleteResponse
	}
	return block.Err
}
