package format

import (
	"slices"
	"time"
)

// Record is what a file keeps of a Kafka record. Its slices are only read, and not kept after the call.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	// Time of the record, by its producer or by the broker, in milliseconds.
	Time time.Time
	// Key is nil when the record has none.
	Key []byte
	// Value is nil in a tombstone.
	Value   []byte
	Headers []Header
}

// Header is a header of a record. A record may have several of one key.
type Header struct {
	Key, Value []byte
}

// header returns the last value under a name, as Kafka's own clients do, or nil.
func (r *Record) header(name string) []byte {
	for _, h := range slices.Backward(r.Headers) {
		if string(h.Key) == name {
			return h.Value
		}
	}
	return nil
}
