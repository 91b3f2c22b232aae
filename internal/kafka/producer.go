package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
)

// MaxInFlight is how many batches of a partition may be unanswered at once. Brokers recognise the last five of a
// producer when they are sent again (KIP-98), so never more than these.
const MaxInFlight = 5

// ProducerConfig says how batches are sent.
type ProducerConfig struct {
	// Compression of the batches. Default None.
	Compression Compression
	// Timeout is how long the leader may wait for its followers. Default two thirds of the client's RequestTimeout.
	Timeout time.Duration
}

// Batch is one record batch with the sequence numbers it has for ever. It must not change until its Result.
type Batch struct {
	Partition     int32
	ProducerID    int64
	ProducerEpoch int16
	// FirstSequence is that of the first record; the others follow it, with 0 after 2^31 - 1.
	FirstSequence int32
	// Time is the base of the records' TimestampDelta, MaxTime the latest record's time.
	Time, MaxTime time.Time
	// Records have an OffsetDelta of 0, 1, 2, ... There is at least one.
	Records []*sarama.Record
	// Opaque is the caller's.
	Opaque any

	encoded *sarama.RecordBatch
}

// Result is the outcome of one batch.
type Result struct {
	Batch *Batch
	// Offset of the first record, -1 if the broker had the batch already and did not say.
	Offset int64
	// Err is nil if all in-sync replicas have the batch. If not, it is one of the errors above that end a partition.
	Err error
}

// PartitionStatus tells what a partition is doing.
type PartitionStatus struct {
	// Waiting counts batches that are not acknowledged.
	Waiting int
	// BlockedSince is when sending began to fail, zero while it works, and Err why.
	BlockedSince time.Time
	Err          error
}

// Producer sends sequenced batches straight to the partitions' leaders: in order per partition, up to MaxInFlight at
// once, and again with the same sequences until they are acknowledged.
//
// Each partition has a goroutine and a connection of its own, and each request carries one batch. A broker handles the
// requests of a connection one after another, each until all replicas have it. So partitions that share a connection
// wait for the slowest one; with connections of their own, one that can't be reached holds up no other. A connection
// that is not used is closed, so there are no more than partitions that get lines.
type Producer struct {
	client  *Client
	topic   string
	cfg     ProducerConfig
	codec   sarama.CompressionCodec
	log     logr.Logger
	results chan Result
	ctx     context.Context //nolint:containedctx // it is the producer's life, ended by Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	lanes   map[int32]*lane
	topicID sarama.Uuid
}

// NewProducer returns a producer for one topic. Close ends it.
func NewProducer(client *Client, topic string, cfg ProducerConfig, log logr.Logger) *Producer {
	if cfg.Timeout == 0 {
		cfg.Timeout = client.cfg.RequestTimeout.Std() * 2 / 3
	}
	codec, _ := cfg.Compression.Codec()
	ctx, cancel := context.WithCancel(context.Background())
	return &Producer{
		client: client, topic: topic, cfg: cfg, codec: codec, log: log,
		results: make(chan Result, 64), ctx: ctx, cancel: cancel, lanes: map[int32]*lane{},
	}
}

// Send queues a batch behind those of its partition. It never blocks: the caller bounds how many it has waiting. After
// Close it does nothing.
func (p *Producer) Send(b *Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	l := p.lanes[b.Partition]
	if l == nil {
		l = newLane(p, b.Partition)
		p.lanes[b.Partition] = l
		p.wg.Go(l.run)
	}
	l.enqueue(b)
}

// Results delivers one Result for each batch sent, in order per partition. Partitions wait while nobody receives.
func (p *Producer) Results() <-chan Result { return p.results }

// Close ends all sending at once. Batches that are not acknowledged get no Result; they may have been stored or not.
func (p *Producer) Close() {
	p.mu.Lock() // no lane begins from here on
	p.cancel()
	p.mu.Unlock()
	p.wg.Wait()
}

// Status tells what each partition that was sent to is doing.
func (p *Producer) Status() map[int32]PartitionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[int32]PartitionStatus, len(p.lanes))
	for partition, l := range p.lanes {
		out[partition] = l.currentStatus()
	}
	return out
}

// sameTopic refuses another topic of the same name than the one that was first sent to: its partitions would take
// batches that the old one may have had.
func (p *Producer) sameTopic(id sarama.Uuid) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topicID == (sarama.Uuid{}) {
		p.topicID = id
	}
	if id != p.topicID {
		return fmt.Errorf("%w: its id was %s and is %s now", ErrTopicChanged, p.topicID, id)
	}
	return nil
}

// request returns what is sent for b. The batch is encoded and compressed once, however often it is sent.
func (p *Producer) request(b *Batch) *sarama.ProduceRequest {
	if b.encoded == nil {
		b.encoded = &sarama.RecordBatch{
			Version:              2,
			Codec:                p.codec,
			CompressionLevel:     sarama.CompressionLevelDefault,
			PartitionLeaderEpoch: -1,
			ProducerID:           b.ProducerID,
			ProducerEpoch:        b.ProducerEpoch,
			FirstSequence:        b.FirstSequence,
			FirstTimestamp:       b.Time,
			MaxTimestamp:         b.MaxTime,
			LastOffsetDelta:      int32(len(b.Records)) - 1,
			Records:              b.Records,
		}
	}
	request := &sarama.ProduceRequest{
		Version:      7, // the first that takes zstd; newer ones add nothing that is used here
		RequiredAcks: sarama.WaitForAll,
		Timeout:      int32(p.cfg.Timeout.Milliseconds()),
	}
	request.AddBatch(p.topic, b.Partition, b.encoded)
	return request
}
