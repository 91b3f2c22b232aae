package agent

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
)

// maxUnsynced bounds the batches that one fdatasync makes durable together: enough that a slow disk does not hold up
// reading, few enough that memory stays small.
const maxUnsynced = 4

// sealed is a batch that the journal knows and Kafka has not acknowledged yet.
type sealed struct {
	journal journal.Batch
	kafka   *kafka.Batch
	open    *openBatch
	bytes   int
	at      time.Time
	// earlier are those before it that its leader has, too: they were not sent again.
	earlier []*sealed
}

// batchFor returns the open batch that s reads into, or nil if its partition may not have another now.
func (a *Agent) batchFor(s *stream, now time.Time) *openBatch {
	if s.perRecord {
		return a.openFor(anyPartition, now) // only its memory is used: records are copied to where their keys lead
	}
	return a.openFor(s.partition, now)
}

func (a *Agent) openFor(partition int32, now time.Time) *openBatch {
	b := a.open[partition]
	if b == nil && a.maySeal(partition) {
		b = a.pool.get(partition, a.batchMemory(), now)
		a.open[partition] = b
	}
	return b
}

// batchWithRoom returns an open batch of the partition that takes e, or nil if the partition has to wait.
func (a *Agent) batchWithRoom(e *entry, partition int32, now time.Time) (*openBatch, error) {
	b := a.openFor(partition, now)
	if b != nil && b.fits(recordSize(e.record()), a.batchBytes(), a.cfg.Batch.MaxRecords) {
		return b, nil
	}
	if e.carried == nil {
		e.from.clean = e.clean // what is sealed now ends in the middle of a chunk
	}
	if b == nil {
		return nil, nil
	}
	if done, err := a.sealIfFree(b, now); !done || err != nil {
		return nil, err
	}
	return a.openFor(partition, now), nil
}

// maySeal tells whether the partition may have one more batch that is not acknowledged.
func (a *Agent) maySeal(partition int32) bool {
	if partition == anyPartition {
		return a.cfg.PartitionKey.Type == KeyField || a.freePartition() != anyPartition
	}
	return a.inFlight[partition] < journal.MaxPending
}

// freePartition returns the partition with the fewest batches in flight, or anyPartition if none may have another.
func (a *Agent) freePartition() int32 {
	best, fewest := anyPartition, journal.MaxPending
	for p := range a.topic.Partitions {
		if n := a.inFlight[p]; n < fewest {
			best, fewest = p, n
		}
	}
	return best
}

// group lists the batches that have to be sealed with b. Where one file's records go to several partitions, all are
// sealed together, so that the file's position always has everything before it in batches.
func (a *Agent) group(b *openBatch) []*openBatch {
	if a.cfg.PartitionKey.Type != KeyField {
		return []*openBatch{b}
	}
	return slices.Collect(a.unsealed())
}

// sealIfFree seals b if every partition that has to be sealed with it may have one more batch in flight.
func (a *Agent) sealIfFree(b *openBatch, now time.Time) (bool, error) {
	group := a.group(b)
	for _, other := range group {
		if !a.maySeal(other.partition) {
			return false, nil
		}
	}
	return true, a.seal(group, now)
}

// seal closes batches, numbers them and hands them to the journal.
func (a *Agent) seal(group []*openBatch, now time.Time) error {
	var record journal.Seal
	var batches []*sealed
	for _, b := range group {
		partition := b.partition
		if partition == anyPartition {
			partition = a.freePartition()
		}
		s := a.number(b, partition, now)
		record.Batches, batches = append(record.Batches, s.journal), append(batches, s)
		for _, from := range b.streams {
			if err := a.store(from); err != nil {
				return err
			}
		}
		record.Moves = appendMoves(record.Moves, b.streams)
	}
	if err := a.journal.Append(record); err != nil {
		return fmt.Errorf("journal batch: %w", err)
	}
	failpoint.Hit(failpoint.BatchSealed)
	for _, s := range batches {
		a.inFlight[s.journal.Partition]++
		delete(a.open, s.open.partition)
	}
	a.unsynced = append(a.unsynced, batches...)
	return nil
}

func appendMoves(moves []journal.Move, streams []*stream) []journal.Move {
	for _, s := range streams {
		if !slices.ContainsFunc(moves, func(m journal.Move) bool { return m.File == s.ref }) {
			moves = append(moves, s.move())
			s.moved, s.sealed = false, s.last
		}
	}
	return moves
}

