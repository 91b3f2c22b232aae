package journal

import (
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

// Record is one change of a State: Renew, PutSettings, PutFile, Seal, Move, Ack or Forget. The slices inside a
// record belong to the journal once it was appended.
type Record interface {
	// kind is the byte that names the type on disk.
	kind() byte
	// append encodes the record behind dst.
	append(dst []byte) []byte
	// apply changes s, or returns an error and leaves s as it was.
	apply(s *State) error
}

// The kinds of records on disk. They never change their meaning; a new meaning takes a new byte and a new Version.
const (
	kindSnapshot byte = iota + 1
	kindRenew
	kindSettings
	kindFile
	kindSeal
	kindMove
	kindAck
	kindForget
)

// Renew takes a new producer: all sequences start again at 0.
type Renew struct {
	Producer Producer
	// Batches are the pending batches as they will be sent under the new producer, numbered from 0 on each partition
	// (see Renumber). The caller must know that none of the pending batches is in Kafka or can still arrive there:
	// those that are in, it acknowledges first. Every batch here has spans of a pending one, or the beginnings
	// of them, in the same order, while its count, checksum, settings and partition may differ. What is pending and
	// missing here is given up: its lines are lost, and the caller counts them.
	Batches []Batch
}

// PutSettings stores the settings, as JSON, under which batches will be sealed. Settings that neither a pending batch
// names nor are the newest are dropped.
type PutSettings struct {
	// ID is above that of all settings before.
	ID   uint32
	JSON []byte
}

// PutFile stores a file. A known file keeps its positions (State.Mark, Trail and Finished, Sealed): only Seal and
// Move change those. A file that was truncated, or lost its end in a power cut, takes a new FileRef.
type PutFile struct {
	Ref  FileRef
	File File
}

// Seal stores batches that are about to be sent, and moves the files they are made of. It is stored whole or not at
// all, so batches of several partitions that share a stretch of a file belong into one Seal.
type Seal struct {
	Batches []Batch
	// Moves lead behind every span of Batches.
	Moves []Move
}

// Move changes the position of a file. By itself it passes over bytes without a record (dropped lines) or tells that a
// file is finished. Sealed never moves back.
type Move struct {
	File     FileRef
	Mark     tail.Mark
	Sealed   decode.Position
	Finished bool
}

// Ack says that the oldest pending batch of a partition is in Kafka.
type Ack struct {
	Partition     int32
	FirstSequence int32
	Count         int32
	// BaseOffset is the offset of the batch's first record; -1 if the broker did not say.
	BaseOffset int64
}

// Forget drops a file that has nothing pending.
type Forget struct {
	File FileRef
}

func (Renew) kind() byte       { return kindRenew }
func (PutSettings) kind() byte { return kindSettings }
func (PutFile) kind() byte     { return kindFile }
func (Seal) kind() byte        { return kindSeal }
func (Move) kind() byte        { return kindMove }
func (Ack) kind() byte         { return kindAck }
func (Forget) kind() byte      { return kindForget }

// Renumber returns copies of batches numbered from 0 on each partition, for Renew.
func Renumber(batches []Batch) []Batch {
	next := map[int32]int32{}
	out := make([]Batch, len(batches))
	for i, b := range batches {
		b.FirstSequence = next[b.Partition]
		next[b.Partition] = AddSequence(b.FirstSequence, b.Count)
		out[i] = b
	}
	return out
}

// AddSequence returns the sequence number n records behind sequence. They wrap from 2^31-1 to 0 (KIP-98).
func AddSequence(sequence, n int32) int32 {
	return int32((int64(sequence) + int64(n)) & 0x7fffffff)
}
