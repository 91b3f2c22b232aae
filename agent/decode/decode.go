// Package decode turns the bytes of a log file into records: it splits lines, undoes the container runtimes' framing,
// joins partial and multi-line records, bounds their size and applies filters.
//
// A Decoder is a pure function of the bytes it is fed. That is what makes re-sending after a crash possible: the same
// bytes from the same clean offset under the same Config give the same records, however they were cut into chunks.
package decode

import "time"

// Position is the place of a record in the order in which one file's records come out of a Decoder. It does not depend
// on where decoding began.
type Position struct {
	// End is the offset behind the bytes that completed the record: as a rule, behind its line.
	End int64 `json:"end"`
	// Index tells records apart that the same bytes completed; see the constants.
	Index int32 `json:"index,omitempty"`
}

// The first Index of each way to complete a record at one End.
const (
	indexBefore  int32 = 0       // the record before, which this line showed to be complete
	indexOwn     int32 = 1       // the line itself, or the parts it was split into
	indexBounded int32 = 1 << 16 // what was held too long, see boundedBy
	indexFlushed int32 = 1 << 20 // what was held when Flush was called
)

// Compare returns -1, 0 or +1 as p lies before, at or behind q.
func (p Position) Compare(q Position) int {
	switch {
	case p.End < q.End, p.End == q.End && p.Index < q.Index:
		return -1
	case p == q:
		return 0
	default:
		return 1
	}
}

// Stream is the standard stream a container wrote a record to.
type Stream uint8

// The streams of a container's log. A plain file has none.
const (
	NoStream Stream = iota
	Stdout
	Stderr
)

// Record is one log record. Its slices are valid until the next Feed.
type Record struct {
	// Value is the record without its line terminator. Bytes are never altered but by filters.
	Value []byte
	// InChunk says that Value lies inside the chunk given to Feed; otherwise it lies in memory of the Decoder.
	InChunk bool
	// Time is the record's own time (CRI, Docker); zero when the file does not give one.
	Time time.Time
	// Stream is the container's stream, NoStream for plain files.
	Stream Stream
	// Raw says that the line was not in the configured format and was taken as it is.
	Raw bool
	// Position is the record's place in its file.
	Position Position
	// Clean is the offset from where a fresh Decoder gives this record, and all behind it, again.
	Clean int64
	// Carried says that it may have begun in the file before NextFile: then decoding has to start there, and Clean means
	// nothing.
	Carried bool
	// Flushed says that Flush completed the record: a rebuild has to flush after Position.End as well.
	Flushed bool
}
