package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
)

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

// recover settles the batches that were sent, or about to be, when the last session ended. Each is built again from its
// files and sent again with its old sequence numbers: a broker that has it already answers so, once all replicas have
// it, and stores nothing. Only where that can't work they are sent under a new producer id, once it is known that they
// are not in Kafka.
func (a *Agent) recover(ctx context.Context) error {
	state := a.journal.State()
	producer := state.Producer
	moved := producer.TopicID != a.topic.ID || producer.ClusterID != a.topic.ClusterID
	if state.HasProducer && moved {
		a.doubt = true
		a.log.Info(movedFrom(producer)+": starting with a new producer id", "topic", a.topic.Name,
			"clusterID", a.topic.ClusterID, "topicID", a.topic.ID, "pending", len(state.Pending))
	}
	known := state.HasProducer && !moved
	var leaders map[int32]int32
	if known {
		var err error
		if leaders, err = a.settle(ctx, state); err != nil {
			return err
		}
	}
	built, err := a.rebuildAll()
	if err != nil {
		return err
	}
	if known && (a.doubt || len(built.gone) > 0) {
		if err := a.confirm(ctx, a.journal.State()); err != nil {
			return err
		}
		if built, err = a.rebuildAll(); err != nil {
			return err
		}
	}
	a.giveUp(built.gone)
	if a.doubt || !state.HasProducer {
		if err := a.renew(ctx, built.pending); err != nil {
			return err
		}
		leaders = nil
	}
	return a.resend(built.batches, leaders)
}

func movedFrom(p journal.Producer) string {
	if p.Loose() {
		return "Delivered at least once until now, what is pending may come twice"
	}
	return "This is another topic than before"
}

// settle asks the brokers for the last sequence they have of us, and returns it by partition. Where the pending batches
// do not follow it, sequences can't go on. Where the broker has forgotten us, it would take any batch again: the
// records themselves tell which are there.
func (a *Agent) settle(ctx context.Context, state *journal.State) (map[int32]int32, error) {
	leaders := map[int32]int32{}
	a.doubt = a.doubt || a.cfg.Delivery == AtLeastOnce // these sequences end here: what follows is never settled
	for _, pending := range byPartition(state.Pending) {
		partition := pending[0].Partition
		last, found, err := a.client.LastSequence(ctx, a.topic.Name, partition, state.Producer.ID)
		if errors.Is(err, kafka.ErrNotAuthorized) {
			a.log.Info("Pending batches are sent again without asking what is stored", "reason", err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		failpoint.Hit(failpoint.RecoverSettled)
		if found {
			leaders[partition] = last
		}
		switch {
		case !found:
			_, err = a.acknowledgeStored(ctx, state, pending)
		case endingWith(pending, last) < 0 && journal.AddSequence(last, 1) != pending[0].FirstSequence:
			a.doubt = true
			a.log.Info("The broker's sequence number does not lead to the pending ones", "partition", partition,
				"last", last, "pending", pending[0].FirstSequence)
		}
		if err != nil {
			return nil, err
		}
	}
	return leaders, nil
}

// confirm acknowledges the pending batches that Kafka has for good, before the others get new sequence numbers or are
// given up. What only a leader has may still be lost with it: then it is not known yet.
func (a *Agent) confirm(ctx context.Context, state *journal.State) error {
	for _, pending := range byPartition(state.Pending) {
		partition := pending[0].Partition
		last, found, err := a.client.LastSequence(ctx, a.topic.Name, partition, state.Producer.ID)
		if errors.Is(err, kafka.ErrNotAuthorized) {
			continue // settle has said so
		}
		if err != nil {
			return err
		}
		stored, err := a.acknowledgeStored(ctx, state, pending)
		if err != nil {
			return err
		}
		if found && endingWith(pending, last) >= stored {
			return fmt.Errorf("partition %d: its leader has pending batches that are not replicated yet", partition)
		}
	}
	return nil
}

// acknowledgeStored acknowledges those of a partition's pending batches that are found among its records, and counts
// them.
func (a *Agent) acknowledgeStored(ctx context.Context, state *journal.State, pending []journal.Batch) (int, error) {
	partition := pending[0].Partition
	after := state.Partition(partition).AckedOffset + 1
	last, found, err := a.client.ScanProducer(ctx, a.topic.Name, partition, after, state.Producer.ID)
	if err != nil || !found {
		return 0, err
	}
	stored := endingWith(pending, last) + 1
	for _, b := range pending[:stored] {
		ack := journal.Ack{Partition: partition, FirstSequence: b.FirstSequence, Count: b.Count, BaseOffset: -1}
		if err := a.journal.Append(ack); err != nil {
			return 0, fmt.Errorf("journal acknowledgement: %w", err)
		}
		failpoint.Hit(failpoint.RecoverAcked)
		a.totals.acked += int64(b.Count)
		a.metrics.ackedRecords.Add(float64(b.Count))
	}
	return stored, nil
}

// byPartition returns the pending batches of each partition that has some, by its number.
func byPartition(pending []journal.Batch) [][]journal.Batch {
	by := map[int32][]journal.Batch{}
	for _, b := range pending {
		by[b.Partition] = append(by[b.Partition], b)
	}
	var out [][]journal.Batch
	for _, partition := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[partition])
	}
	return out
}

