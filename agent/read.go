package agent

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

// feed is a piece of a file that its stream's decoder was fed with and whose records are being put into batches. It
// outlives one call of read when a partition has all the batches that it may have in flight.
type feed struct {
	active bool
	// chunk was read into the memory of from.
	chunk []byte
	from  *openBatch
	// record is the one to be put next, if placed is false.
	record decode.Record
	placed bool
	// last is true when the file ended with this piece.
	last bool
}

// readAll reads each ready file once, so that a busy one does not hold up the others. It reports whether there may be
// more to read at once.
func (a *Agent) readAll(now time.Time) (more bool, err error) {
	for _, s := range a.order {
		if !s.ready || s.waiting || s.limit.delay(now) > 0 {
			continue
		}
		if len(a.unsynced) >= maxUnsynced {
			return true, nil
		}
		progress, err := a.read(s, now)
		if err != nil {
			return more, err
		}
		more = more || progress
	}
	return more, nil
}

// read moves one read's worth of a file into batches.
func (a *Agent) read(s *stream, now time.Time) (progress bool, err error) {
	if !s.feed.active {
		if progress, err = a.fill(s, now); err != nil || !s.feed.active {
			return progress, err
		}
	}
	return a.drain(s, now)
}

// fill reads a chunk into the memory of an open batch and feeds the decoder with it.
func (a *Agent) fill(s *stream, now time.Time) (progress bool, err error) {
	b := a.batchFor(s, now)
	if b == nil {
		return false, nil
	}
	if len(b.room()) < a.minRead() {
		if len(b.records) > 0 {
			return a.sealIfFree(b, now)
		}
		b.used = 0 // what was read into it was dropped, or is held by the decoder
	}
	n, err := s.file.Read(b.room())
	switch {
	case errors.Is(err, io.EOF), s.gone, errors.Is(err, tail.ErrReplaced) && s.file.Final():
		return false, a.atEnd(s, now)
	case errors.Is(err, io.ErrUnexpectedEOF) && s.file.Final():
		a.report(s.file.Path(), err)
		return false, a.atEnd(s, now)
	case errors.Is(err, tail.ErrReplaced):
		s.ready, a.scanAt = false, now // the scan brings the file's new incarnation
		return true, nil
	case err != nil:
		s.ready, s.refused = false, true
		a.report(s.file.Path(), err)
		return false, nil
	}
	full := n == len(b.room())
	s.dec.Feed(b.room()[:n], s.file.Position())
	s.feed = feed{active: true, chunk: b.room()[:n], from: b}
	s.readAt, s.grewAt = now, now
	s.feed.placed = !s.dec.Next(&s.feed.record)
	if s.feed.placed && s.dec.Consumed() == 0 {
		return a.incomplete(s, full, now)
	}
	return true, nil
}

// incomplete is called when a chunk holds no whole line. With the memory of an empty batch it may fit; where it does
// not, the decoder takes a piece of it, by its policy for over-long records.
func (a *Agent) incomplete(s *stream, full bool, now time.Time) (bool, error) {
	b := s.feed.from
	s.feed.active = false
	switch {
	case !full:
		return false, a.atEnd(s, now)
	case len(b.records) > 0:
		return a.sealIfFree(b, now)
	case b.used > 0:
		b.used = 0 // what lies before was dropped: with that room the line may be whole, and its framing be read
		return true, nil
	}
	s.dec.FeedFull()
	s.feed.active = true
	return true, nil
}

// drain puts the records of the stream's feed into batches until it is used up or there is no room.
func (a *Agent) drain(s *stream, now time.Time) (progress bool, err error) {
	f := &s.feed
	for !f.placed || s.dec.Next(&f.record) {
		f.placed = false
		// What is not behind the last record is in a batch: decoding had to start before it.
		if f.record.Position.Compare(s.last) > 0 && s.from.wants(f.record.Stream) {
			switch placed, err := a.put(s, now); {
			case err != nil:
				return progress, err
			case !placed:
				f.from.pinned = true
				if a.open[f.from.partition] == f.from && len(f.from.records) == 0 {
					delete(a.open, f.from.partition)
				}
				return progress, nil
			}
			progress = true
		}
		f.placed = true
	}
	a.finish(s, now)
	return true, nil
}

