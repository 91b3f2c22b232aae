package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
)

// rebuildTries is how often the files of a pending batch are looked for again before it counts as lost.
const rebuildTries = 3

// settings decide how bytes become records, keys and partitions. They are journaled, so that a pending batch can be
// built again after they changed.
type settings struct {
	Decode       decode.Config      `json:"decode"`
	Metadata     Metadata           `json:"metadata"`
	PartitionKey PartitionKey       `json:"partitionKey"`
	Assignment   map[string][]int32 `json:"assignment,omitempty"`
	Node         Node               `json:"node"`
	Partitions   int32              `json:"partitions"`
}

func (a *Agent) putSettings() error {
	data, err := json.Marshal(settings{
		Decode: a.cfg.Decode, Metadata: a.cfg.Metadata, PartitionKey: a.cfg.PartitionKey, Assignment: a.cfg.Assignment,
		Node: a.cfg.Node, Partitions: a.topic.Partitions,
	})
	if err != nil {
		return fmt.Errorf("store settings: %w", err)
	}
	if a.settings, err = a.journal.AddSettings(data); err != nil {
		return fmt.Errorf("journal settings: %w", err)
	}
	failpoint.Hit(failpoint.SettingsAppended)
	return nil
}

// recover settles the batches that were sent, or about to be, when the last session ended. Each is either known to be
// in Kafka, or built again from its files and sent again with its old sequence numbers: a broker that has it already
// answers so and stores nothing. Only where that can't work they are sent under a new producer id, once it is known
// that they are not in Kafka.
func (a *Agent) recover(ctx context.Context) error {
	state := a.journal.State()
	producer := state.Producer
	moved := producer.TopicID != a.topic.ID || producer.ClusterID != a.topic.ClusterID
	if state.HasProducer && moved {
		a.doubt = true
		a.log.Info("This is another topic than before: starting with a new producer id", "topic", a.topic.Name,
			"clusterID", a.topic.ClusterID, "topicID", a.topic.ID, "pending", len(state.Pending))
	}
	if state.HasProducer && !moved {
		if err := a.settle(ctx, state); err != nil {
			return err
		}
	}
	pending, batches, err := a.rebuildAll()
	if err != nil {
		return err
	}
	if a.doubt || !state.HasProducer {
		if err := a.renew(ctx, pending); err != nil {
			return err
		}
	}
	return a.resend(batches)
}

// settle asks the brokers which pending batches they have, and acknowledges those.
func (a *Agent) settle(ctx context.Context, state *journal.State) error {
	asked := map[int32]bool{}
	for _, b := range state.Pending {
		if asked[b.Partition] {
			continue
		}
		asked[b.Partition] = true
		last, found, err := a.lastSequence(ctx, state, b.Partition)
		if errors.Is(err, kafka.ErrNotAuthorized) {
			a.log.Info("Pending batches are sent again without asking what is stored", "reason", err.Error())
			continue
		}
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.RecoverSettled)
		if err := a.acknowledgeUpTo(state, b.Partition, last, found); err != nil {
			return err
		}
	}
	return nil
}

// lastSequence returns the last sequence number of ours that a partition has. Where the broker has forgotten us, the
// records themselves tell.
func (a *Agent) lastSequence(ctx context.Context, state *journal.State, partition int32) (int32, bool, error) {
	last, found, err := a.client.LastSequence(ctx, a.topic.Name, partition, state.Producer.ID)
	if err != nil || found {
		return last, found, err
	}
	return a.client.ScanProducer(ctx, a.topic.Name, partition, state.Partition(partition).AckedOffset+1, state.Producer.ID)
}

// acknowledgeUpTo acknowledges the pending batches of a partition up to the one that ends with sequence last. If the
// next one does not follow it, sequences can't go on.
func (a *Agent) acknowledgeUpTo(state *journal.State, partition, last int32, found bool) error {
	var pending []journal.Batch
	for _, b := range state.Pending {
		if b.Partition == partition {
			pending = append(pending, b)
		}
	}
	i := slices.IndexFunc(pending, func(b journal.Batch) bool {
		return found && journal.AddSequence(b.FirstSequence, b.Count-1) == last
	})
	if i < 0 && found && journal.AddSequence(last, 1) != pending[0].FirstSequence {
		a.doubt = true
		a.log.Info("The broker's sequence number does not lead to the pending ones", "partition", partition,
			"last", last, "pending", pending[0].FirstSequence)
	}
	for _, b := range pending[:i+1] {
		ack := journal.Ack{Partition: partition, FirstSequence: b.FirstSequence, Count: b.Count, BaseOffset: -1}
		if err := a.journal.Append(ack); err != nil {
			return fmt.Errorf("journal acknowledgement: %w", err)
		}
		failpoint.Hit(failpoint.RecoverAcked)
		a.totals.acked += int64(b.Count)
		a.metrics.ackedRecords.Add(float64(b.Count))
	}
	return nil
}

