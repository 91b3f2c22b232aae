package journal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// MaxPending is the most batches that may be pending on one partition. A broker recognises the last five batches of a
// producer (KIP-98); what is pending after a crash must be among them, or sending it again would be refused. An Ack
// stands in the log before the Seal it made room for, so a Seal that reached the disk did so with that Ack.
const MaxPending = 5

func (r Seal) apply(s *State) error {
	if !s.HasProducer {
		return errors.New("seal without a producer")
	}
	for _, m := range r.Moves {
		if err := m.check(s); err != nil {
			return err
		}
	}
	for i, b := range r.Batches {
		if err := b.check(s); err != nil {
			return err
		}
		if err := r.checkSpans(s, b); err != nil {
			return err
		}
		ahead, next := sealedAhead(r.Batches[:i], b.Partition, s.Partition(b.Partition).NextSequence)
		if err := s.checkRoom(b, ahead, next); err != nil {
			return err
		}
	}
	for _, b := range r.Batches {
		s.push(b)
		s.SealedAt = b.Time.UnixMilli()
	}
	for _, m := range r.Moves {
		m.set(s)
	}
	return nil
}

// sealedAhead counts the batches of the partition and returns the sequence behind them, next if there are none.
func sealedAhead(batches []Batch, partition, next int32) (int, int32) {
	n := 0
	for _, b := range batches {
		if b.Partition == partition {
			n++
			next = AddSequence(b.FirstSequence, b.Count)
		}
	}
	return n, next
}

// checkRoom makes sure that b continues its partition at sequence next and may be pending beside ahead others that are
// not in s yet.
func (s *State) checkRoom(b Batch, ahead int, next int32) error {
	if b.FirstSequence != next {
		return fmt.Errorf("partition %d: batch starts at sequence %d instead of %d", b.Partition, b.FirstSequence, next)
	}
	for i := range s.Pending {
		if s.Pending[i].Partition == b.Partition {
			ahead++
		}
	}
	if ahead >= MaxPending {
		return fmt.Errorf("partition %d: %d batches are pending already", b.Partition, ahead)
	}
	return nil
}

// check makes sure that b is consistent in itself and names files and settings that s knows.
func (b Batch) check(s *State) error {
	if b.Partition < 0 || b.Count <= 0 {
		return fmt.Errorf("partition %d: batch of %d records", b.Partition, b.Count)
	}
	if _, ok := s.Settings[b.Settings]; !ok {
		return fmt.Errorf("partition %d: settings %d are unknown", b.Partition, b.Settings)
	}
	var count int64
	for i, span := range b.Spans {
		_, known := s.Files[span.File]
		switch {
		case !known:
			return fmt.Errorf("partition %d: file %d is unknown", b.Partition, span.File)
		case span.Count < 0, span.Last.Compare(span.First) < 0:
			return fmt.Errorf("partition %d: span %d of file %d is invalid", b.Partition, i, span.File)
		case span.Carry && i == 0:
			return fmt.Errorf("partition %d: the first span has nothing to carry on from", b.Partition)
		}
		count += int64(span.Count)
	}
	if count != int64(b.Count) {
		return fmt.Errorf("partition %d: spans hold %d of %d records", b.Partition, count, b.Count)
	}
	return nil
}

// checkSpans makes sure that no record of b was sealed before, and that none will be sealed again: each span lies
// between its file's position now and where the Seal moves it.
func (r Seal) checkSpans(s *State, b Batch) error {
	for _, span := range b.Spans {
		from := s.Files[span.File].Sealed
		to := from
		for _, m := range r.Moves {
			if m.File == span.File {
				to = m.Sealed
			}
		}
		if span.Count > 0 && (span.First.Compare(from) <= 0 || span.Last.Compare(to) > 0) {
			return fmt.Errorf("file %d: span %v to %v is not between the positions %v and %v",
				span.File, span.First, span.Last, from, to)
		}
	}
	return nil
}

// push appends a checked batch.
func (s *State) push(b Batch) {
	b.Time = time.UnixMilli(b.Time.UnixMilli()).UTC()
	p := s.Partition(b.Partition)
	p.NextSequence = AddSequence(b.FirstSequence, b.Count)
	s.Partitions[b.Partition] = p
	s.Pending = append(s.Pending, b)
}