// finish moves the file's position behind the feed.
func (a *Agent) finish(s *stream, now time.Time) {
	f := &s.feed
	f.active = false
	consumed := s.dec.Consumed()
	if offset := s.dec.Clean(); offset > s.clean.Offset {
		s.clean, s.moved = s.cleanMark(offset, f.chunk), true
	}
	if s.before != nil && !s.dec.CarriesOver() {
		s.before = nil
	}
	s.file.Advance(consumed, f.chunk[:consumed])
	if a.open[f.from.partition] == f.from && !s.perRecord {
		f.from.used += consumed
	}
	s.limit.spend(now, consumed, 0)
	a.metrics.readBytes.Add(float64(consumed))
	a.totals.readBytes += int64(consumed)
	if f.last {
		a.ended(s)
	}
}

// put adds the feed's record to the batch of its partition, if there is room. Its value stays where it is if it lies in
// the memory of that batch.
func (a *Agent) put(s *stream, now time.Time) (bool, error) {
	rec := &s.feed.record
	e := &a.entry
	*e = entry{from: s, rec: rec, key: s.key, value: rec.Value, headers: s.desc.describe(rec)}
	if rec.Carried {
		e.carried = s.before
	} else {
		e.clean = s.cleanMark(rec.Clean, s.feed.chunk)
	}
	partition := s.partition
	if s.perRecord {
		e.key = a.keyed.of(rec.Value)
		partition = route(e.key, a.cfg.Assignment, a.topic.Partitions)
	}
	if s.desc.envelope {
		a.scratch = s.desc.appendEnvelope(a.scratch[:0], rec)
		e.value = a.scratch
	}
	b, err := a.batchWithRoom(e, partition, now)
	if b == nil || err != nil {
		return false, err
	}
	if b != s.feed.from || !rec.InChunk || s.desc.envelope {
		e.value = b.keep(e.value)
	}
	if s.perRecord {
		e.key = b.keep(e.key)
	}
	b.add(e)
	s.last = rec.Position
	s.limit.spend(now, 0, 1)
	a.metrics.records.Inc()
	a.totals.records++
	return true, nil
}

// atEnd is called when there is nothing more to read for now. If the file can no longer grow, what is left of it is
// taken: a last line without a newline, and what the decoder holds. That goes over to the file that took the name, if
// there is one. If nothing is left, that file need not wait.
func (a *Agent) atEnd(s *stream, now time.Time) error {
	s.ready = false
	if s.isEnded {
		return nil
	}
	final := s.gone || s.file.Final()
	if !final && (s.after == nil || s.dec.Pending() > 0 || s.file.Lag() > 0 || s.file.Cut()) {
		return nil
	}
	if !final {
		a.release(s)
		return nil
	}
	rest, err := s.file.Rest()
	if err != nil {
		return fmt.Errorf("read the end of %s: %w", s.file.Path(), err)
	}
	carry := s.after != nil && !s.after.file.Afresh() && s.before == nil && len(rest) == 0
	if len(rest) == 0 && (carry || s.dec.Pending() == 0) {
		a.ended(s)
		return nil
	}
	return a.flush(s, rest, true, now)
}

// flush completes what the decoder of s holds, with rest behind it.
func (a *Agent) flush(s *stream, rest []byte, last bool, now time.Time) error {
	b := a.batchFor(s, now)
	if b == nil {
		s.ready = true // again when there is room
		return nil
	}
	s.dec.Flush(rest)
	s.feed = feed{active: true, chunk: rest, from: b, placed: true, last: last}
	s.ready = true
	_, err := a.drain(s, now)
	return err
}

// ended hands the name's next file its turn, and with it what the decoder holds.
func (a *Agent) ended(s *stream) {
	s.isEnded, s.ready = true, false
	if next := s.after; next != nil && s.dec.Pending() > 0 {
		if next.clean.Offset == 0 { // else what s holds was completed there in an earlier life
			s.dec.NextFile(0)
			next.dec, next.before, next.grewAt = s.dec, s, a.now()
		}
		s.into = next
		s.dec = decode.New(a.plan, s.file.Position(), &a.decoded)
	}
	a.release(s)
}

// release lets the file be read that took the name of s.
func (a *Agent) release(s *stream) {
	if next := s.after; next != nil {
		next.waiting, next.ready, s.after = false, true, nil
	}
}
