package decode

import (
	"bytes"
	"time"
)

// Stats count what decoders did. They belong to the goroutine that runs the decoders.
type Stats struct {
	Lines     int64 // raw lines
	Records   int64 // records that came out
	Malformed int64 // lines that were not in the configured format and were taken as they are
	// Split counts over-long records cut into parts, Bounded those cut because a part of them was held too long.
	Split, Bounded                   int64
	TruncatedRecords, TruncatedBytes int64
	OversizeRecords, OversizeBytes   int64 // dropped by policy
	FilteredRecords, FilteredBytes   int64 // dropped by a filter
}

// Decoder decodes one file. It is fed chunk by chunk and asked for records until there are no more.
type Decoder struct {
	plan  *Plan
	stats *Stats

	chunk []byte
	base  int64 // offset of chunk[0]
	next  int   // index of the first byte of chunk that is not used up
	// inLine is true while the line at hand was longer than a chunk; framing is what its beginning said.
	inLine  bool
	framing framing

	// partial holds lines whose end did not come yet, multi records whose end did not come yet, by stream.
	partial [streams]held
	multi   [streams]held
	// clean is the newest offset from where decoding gives everything that is held, and everything behind it.
	clean int64
	// carries is true after NextFile until nothing depends on the earlier file.
	carries bool

	queue   []Record
	queued  int
	end     int64 // End of the records being made
	before  int64 // Clean of the records being made
	own     int32 // Index of the line's next record of its own
	flushed bool
	clock   criClock
}

const streams = 3

// held is text that waits for more.
type held struct {
	active  bool
	long    bool // it was over MaxRecordBytes: parts went out, or the rest is left out
	dropped bool
	raw     bool
	// quiet is true if nothing else was held when this began: decoding may start at start.
	quiet bool
	start int64
	lines int
	time  time.Time
	buf   []byte
}

// framing is what the beginning of a line says of it.
type framing struct {
	stream  Stream
	partial bool
	raw     bool
	time    time.Time
	// mapped says that bytes of the text are bytes of the file, inChunk that the text lies in the chunk.
	mapped, inChunk bool
}

// New returns a decoder for a file whose decoding starts at offset, which must be clean: 0 or what Clean returned.
func New(plan *Plan, offset int64, stats *Stats) *Decoder {
	return &Decoder{plan: plan, stats: stats, base: offset, clean: offset, end: offset}
}

// Feed gives the decoder the bytes at offset, which must be where the last chunk was used up. Next returns what they
// complete, and then Consumed tells how much of them is used up; the rest has to be fed again, with more behind it.
func (d *Decoder) Feed(chunk []byte, offset int64) {
	d.chunk, d.base, d.next = chunk, offset, 0
	d.queue, d.queued = d.queue[:0], 0
}

// FeedFull tells the decoder that the chunk it has can't grow although it holds no whole line: its caller's buffer is
// full. The buffer must be larger than MaxRecordBytes. What the line becomes is a matter of Config.Oversize.
func (d *Decoder) FeedFull() {
	if bytes.IndexByte(d.chunk[d.next:], '\n') < 0 {
		d.piece()
	}
}

// Consumed is how many bytes of the chunk are used up, once Next has returned false.
func (d *Decoder) Consumed() int { return d.next }

// Clean is the offset from where a fresh decoder gives every record that Next did not return yet. It may also give
// records that were returned: their Position tells.
func (d *Decoder) Clean() int64 {
	if d.queued < len(d.queue) {
		return d.queue[d.queued].Clean
	}
	return d.clean
}

// Pending is how many bytes of text are held for more.
func (d *Decoder) Pending() int {
	n := 0
	for s := range streams {
		n += d.partial[s].size() + d.multi[s].size()
	}
	return n
}

func (h *held) size() int {
	if !h.active {
		return 0
	}
	return len(h.buf) + 1
}

// NextFile goes on with the file that took the name of the one before: what is held is completed by its lines.
func (d *Decoder) NextFile(offset int64) {
	d.carries = d.Pending() > 0
	d.Feed(nil, offset)
	d.clean, d.inLine = offset, false
}

// CarriesOver tells whether records that are not complete yet depend on the file before NextFile.
func (d *Decoder) CarriesOver() bool { return d.carries }

// Next returns the next record, or false when more bytes are needed.
func (d *Decoder) Next(rec *Record) bool {
	for {
		if d.queued < len(d.queue) {
			*rec = d.queue[d.queued]
			d.queued++
			return true
		}
		if d.plan.plain && !d.inLine {
			if done, ok := d.plainLine(rec); done {
				return ok
			}
		} else if !d.line() {
			return false
		}
		d.stats.Lines++
	}
}

