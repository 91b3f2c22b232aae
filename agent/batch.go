package agent

import (
	"hash/crc32"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
)

// recordOverhead is the most that Kafka's record format (KIP-98) adds to a key and a value without headers; a header
// adds headerOverhead.
const (
	recordOverhead = 32
	headerOverhead = 10
	batchOverhead  = 61
	sideBlock      = 32 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openBatch collects the records of one partition. Files are read straight into its memory, so that the records of
// plain lines are slices of it and nothing is copied; records that were put together go to the side.
type openBatch struct {
	partition int32
	memory    []byte
	used      int
	side      []byte
	records   []sarama.Record
	times     []time.Time
	size      int
	checksum  uint32
	spans     []journal.Span
	streams   []*stream
	opened    time.Time
	// pinned memory is still referred to by a stream that waits, and must not be used again.
	pinned bool
}

// room is the memory that the next read may fill.
func (b *openBatch) room() []byte { return b.memory[b.used:] }

// entry is one record on its way into a batch.
type entry struct {
	from    *stream
	rec     *decode.Record
	key     []byte
	headers []*sarama.RecordHeader
	value   []byte
	// clean is where decoding starts to get the record again.
	clean tail.Mark
	// carried says that the record began in the file before its stream's, from which decoding has to start.
	carried *stream
}

func (e *entry) record() sarama.Record {
	return sarama.Record{Key: e.key, Value: e.value, Headers: e.headers}
}

// recordSize is the most that r takes in a batch.
func recordSize(r sarama.Record) int {
	size := recordOverhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += headerOverhead + len(h.Key) + len(h.Value)
	}
	return size
}

// add puts a record into the batch. Its value must be stable: in the batch's memory or side.
func (b *openBatch) add(e *entry) {
	b.push(e.record(), e.rec.Time)
	b.extend(e)
}

// push appends a record, whose place in its file is known already.
func (b *openBatch) push(r sarama.Record, t time.Time) {
	b.records = append(b.records, r)
	b.times = append(b.times, t)
	b.size += recordSize(r)
	b.checksum = crc32.Update(crc32.Update(b.checksum, castagnoli, r.Key), castagnoli, r.Value)
}

// extend makes the record part of the last span, or of a new one if it comes from another file or behind a flush.
func (b *openBatch) extend(e *entry) {
	if n := len(b.spans); n > 0 {
		last := &b.spans[n-1]
		if last.File == e.from.ref && (!last.Flush || e.rec.Flushed && last.Last.End == e.rec.Position.End) {
			last.Last, last.Flush = e.rec.Position, e.rec.Flushed
			last.Count++
			return
		}
	}
	span := journal.Span{
		File: e.from.ref, Clean: e.clean,
		First: e.rec.Position, Last: e.rec.Position, Count: 1, Flush: e.rec.Flushed,
	}
	if e.carried != nil {
		b.spans = append(b.spans, e.carried.carrySpan())
		b.touch(e.carried)
		span.Carry = true
	}
	b.spans = append(b.spans, span)
	b.touch(e.from)
}

func (b *openBatch) touch(s *stream) {
	if !slices.Contains(b.streams, s) {
		b.streams = append(b.streams, s)
	}
}

// keep copies value to the side.
func (b *openBatch) keep(value []byte) []byte {
	b.reserve(len(value))
	start := len(b.side)
	b.side = append(b.side, value...)
	return b.side[start:len(b.side):len(b.side)]
}

// reserve makes room for n bytes at the side; what is there already stays where it is.
func (b *openBatch) reserve(n int) {
	if cap(b.side)-len(b.side) < n {
		b.side = make([]byte, 0, max(n, sideBlock))
	}
}

// fits tells whether one more record of that size keeps the batch within its bounds.
func (b *openBatch) fits(size, maxBytes, maxRecords int) bool {
	return len(b.records) == 0 || len(b.records) < maxRecords && b.size+size <= maxBytes
}

// seal returns what the journal keeps of the batch, whose records without a time of their own get date.
func (b *openBatch) seal(partition, sequence int32, settings uint32, date time.Time) journal.Batch {
	return journal.Batch{
		Partition:     partition,
		FirstSequence: sequence,
		Count:         int32(len(b.records)),
		Time:          date.Truncate(time.Millisecond),
		Settings:      settings,
		Checksum:      b.checksum,
		Spans:         b.spans,
	}
}

// stamp sets the offsets and times of the records relative to the batch. A record's own time counts unless it lies in
// the future, which brokers refuse (message.timestamp.after.max.ms).
func stamp(records []sarama.Record, times []time.Time, base time.Time) (latest time.Time) {
	latest = base
	for i := range records {
		records[i].OffsetDelta = int64(i)
		own := times[i]
		if own.IsZero() || own.After(base.Add(time.Minute)) {
			records[i].TimestampDelta = 0
			continue
		}
		records[i].TimestampDelta = own.Truncate(time.Millisecond).Sub(base)
		if own.After(latest) {
			latest = own
		}
	}
	return latest
}

// batchPool keeps the memory of batches that were acknowledged for the next ones.
type batchPool struct {
	free  []*openBatch
	limit int
}

func (p *batchPool) get(partition int32, memory int, now time.Time) *openBatch {
	var b *openBatch
	for len(p.free) > 0 && b == nil {
		b = p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		if len(b.memory) < memory {
			b = nil
		}
	}
	if b == nil {
		b = &openBatch{memory: make([]byte, memory)}
	}
	records, times, side, streams := b.records[:0], b.times[:0], b.side[:0], b.streams[:0]
	clear(records[:cap(records)])
	*b = openBatch{
		partition: partition, memory: b.memory, opened: now,
		records: records, times: times, side: side, streams: streams,
	}
	return b
}

func (p *batchPool) put(b *openBatch) {
	if b != nil && !b.pinned && len(p.free) < p.limit {
		p.free = append(p.free, b)
	}
}
