package agent

import (
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
)

// rebuildTries is how often the files of a pending batch are looked for again before it counts as lost.
const rebuildTries = 3

// rebuilt are the pending batches, or what could be built again of them, and what can't be.
type rebuilt struct {
	pending []journal.Batch
	batches []*openBatch
	gone    []unbuilt
}

// unbuilt are records that can't be sent again, and why.
type unbuilt struct {
	partition, records int32
	err                error
}

// errTooLarge is why a batch is given up whose record is too large for the topic: sent again, it would end every
// session.
var errTooLarge = errors.New("raise max.message.bytes of the topic, or lower decode.maxRecordBytes")

// rebuildAll builds all pending batches again. A file that merely can't be read now is an error.
func (a *Agent) rebuildAll() (rebuilt, error) {
	var out rebuilt
	state := a.journal.State()
	for _, b := range state.Pending {
		if large := a.tooLarge; large != nil && large.Partition == b.Partition && large.FirstSequence == b.FirstSequence {
			out.gone = append(out.gone, unbuilt{b.Partition, b.Count, errTooLarge})
			continue
		}
		kept, open, err := a.find(b, state.Settings[b.Settings])
		if temporary(err) {
			return rebuilt{}, fmt.Errorf("read again what is pending on partition %d: %w", b.Partition, err)
		}
		if err != nil {
			out.gone = append(out.gone, unbuilt{b.Partition, max(b.Count-kept.Count, 1), err})
		}
		if kept.Count == 0 {
			continue
		}
		failpoint.Hit(failpoint.RecoverRebuilt)
		out.pending, out.batches = append(out.pending, kept), append(out.batches, open)
	}
	return out, nil
}

// giveUp counts records that are neither in Kafka nor can be sent again.
func (a *Agent) giveUp(gone []unbuilt) {
	for _, g := range gone {
		a.doubt = true // what follows it can't keep its sequence number
		reason := lostUnavailable
		if errors.Is(g.err, errTooLarge) {
			reason, a.tooLarge = lostTooLarge, nil
		}
		a.lost(reason, int64(g.records), 0)
		a.log.Error(g.err, "Records are lost: they are not in Kafka and can't be sent again", "partition", g.partition,
			"records", g.records)
	}
}

// find builds b, which was sealed under stored settings, again, or what is left of it. A file that was renamed,
// compressed or truncated since the last scan is looked for again.
func (a *Agent) find(b journal.Batch, stored []byte) (kept journal.Batch, open *openBatch, err error) {
	kept, open, err = a.rebuild(b, stored)
	for range rebuildTries {
		if !elsewhere(err) {
			break
		}
		if err := a.scan(); err != nil {
			return journal.Batch{}, nil, err
		}
		kept, open, err = a.rebuild(b, stored)
	}
	return kept, open, err
}

// elsewhere tells whether the next scan may find the bytes elsewhere.
func elsewhere(err error) bool { return temporary(err) || errors.Is(err, tail.ErrReplaced) }

// errSought is why a file that was truncated or cut off can't be read again for now.
var errSought = errors.New("what is left of it is still looked for")

// temporary tells whether a file may be readable later: it is being renamed, its copy is looked for, or its file system
// refuses for now.
func temporary(err error) bool {
	var refused syscall.Errno
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errSought) || errors.As(err, &refused)
}

// rebuild reads the spans of a batch again and returns it if it is the same as when it was sealed. With an error it
// returns what is left of it.
func (a *Agent) rebuild(b journal.Batch, stored []byte) (kept journal.Batch, open *openBatch, err error) {
	var with settings
	if err := json.Unmarshal(stored, &with); err != nil {
		return journal.Batch{}, nil, fmt.Errorf("parse settings %d: %w", b.Settings, err)
	}
	plan, err := decode.Compile(with.Decode)
	if err != nil {
		return journal.Batch{}, nil, fmt.Errorf("settings %d: %w", b.Settings, err)
	}
	r := &rebuilder{
		agent: a, with: with, plan: plan, keyed: newFieldKey(with.PartitionKey),
		partition: b.Partition, out: &openBatch{partition: b.Partition},
	}
	kept = b
	kept.Spans = nil
	for i := range b.Spans {
		span := b.Spans[i]
		some, missing := r.available(&span)
		if temporary(missing) {
			return journal.Batch{}, nil, missing
		}
		err = errors.Join(err, missing)
		if some {
			kept.Spans = append(kept.Spans, span)
		}
	}
	kept.Count, kept.Checksum = int32(len(r.out.records)), r.out.checksum
	if err == nil && (kept.Count != b.Count || kept.Checksum != b.Checksum) {
		return journal.Batch{}, nil, errors.New("the records are not those that were sealed")
	}
	return kept, r.out, err
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
	// last is the place of the last record of out.
	last decode.Position
	// reached is true when the last record of a span has come.
	reached bool
}

// available takes the records of one span and tells whether there are any, or the beginning of one. If they are not all
// there, it returns an error, and makes of the span what is there: a truncated log may have been copied in the middle
// of it, and the file with the beginning of its first record may be gone. Of such a record the rest comes.
func (r *rebuilder) available(span *journal.Span) (some bool, missing error) {
	before := *r.out
	if span.Carry && r.dec == nil {
		span.Carry, missing = false, fmt.Errorf("the beginning of a record: %w", tail.ErrNotFound)
	}
	err := r.span(span)
	n := int32(len(r.out.records) - len(before.records))
	switch {
	case err == nil && n == span.Count:
		return true, missing
	case err == nil && n > 0 && n < span.Count:
		if !r.reached { // what comes next can't go on from here
			r.dec, span.Flush = nil, false
		}
		err = fmt.Errorf("%d of %d records: %w", n, span.Count, tail.ErrNotFound)
		span.Last, span.Count = r.last, n
		return true, errors.Join(err, missing)
	case err == nil:
		err = fmt.Errorf("%d records are not the %d that were sealed", n, span.Count)
	}
	*r.out, r.dec = before, nil
	return false, err
}

// span takes the records of one span.
func (r *rebuilder) span(span *journal.Span) error {
	s := r.agent.streams[span.File]
	if s == nil {
		return fmt.Errorf("file %d: %w", span.File, tail.ErrNotFound)
	}
	file, err := r.agent.files.Open(uint32(span.File), span.Clean)
	if err != nil {
		return r.sought(span, err)
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
	err = r.sought(span, err)
	if err == nil && span.Flush && file.Position()+int64(len(rest)) >= end {
		r.dec.Flush(rest)
		r.take(from, span)
	}
	return err
}

// sought adds to err that the next scan may find what is left of the file.
func (r *rebuilder) sought(span *journal.Span, err error) error {
	if errors.Is(err, tail.ErrReplaced) && r.agent.files.Sought(uint32(span.File)) {
		return fmt.Errorf("file %d: %w: %w", span.File, err, errSought)
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
		r.last = rec.Position
		r.out.push(sarama.Record{Key: key, Value: r.out.keep(value), Headers: from.desc.describe(&rec)}, rec.Time)
	}
}
