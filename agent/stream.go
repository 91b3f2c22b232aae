package agent

import (
	"encoding/json"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
)

// anyPartition is the partition of records without a key until their batch is sealed.
const anyPartition int32 = -1

// stream is one file on its way into batches.
type stream struct {
	ref  journal.FileRef
	file *tail.File
	dec  *decode.Decoder
	from origin
	desc *describer
	// key and partition of the records, unless perRecord says that each has its own.
	key       []byte
	partition int32
	perRecord bool
	limit     *limiter
	feed      feed

	// clean is where decoding would have to start to get every record behind last.
	clean tail.Mark
	// last is the newest record that is in a batch, open or sealed, and sealed the newest in a sealed one.
	last, sealed decode.Position
	// before is the rotated file whose decoder this stream took over, as long as a record from there is not complete.
	before *stream
	// into is the file in which a record ended that began in this one.
	into *stream
	// after is the file that took this one's name; it is read when this one is finished.
	after *stream
	// waiting is true until the file before it is read to its end.
	waiting bool
	// ready is true while there may be bytes to read.
	ready bool
	// refused is true when the last try to read failed.
	refused bool
	// isEnded is true when the last byte was read and the file can no longer grow, finished when Kafka has all of it,
	// gone when there is no file any more.
	isEnded, finished, gone bool
	// moved is true when clean went on without a batch, because lines were dropped.
	moved bool
	// grewAt is when bytes were last read, readAt when that was last likely.
	grewAt, readAt time.Time
	growth         growth
	// stored is what the journal has of the file.
	stored tail.State
}

// carrySpan stands in a batch before the first span of a stream that goes on with this stream's decoder: it has no
// record of its own, but decoding has to start in it.
func (s *stream) carrySpan() journal.Span {
	end := decode.Position{End: s.file.Position()}
	return journal.Span{File: s.ref, Clean: s.clean, First: end, Last: end}
}

// cleanMark returns the mark for the clean offset of a record in chunk. An offset before the chunk has the mark that
// the stream had when the chunk began, or an earlier one, from where decoding gives the same.
func (s *stream) cleanMark(offset int64, chunk []byte) tail.Mark {
	if offset < s.file.Position() {
		return s.clean
	}
	return s.file.MarkAt(offset, chunk)
}

// move is what the journal keeps of the stream.
func (s *stream) move() journal.Move {
	return journal.Move{File: s.ref, Mark: s.clean, Sealed: s.last}
}

func (s *stream) originJSON() []byte {
	data, err := json.Marshal(s.from)
	if err != nil {
		return nil // it was marshalled before
	}
	return data
}