// endingWith returns the index of the batch whose last record has a sequence number, -1 if there is none.
func endingWith(pending []journal.Batch, last int32) int {
	return slices.IndexFunc(pending, func(b journal.Batch) bool {
		return journal.AddSequence(b.FirstSequence, b.Count-1) == last
	})
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
	producer := journal.Producer{ID: id, Epoch: epoch, ClusterID: a.topic.ClusterID, TopicID: a.topic.ID}
	if a.cfg.Delivery == AtLeastOnce {
		producer.TopicID = "" // so that it is a loose one
	}
	renewed := journal.Renew{Producer: producer, Batches: journal.Renumber(pending)}
	if err := a.journal.Append(renewed); err != nil {
		return fmt.Errorf("journal producer: %w", err)
	}
	failpoint.Hit(failpoint.RecoverRenewed)
	a.doubt = false
	a.log.Info("Took a producer id", "producerID", id, "epoch", epoch, "pending", len(pending))
	return nil
}

// resend sends what is pending, with the sequence numbers that the journal has now. Of what a leader has, it sends only
// the last batch: a broker recognises it when it comes again, but not always those before it, of which it keeps nothing
// on disk. They are stored when that one is.
func (a *Agent) resend(batches []*openBatch, leaders map[int32]int32) error {
	if err := a.journal.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	failpoint.Hit(failpoint.RecoverSynced)
	pending := a.journal.State().Pending
	unsent := map[int32]int{}
	for _, of := range byPartition(pending) {
		if last, ok := leaders[of[0].Partition]; ok {
			unsent[of[0].Partition] = max(0, endingWith(of, last))
		}
	}
	earlier := map[int32][]*sealed{}
	for i, b := range pending {
		if now := a.wall(); b.Time.After(now.Add(time.Minute)) {
			b.Time = now.Truncate(time.Millisecond) // the clock was set back since: brokers refuse what is far ahead of theirs
		}
		open := batches[i]
		s := &sealed{journal: b, open: open, bytes: open.size, at: a.now()}
		open.pinned = true // its memory is not of the usual size
		a.inFlight[b.Partition]++
		if len(earlier[b.Partition]) < unsent[b.Partition] {
			earlier[b.Partition] = append(earlier[b.Partition], s)
			continue
		}
		s.earlier, earlier[b.Partition], unsent[b.Partition] = earlier[b.Partition], nil, 0
		s.kafka = a.kafkaBatch(&s.journal, open.records, open.times)
		s.kafka.Opaque = s
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
		s.waiting, s.after, s.into = false, nil, nil
	}
	a.chain() // what had its turn may have to wait again
	failpoint.Hit(failpoint.RecoverRewound)
	return nil
}