// plainLine is the short way for files without framing, joining and filters: it returns the line where it lies.
// done is false for a line that has to go the long way, which it then went.
func (d *Decoder) plainLine(rec *Record) (done, ok bool) {
	n := bytes.IndexByte(d.chunk[d.next:], '\n')
	if n < 0 {
		return true, false
	}
	if n > d.plan.max {
		d.line()
		return false, false
	}
	start := d.base + int64(d.next)
	*rec = Record{
		Value: d.chunk[d.next : d.next+n : d.next+n], InChunk: true, Clean: start,
		Position: Position{End: start + int64(n) + 1, Index: indexOwn},
	}
	d.next += n + 1
	d.clean, d.end = rec.Position.End, rec.Position.End
	d.stats.Lines++
	d.stats.Records++
	return true, true
}

// line takes the next line of the chunk; false if there is no whole one.
func (d *Decoder) line() bool {
	n := bytes.IndexByte(d.chunk[d.next:], '\n')
	if n < 0 {
		if d.inLine && d.next < len(d.chunk) {
			d.piece()
		}
		return d.queued < len(d.queue)
	}
	d.begin()
	text, start := d.chunk[d.next:d.next+n], d.base+int64(d.next)
	d.next += n + 1
	lineEnd := start + int64(n) + 1
	if d.inLine {
		d.inLine = false
	} else {
		text = d.open(text, start)
		start = lineEnd - 1 - int64(len(text))
	}
	d.take(text, start, lineEnd, !d.framing.partial)
	d.settle(lineEnd)
	return true
}

// piece takes all of the chunk as a part of a line.
func (d *Decoder) piece() {
	d.begin()
	text, start := d.chunk[d.next:], d.base+int64(d.next)
	d.next = len(d.chunk)
	if !d.inLine {
		d.inLine = true
		all := len(text)
		text = d.open(text, start)
		start += int64(all - len(text))
	}
	d.take(text, start, start+int64(len(text)), false)
}

func (d *Decoder) begin() {
	d.queue, d.queued, d.own, d.before = d.queue[:0], 0, indexOwn, d.clean
}

// open reads the framing at the beginning of a line and returns the text behind it. It notes where the line starts, for
// what may be held of it.
func (d *Decoder) open(line []byte, start int64) []byte {
	text := d.unframe(line)
	h := &d.partial[d.framing.stream]
	if !h.active {
		h.start, h.quiet, h.time, h.raw = start, !d.holding(), d.framing.time, d.framing.raw
	}
	return text
}

func (d *Decoder) holding() bool {
	for s := range streams {
		if d.partial[s].active || d.multi[s].active {
			return true
		}
	}
	return false
}

// settle brings clean up to date behind a whole line, and completes what was held too long: the bytes since the clean
// offset have to be read again after a crash, so they are bounded.
func (d *Decoder) settle(lineEnd int64) {
	d.end = lineEnd
	d.moveClean(lineEnd)
	if d.holding() && lineEnd-d.clean > d.plan.bound {
		d.own = indexBounded
		d.completeAll()
		d.stats.Bounded++
		d.moveClean(lineEnd)
	}
}

func (d *Decoder) moveClean(lineEnd int64) {
	var first *held
	for s := range streams {
		for _, h := range []*held{&d.partial[s], &d.multi[s]} {
			if h.active && (first == nil || h.start < first.start) {
				first = h
			}
		}
	}
	switch {
	case first == nil:
		d.clean, d.carries = lineEnd, false
	case first.quiet && first.start > d.clean && !d.carries:
		d.clean = first.start
	}
}

// Flush completes everything that is held, and rest as a last line without its newline: the bytes that were not used up
// of a file that can no longer grow. Next returns the records.
func (d *Decoder) Flush(rest []byte) {
	offset := d.base + int64(d.next)
	d.Feed(rest, offset)
	d.begin()
	d.flushed = true
	d.end = offset
	if len(rest) > 0 || d.inLine { // whether the last bytes were taken before must not matter
		text, start, end := rest, offset, offset+int64(len(rest))
		if d.inLine {
			d.inLine = false
		} else {
			text = d.open(rest, offset)
			start = end - int64(len(text))
		}
		d.take(text, start, end, !d.framing.partial)
		d.next, d.end = len(rest), end
	}
	d.own, d.inLine = indexFlushed, false
	d.completeAll()
	d.flushed = false
	d.clean, d.carries = d.end, false
}

func (d *Decoder) completeAll() {
	for s := range Stream(streams) {
		if h := &d.partial[s]; h.active {
			d.closePartial(s)
		}
		d.closeMulti(s, d.nextOwn)
	}
}

func (d *Decoder) nextOwn() int32 {
	d.own++
	return d.own - 1
}
