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
// the requests of a connection in order, so that a fetch that waits for records would hold up those of others. Nothing
// is fetched ahead: who bounds how many fetches run at a time bounds the memory of all.
type Fetcher struct {
	client    *Client
	topic     string
	partition int32
	log       logr.Logger
	conn      *connection
	// idle counts the fetches in a row that brought nothing although there is something.
	idle int
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
	if f.conn != nil {
		f.conn.close()
		f.conn = nil
	}
}

// Fetch returns what lies at offset: about maxBytes of it, at least one batch however large, nothing if nothing came
// within a second. It follows the leader when that changes. After any other error the caller waits and asks again.
// ErrOffsetOutOfRange comes with Start and Stable.
func (f *Fetcher) Fetch(ctx context.Context, offset int64, maxBytes int) (*Fetched, error) {
	var block *sarama.FetchResponseBlock
	err := whileChanging(ctx, func() (err error) {
		block, err = f.fetch(ctx, offset, maxBytes, sarama.ReadCommitted)
		return err
	})
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return f.outOfRange(ctx, offset)
	}
	if err != nil {
		return nil, err
	}
	fetched, err := decodeBlock(block, offset)
	if err != nil {
		return nil, fmt.Errorf("read %s/%d at %d: %w", f.topic, f.partition, offset, err)
	}
	if fetched.Next > offset || fetched.Stable <= offset {
		f.idle = 0
		return fetched, nil
	}
	if f.idle++; f.idle > 1 {
		fetched.Next, err = f.skipEmpty(ctx, offset)
	}
	return fetched, err
}

// fetch asks the leader. It forgets the connection after an error.
func (f *Fetcher) fetch(ctx context.Context, offset int64, maxBytes int, isolation sarama.IsolationLevel) (
	*sarama.FetchResponseBlock, error,
) {
	if err := f.connect(ctx); err != nil {
		return nil, err
	}
	request := &sarama.FetchRequest{
		Version: 11, MaxWaitTime: int32(fetchWait.Milliseconds()), MinBytes: 1, MaxBytes: int32(maxBytes),
		Isolation: isolation, SessionEpoch: -1,
	}
	request.AddBlock(f.topic, f.partition, offset, int32(maxBytes), -1)
	var block *sarama.FetchResponseBlock
	err := f.conn.use(ctx, func(leader *sarama.Broker) error {
		response, err := leader.Fetch(request)
		if err != nil {
			return err
		}
		if block = response.GetBlock(f.topic, f.partition); block == nil {
			return sarama.ErrIncompleteResponse
		}
		if block.Err != sarama.ErrNoError {
			return block.Err
		}
		return nil
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("fetch %s/%d at %d: %w", f.topic, f.partition, offset, err)
	}
	return block, nil
}

// connect makes sure that there is a connection to the leader.
func (f *Fetcher) connect(ctx context.Context) error {
	if f.conn != nil {
		return nil
	}
	address, _, err := f.client.leader(ctx, f.topic, f.partition)
	if err != nil {
		return err
	}
	f.conn, err = f.client.dial(ctx, address)
	return err
}

func (f *Fetcher) outOfRange(ctx context.Context, offset int64) (*Fetched, error) {
	start, end, err := f.client.Offsets(ctx, f.topic, f.partition)
	if err != nil {
		return nil, err
	}
	return &Fetched{Next: offset, Start: start, Stable: end}, fmt.Errorf("fetch %s/%d at %d: %w: it holds %d to %d",
		f.topic, f.partition, offset, ErrOffsetOutOfRange, start, end)
}

// skipEmpty returns the offset of the next record from offset on, or offset if none comes. Compaction leaves batches
// without records (the last one of each producer), which sarama drops from a fetched answer without a trace. Only its
// own consumer knows where they end.
func (f *Fetcher) skipEmpty(ctx context.Context, offset int64) (int64, error) {
	consumer, err := sarama.NewConsumerFromClient(f.client.sarama)
	if err != nil {
		return offset, fmt.Errorf("pass empty batches: %w", err)
	}
	defer func() { _ = consumer.Close() }()
	partition, err := consumer.ConsumePartition(f.topic, f.partition, offset)
	if err != nil {
		return offset, fmt.Errorf("pass empty batches of %s/%d at %d: %w", f.topic, f.partition, offset, err)
	}
	defer func() { _ = partition.Close() }()
	timer := time.NewTimer(fetchWait)
	defer timer.Stop()
	select {
	case message := <-partition.Messages():
		f.idle = 0
		return message.Offset, nil
	case err := <-partition.Errors():
		return offset, fmt.Errorf("pass empty batches of %s/%d at %d: %w", f.topic, f.partition, offset, err)
	case <-timer.C:
		return offset, nil
	case <-ctx.Done():
		return offset, ctx.Err()
	}
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
		if !aborted.skips(batch) {
			out.add(batch, offset)
		}
		out.Next = max(out.Next, batch.LastOffset()+1)
	}
	return out, nil
}

// add takes the records of a batch from offset on.
func (out *Fetched) add(batch *sarama.RecordBatch, offset int64) {
	if out.Records == nil {
		out.Records = make([]Record, 0, len(batch.Records))
	}
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

// skips tells whether a batch holds no records for readers: it ends a transaction, or belongs to an aborted one.
// Batches have to be shown in order.
func (a *abortedProducers) skips(batch *sarama.RecordBatch) bool {
	waiting := a.pending[:0:0]
	for _, t := range a.pending {
		if t.FirstOffset > batch.LastOffset() {
			waiting = append(waiting, t)
			continue
		}
		if a.active == nil {
			a.active = map[int64]bool{}
		}
		a.active[t.ProducerID] = true
	}
	a.pending = waiting
	if batch.Control {
		delete(a.active, batch.ProducerID)
		return true
	}
	return batch.IsTransactional && a.active[batch.ProducerID]
}