// number gives b its sequence and makes the batch that goes to Kafka.
func (a *Agent) number(b *openBatch, partition int32, now time.Time) *sealed {
	sequence := a.journal.Partition(partition).NextSequence
	s := &sealed{journal: b.seal(partition, sequence, a.settings, a.wall()), open: b, bytes: b.size, at: now}
	s.kafka = a.kafkaBatch(&s.journal, b.records, b.times)
	s.kafka.Opaque = s
	return s
}

// kafkaBatch returns what is sent for b.
func (a *Agent) kafkaBatch(b *journal.Batch, records []sarama.Record, times []time.Time) *kafka.Batch {
	pointers := make([]*sarama.Record, len(records))
	for i := range records {
		pointers[i] = &records[i]
	}
	producer, _ := a.journal.Producer()
	return &kafka.Batch{
		Partition:     b.Partition,
		ProducerID:    producer.ID,
		ProducerEpoch: producer.Epoch,
		FirstSequence: b.FirstSequence,
		Time:          b.Time,
		MaxTime:       stamp(records, times, b.Time),
		Records:       pointers,
	}
}

// openBatches lists the open batches by partition.
func (a *Agent) openBatches() []*openBatch {
	out := make([]*openBatch, 0, len(a.open))
	for _, b := range a.open {
		out = append(out, b)
	}
	slices.SortFunc(out, func(x, y *openBatch) int { return int(x.partition - y.partition) })
	return out
}

// unsealed gives the open batches that hold records, by partition. Those that are sealed meanwhile, with another, are
// passed over.
func (a *Agent) unsealed() iter.Seq[*openBatch] {
	return func(yield func(*openBatch) bool) {
		for _, b := range a.openBatches() {
			if a.open[b.partition] == b && len(b.records) > 0 && !yield(b) {
				return
			}
		}
	}
}

// sealDue seals the batches whose interval is over.
func (a *Agent) sealDue(now time.Time) error {
	for b := range a.unsealed() {
		if now.Sub(b.opened) < a.cfg.Batch.Interval.Std() {
			continue
		}
		if _, err := a.sealIfFree(b, now); err != nil {
			return err
		}
	}
	return nil
}

// commit makes what was sealed durable, as far as that is asked for, and sends it.
func (a *Agent) commit() error {
	if len(a.unsynced) == 0 {
		return nil
	}
	if err := a.makeDurable(a.now()); err != nil {
		return err
	}
	for _, s := range a.unsynced {
		a.producer.Send(s.kafka)
		failpoint.Hit(failpoint.BatchSent)
	}
	a.unsynced = a.unsynced[:0]
	return nil
}

// makeDurable brings the journal to the disk: always, or only now and then if what it does not know may come again.
func (a *Agent) makeDurable(now time.Time) error {
	if a.cfg.Delivery == AtLeastOnce && now.Before(a.syncAt) {
		return nil
	}
	if err := a.journal.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	failpoint.Hit(failpoint.BatchSynced)
	a.syncAt = now.Add(housekeeping)
	return nil
}

// acknowledged takes the outcome of one batch.
func (a *Agent) acknowledged(r kafka.Result, now time.Time) error {
	s := r.Batch.Opaque.(*sealed)
	if r.Err != nil {
		if errors.Is(r.Err, kafka.ErrTooLarge) && s.journal.Count == 1 && s.bytes > a.batchBytes() {
			a.tooLarge = &s.journal
		}
		return r.Err
	}
	failpoint.Hit(failpoint.BatchAnswered)
	for _, earlier := range s.earlier {
		if err := a.stored(earlier, -1, now); err != nil {
			return err
		}
	}
	return a.stored(s, r.Offset, now)
}

// stored notes that a batch is in Kafka for good, at an offset, or at one that is not known, which is -1.
func (a *Agent) stored(s *sealed, offset int64, now time.Time) error {
	ack := journal.Ack{
		Partition: s.journal.Partition, FirstSequence: s.journal.FirstSequence,
		Count: s.journal.Count, BaseOffset: offset,
	}
	if err := a.journal.Append(ack); err != nil {
		return fmt.Errorf("journal acknowledgement: %w", err)
	}
	failpoint.Hit(failpoint.BatchAcked)
	a.inFlight[s.journal.Partition]--
	a.metrics.ackedRecords.Add(float64(s.journal.Count))
	a.metrics.ackedBytes.Add(float64(s.bytes))
	a.metrics.batches.Inc()
	a.metrics.batchBytes.Observe(float64(s.bytes))
	a.metrics.ackSeconds.Observe(now.Sub(s.at).Seconds())
	a.totals.acked += int64(s.journal.Count)
	a.totals.ackedBytes += int64(s.bytes)
	a.pool.put(s.open)
	return nil
}