// rebuildAll builds all pending batches again. One whose bytes are gone is given up, and counted; a file that merely
// can't be read now is an error.
func (a *Agent) rebuildAll() ([]journal.Batch, []*openBatch, error) {
	var pending []journal.Batch
	var batches []*openBatch
	state := a.journal.State()
	for _, b := range state.Pending {
		if a.giveUp(b) {
			continue
		}
		open, err := a.find(b, state.Settings[b.Settings])
		if passing(err) {
			return nil, nil, fmt.Errorf("read again what is pending on partition %d: %w", b.Partition, err)
		}
		if err != nil {
			a.doubt = true // what follows it can't keep its sequence number
			a.lost(lostUnavailable, int64(b.Count), 0)
			a.log.Error(err, "Lines are lost: they are not in Kafka and can't be read again", "partition", b.Partition,
				"records", b.Count)
			continue
		}
		failpoint.Hit(failpoint.RecoverRebuilt)
		pending, batches = append(pending, b), append(batches, open)
	}
	return pending, batches, nil
}

// giveUp tells whether b is the record that is too large for the topic: sent again, it would end every session.
func (a *Agent) giveUp(b journal.Batch) bool {
	large := a.tooLarge
	if large == nil || large.Partition != b.Partition || large.FirstSequence != b.FirstSequence {
		return false
	}
	a.tooLarge, a.doubt = nil, true // what follows it can't keep its sequence number
	a.lost(lostTooLarge, 1, 0)
	a.log.Info("A record is lost: raise max.message.bytes of the topic, or lower decode.maxRecordBytes", "partition",
		b.Partition, "maxMessageBytes", a.topic.MaxMessageBytes)
	return true
}

// find builds b, which was sealed under stored settings, again. A file that was renamed or compressed since the last
// scan is looked for again.
func (a *Agent) find(b journal.Batch, stored []byte) (*openBatch, error) {
	open, err := a.rebuild(b, stored)
	for range rebuildTries {
		if err == nil || errors.Is(err, tail.ErrNotFound) {
			break
		}
		if err := a.scan(); err != nil {
			return nil, err
		}
		open, err = a.rebuild(b, stored)
	}
	return open, err
}

// passing tells whether a file may be readable later: it is being renamed, or its file system refuses for now.
func passing(err error) bool {
	var refused syscall.Errno
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &refused)
}

// renew takes a new producer id and numbers the batches from 0 under it.
func (a *Agent) renew(ctx context.Context, pending []journal.Batch) error {
	id, epoch, err := a.client.InitProducerID(ctx)
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RecoverNewID)
	for i := range pending {
		pending[i].Partition %= a.topic.Partitions
	}
	renewed := journal.Renew{
		Producer: journal.Producer{ID: id, Epoch: epoch, ClusterID: a.topic.ClusterID, TopicID: a.topic.ID},
		Batches:  journal.Renumber(pending),
	}
	if err := a.journal.Append(renewed); err != nil {
		return fmt.Errorf("journal producer: %w", err)
	}
	failpoint.Hit(failpoint.RecoverRenewed)
	a.doubt = false
	a.log.Info("Took a producer id", "producerID", id, "epoch", epoch, "pending", len(pending))
	return nil
}

// resend sends what is pending, with the sequence numbers that the journal has now.
func (a *Agent) resend(batches []*openBatch) error {
	if err := a.journal.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	failpoint.Hit(failpoint.RecoverSynced)
	for i, b := range a.journal.State().Pending {
		open := batches[i]
		s := &sealed{journal: b, open: open, bytes: open.size, at: a.now()}
		s.kafka = a.kafkaBatch(&s.journal, open.records, open.times)
		s.kafka.Opaque = s
		open.pinned = true // its memory is not of the usual size
		a.inFlight[b.Partition]++
		a.producer.Send(s.kafka)
		failpoint.Hit(failpoint.RecoverResent)
		a.metrics.resent.Inc()
	}
	if len(batches) > 0 {
		a.log.Info("Sent again what was pending", "batches", len(batches))
	}
	return nil
}

// rewind makes every file go on where the journal says: behind the last record that is in a batch.
func (a *Agent) rewind() error {
	state := a.journal.State()
	for _, s := range a.order {
		stored, ok := state.Files[s.ref]
		if !ok {
			return fmt.Errorf("journal does not know file %s", s.file.Path())
		}
		s.last, s.sealed = stored.Sealed, stored.Sealed
		if s.file.Position() != stored.State.Mark.Offset || s.feed.active {
			s.file.Rewind(stored.State.Mark)
		}
		a.start(s, stored.State.Mark)
		a.route(s)
		s.isEnded, s.ready = s.finished, !s.finished
		s.waiting, s.after = false, nil
	}
	a.chain() // what had its turn may have to wait again
	failpoint.Hit(failpoint.RecoverRewound)
	return nil
}