func (r Ack) apply(s *State) error {
	i := slices.IndexFunc(s.Pending, func(b Batch) bool { return b.Partition == r.Partition })
	if i < 0 {
		return fmt.Errorf("partition %d: sequence %d acknowledged, but nothing is pending", r.Partition, r.FirstSequence)
	}
	b := s.Pending[i]
	if b.FirstSequence != r.FirstSequence || b.Count != r.Count {
		return fmt.Errorf("partition %d: acknowledged sequence %d (%d records) instead of %d (%d records)",
			r.Partition, r.FirstSequence, r.Count, b.FirstSequence, b.Count)
	}
	if r.BaseOffset < -1 || r.BaseOffset > math.MaxInt64-int64(r.Count) {
		return fmt.Errorf("partition %d: acknowledged at offset %d", r.Partition, r.BaseOffset)
	}
	s.Pending = slices.Delete(s.Pending, i, i+1)
	if r.BaseOffset >= 0 {
		p := s.Partition(r.Partition)
		p.AckedOffset = r.BaseOffset + int64(r.Count) - 1
		s.Partitions[r.Partition] = p
	}
	if b.Settings != s.NewestSettings {
		s.dropUnusedSettings()
	}
	return nil
}

func (r Renew) apply(s *State) error {
	if err := r.checkProducer(s); err != nil {
		return err
	}
	// The new batches are tried on a state of their own, so that s stays as it is when one of them is refused.
	next := newState()
	next.Files, next.Settings, next.Producer = s.Files, s.Settings, r.Producer
	if err := next.addRenewed(s.Pending, r.Batches); err != nil {
		return err
	}
	s.keepOffsets(next)
	s.Producer, s.HasProducer, s.Partitions, s.Pending = next.Producer, true, next.Partitions, next.Pending
	s.dropUnusedSettings()
	return nil
}

// checkProducer makes sure that no sequence of the new producer was used: its id is new, or its epoch higher (KIP-360).
func (r Renew) checkProducer(s *State) error {
	p, old := r.Producer, s.Producer
	if p.ID < 0 || p.Epoch < 0 {
		return fmt.Errorf("producer %d epoch %d: invalid", p.ID, p.Epoch)
	}
	had := s.HasProducer || old != Producer{}
	if had && p.ID == old.ID && p.ClusterID == old.ClusterID && p.Epoch <= old.Epoch {
		return fmt.Errorf("producer %d epoch %d: its sequences were used already", p.ID, p.Epoch)
	}
	return nil
}

// addRenewed appends batches to s if each has spans of one in pending, in the same order.
func (s *State) addRenewed(pending, batches []Batch) error {
	for _, b := range batches {
		i := slices.IndexFunc(pending, func(p Batch) bool { return hasSpans(p.Spans, b.Spans) })
		if i < 0 {
			return fmt.Errorf("partition %d: a renewed batch was not pending", b.Partition)
		}
		pending = pending[i+1:]
		if err := b.check(s); err != nil {
			return err
		}
		if err := s.checkRoom(b, 0, s.Partition(b.Partition).NextSequence); err != nil {
			return err
		}
		s.push(b)
	}
	return nil
}

// hasSpans tells whether some are among all, or the beginnings of them, in the same order.
func hasSpans(all, some []Span) bool {
	for _, span := range all {
		if len(some) > 0 && span.File == some[0].File && span.First == some[0].First &&
			span.Last.Compare(some[0].Last) >= 0 {
			some = some[1:]
		}
	}
	return len(some) == 0
}

// keepOffsets carries the acknowledged offsets over to next: under another topic id they mean nothing.
func (s *State) keepOffsets(next *State) {
	if s.Producer.ClusterID != next.Producer.ClusterID || s.Producer.TopicID != next.Producer.TopicID {
		return
	}
	for id, p := range s.Partitions {
		if p.AckedOffset >= 0 {
			next.Partitions[id] = Partition{next.Partition(id).NextSequence, p.AckedOffset}
		}
	}
}
