package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
)

// MaxInFlight is how many batches of a partition may be unanswered at once. Brokers recognise the last five of a
// producer when they are sent again (KIP-98), so never more than these.
const MaxInFlight = 5

// Errors of a batch that is not worth sending again as it is. The partition takes no more batches after one.
var (
	// ErrOutOfOrder means that the broker's last sequence number of the producer is not the one before the batch.
	ErrOutOfOrder = errors.New("sequence numbers do not continue those the broker has")
	// ErrTooLarge means that the batch is above the topic's max.message.bytes.
	ErrTooLarge = errors.New("batch is larger than the topic's max.message.bytes")
	// ErrFenced means that a newer epoch of the producer id has written to the partition.
	ErrFenced = errors.New("producer was fenced")
	// ErrRefused means that the broker will never take the records as they are.
	ErrRefused = errors.New("records are refused by the broker")
	// ErrClosed means that the producer was closed before the batch was acknowledged.
	ErrClosed = errors.New("producer is closed")
)

// ProducerConfig says how batches are sent.
type ProducerConfig struct {
	// Compression of the batches.
	Compression Compression
	// Timeout is how long the leader may wait for its followers. Default 20s, below the wait for the answer.
	Timeout time.Duration
}

// Batch is one record batch with the sequence numbers it has for ever. Its records must not change until its Result.
type Batch struct {
	Partition     int32
	ProducerID    int64
	ProducerEpoch int16
	FirstSequence int32
	// Time is the base of the records' TimestampDelta, MaxTime the latest record's time.
	Time, MaxTime time.Time
	Records       []*sarama.Record
	// Opaque is the caller's.
	Opaque any

	encoded *sarama.RecordBatch
}

// Result is the outcome of one batch.
type Result struct {
	Batch *Batch
	// Offset of the first record, -1 if the broker had the batch already and did not say.
	Offset int64
	// Err is nil if all in-sync replicas have the batch.
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
// once, and again with the same sequences until they are acknowledged. Each partition has a goroutine of its own, so
// that one that can't be reached does not hold up another.
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

	mu    sync.Mutex
	lanes map[int32]*lane
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

// Send queues a batch behind those of its partition. It never blocks: the caller bounds how many it has waiting.
func (p *Producer) Send(b *Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[b.Partition]
	if l == nil {
		l = newLane(p, b.Partition)
		p.lanes[b.Partition] = l
		p.wg.Go(l.run)
	}
	l.enqueue(b)
}

// Results delivers one Result for each batch sent, in order per partition.
func (p *Producer) Results() <-chan Result { return p.results }

// Close ends all sending. Batches that are not acknowledged get no Result.
func (p *Producer) Close() {
	p.cancel()
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

// fate is what a failed attempt means for its batch.
type fate int

const (
	stored   fate = iota // the broker had it already
	again                // worth sending again, soon
	later                // worth sending again when someone has mended something
	hopeless             // not worth sending again
)

// judge tells the fate of a batch whose attempt failed with err.
func judge(err error) (fate, error) {
	var code sarama.KError
	if !errors.As(err, &code) {
		return again, err // the connection broke: whether the batch is stored, sending it again will tell
	}
	switch code {
	case sarama.ErrDuplicateSequenceNumber:
		return stored, nil
	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID:
		return hopeless, errors.Join(ErrOutOfOrder, err)
	case sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge:
		return hopeless, errors.Join(ErrTooLarge, err)
	case sarama.ErrInvalidProducerEpoch, sarama.ErrProducerFenced:
		return hopeless, errors.Join(ErrFenced, err)
	case sarama.ErrInvalidTimestamp, sarama.ErrInvalidRecord, sarama.ErrUnsupportedForMessageFormat:
		return hopeless, errors.Join(ErrRefused, err)
	case sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed, sarama.ErrPolicyViolation,
		sarama.ErrInvalidTopic, sarama.ErrUnknownTopicOrPartition:
		return later, err
	default:
		return again, err
	}
}