// rebuild reads the spans of a batch again and returns it if it is the same as when it was sealed.
func (a *Agent) rebuild(b journal.Batch, stored []byte) (*openBatch, error) {
	var with settings
	if err := json.Unmarshal(stored, &with); err != nil {
		return nil, fmt.Errorf("parse settings %d: %w", b.Settings, err)
	}
	plan, err := decode.Compile(with.Decode)
	if err != nil {
		return nil, fmt.Errorf("settings %d: %w", b.Settings, err)
	}
	r := &rebuilder{
		agent: a, with: with, plan: plan, keyed: newFieldKey(with.PartitionKey),
		partition: b.Partition, out: &openBatch{partition: b.Partition},
	}
	for i := range b.Spans {
		if err := r.span(&b.Spans[i]); err != nil {
			return nil, err
		}
	}
	if n := len(r.out.records); int32(n) != b.Count || r.out.checksum != b.Checksum {
		return nil, fmt.Errorf("%d records are not the %d that were sealed", n, b.Count)
	}
	return r.out, nil
}

// rebuilder builds one batch again.
type rebuilder struct {
	agent     *Agent
	with      settings
	plan      *decode.Plan
	keyed     fieldKey
	partition int32
	dec       *decode.Decoder
	stats     decode.Stats
	out       *openBatch
	// reached is true when the last record of a span has come.
	reached bool
}

// span takes the records of one span.
func (r *rebuilder) span(span *journal.Span) error {
	s := r.agent.streams[span.File]
	if s == nil {
		return fmt.Errorf("file %d: %w", span.File, tail.ErrNotFound)
	}
	file, err := r.agent.files.Open(uint32(span.File), span.Clean)
	if err != nil {
		return err
	}
	defer file.Close()
	if span.Carry {
		r.dec.NextFile(span.Clean.Offset)
	} else {
		r.dec = decode.New(r.plan, span.Clean.Offset, &r.stats)
	}
	end := int64(1 << 62) // a part of an over-long line comes only with bytes behind it
	if span.Flush {
		end = span.Last.End
	}
	r.reached = false
	from := &stream{
		ref: s.ref, file: file, from: s.from, key: s.key, desc: newDescriber(r.with.Metadata, r.with.Node, s.from),
	}
	rest, err := r.feed(from, span, end)
	if err == nil && span.Flush {
		r.dec.Flush(rest)
		r.take(from, span)
	}
	return err
}

// feed decodes the file up to the span's last record, or else up to end, and returns what was left of it without a
// newline.
func (r *rebuilder) feed(from *stream, span *journal.Span, end int64) ([]byte, error) {
	file := from.file
	buf := make([]byte, r.plan.MaxRecordBytes()+readSlack)
	for {
		if r.reached && !span.Flush {
			return nil, nil
		}
		n, err := file.Read(buf[:min(int64(len(buf)), end-file.Position())])
		if errors.Is(err, io.EOF) || n == 0 && err == nil {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		r.dec.Feed(buf[:n], file.Position())
		r.take(from, span)
		if r.dec.Consumed() == 0 {
			if n < len(buf) {
				return slices.Clone(buf[:n]), nil
			}
			r.dec.FeedFull()
			r.take(from, span)
		}
		consumed := r.dec.Consumed()
		file.Advance(consumed, buf[:consumed])
	}
}

// take adds the decoder's records that belong to the span.
func (r *rebuilder) take(from *stream, span *journal.Span) {
	var rec decode.Record
	for r.dec.Next(&rec) {
		r.reached = r.reached || span.Count > 0 && rec.Position.Compare(span.Last) >= 0
		within := rec.Position.Compare(span.First) >= 0 && rec.Position.Compare(span.Last) <= 0
		if span.Count == 0 || !within || !from.from.wants(rec.Stream) {
			continue
		}
		key, value := from.key, rec.Value
		if r.with.PartitionKey.Type == KeyField {
			key = r.keyed.of(rec.Value)
			if route(key, r.with.Assignment, r.with.Partitions) != r.partition {
				continue
			}
		}
		if from.desc.envelope {
			value = from.desc.appendEnvelope(nil, &rec)
		}
		r.out.push(sarama.Record{Key: key, Value: r.out.keep(value), Headers: from.desc.describe(&rec)}, rec.Time)
	}
}
