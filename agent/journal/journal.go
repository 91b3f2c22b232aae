// Package journal keeps on local disk what the agent has sealed, sent and had acknowledged, so that it can send again
// after a crash under the same producer id and sequence numbers.
package journal

import (
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

// FileRef names a file inside one journal. It is never used for a second file.
type FileRef uint32

// Producer is the idempotent producer whose sequences the journal holds (KIP-98).
type Producer struct {
	ID    int64 `json:"id"`
	Epoch int16 `json:"epoch"`
	// ClusterID and TopicID say where the id is valid: elsewhere, nothing pending may be sent again.
	ClusterID string `json:"clusterID"`
	TopicID   string `json:"topicID"`
}

// Loose tells whether batches may be sent before they are synced. Such a producer has no TopicID, because its id is
// valid nowhere: the journal may know less than Kafka has, so the next producer is another one, and what is pending may
// come again.
func (p Producer) Loose() bool { return p.TopicID == "" }

// File is what the journal knows of one file.
type File struct {
	State tail.State `json:"state"`
	// Origin is where the records come from, as the agent found it when it first saw the file. Keys and metadata come
	// from it, so that a rename changes neither. The journal does not look into it.
	Origin []byte `json:"origin"`
	// Sealed is the last record of the file that is in a batch; reading goes on behind it, decoding from State.Mark.
	Sealed decode.Position `json:"sealed"`
}

// Span is a run of records of one file inside a batch. A span with Count 0 holds only the beginning of a record that
// the next span, which has Carry, completes: its First and Last mean nothing.
type Span struct {
	File FileRef `json:"file"`
	// Clean is where decoding starts, with the mark of the bytes before it.
	Clean tail.Mark `json:"clean"`
	// First and Last are the positions of the first and last record of the span.
	First decode.Position `json:"first"`
	Last  decode.Position `json:"last"`
	Count int32           `json:"count"`
	// Flush says that the last record was completed by a flush, not by bytes.
	Flush bool `json:"flush,omitempty"`
	// Carry says that decoding goes on from the state the span before left: a record began in a rotated file.
	Carry bool `json:"carry,omitempty"`
}

// Batch is one record batch as it was sealed. It can be built again from Spans under Settings.
type Batch struct {
	Partition int32 `json:"partition"`
	// FirstSequence is the sequence number of the first record; they wrap from 2^31-1 to 0.
	FirstSequence int32 `json:"firstSequence"`
	Count         int32 `json:"count"`
	// Time is the time of the records that have none of their own, kept in milliseconds as Kafka does.
	Time time.Time `json:"time"`
	// Settings names the settings under which the batch was made.
	Settings uint32 `json:"settings"`
	// Checksum is the CRC-32C of the keys and values, to tell whether a rebuilt batch is the same.
	Checksum uint32 `json:"checksum"`
	Spans    []Span `json:"spans"`
}
