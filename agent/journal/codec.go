package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

// Integers are varints, hashes and checksums fixed little-endian words, byte strings prefixed with their length.

var errShort = errors.New("record ends too early")

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendMark(dst []byte, m tail.Mark) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendVarint(dst, m.Offset), m.Hash)
}

// appendPosition encodes p relative to an offset that is probably close to it.
func appendPosition(dst []byte, p decode.Position, near int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(dst, p.End-near), int64(p.Index))
}

func (r Renew) append(dst []byte) []byte {
	return appendBatches(appendProducer(dst, r.Producer), r.Batches)
}

func (r PutSettings) append(dst []byte) []byte {
	return appendBytes(binary.AppendUvarint(dst, uint64(r.ID)), r.JSON)
}

func (r PutFile) append(dst []byte) []byte {
	return appendFile(binary.AppendUvarint(dst, uint64(r.Ref)), r.File)
}

func (r Seal) append(dst []byte) []byte {
	dst = appendBatches(dst, r.Batches)
	dst = binary.AppendUvarint(dst, uint64(len(r.Moves)))
	for _, m := range r.Moves {
		dst = m.append(dst)
	}
	return dst
}

func (r Move) append(dst []byte) []byte {
	dst = appendMark(binary.AppendUvarint(dst, uint64(r.File)), r.Mark)
	return appendBool(appendPosition(dst, r.Sealed, r.Mark.Offset), r.Finished)
}

func (r Ack) append(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(r.Partition))
	dst = binary.AppendVarint(dst, int64(r.FirstSequence))
	dst = binary.AppendVarint(dst, int64(r.Count))
	return binary.AppendVarint(dst, r.BaseOffset)
}

func (r Forget) append(dst []byte) []byte { return binary.AppendUvarint(dst, uint64(r.File)) }

func appendProducer(dst []byte, p Producer) []byte {
	dst = binary.AppendVarint(binary.AppendVarint(dst, p.ID), int64(p.Epoch))
	return appendString(appendString(dst, p.ClusterID), p.TopicID)
}

func appendFile(dst []byte, f File) []byte {
	id := f.State.Identity
	dst = binary.AppendUvarint(dst, id.Inode)
	dst = binary.AppendVarint(dst, id.Birth)
	dst = binary.AppendUvarint(dst, uint64(id.Generation))
	dst = binary.AppendUvarint(dst, uint64(id.Incarnation))
	dst = binary.AppendVarint(dst, f.State.Born-id.Birth)
	dst = appendString(dst, f.State.Path)
	dst = binary.AppendVarint(dst, int64(f.State.Head.Bytes))
	dst = binary.LittleEndian.AppendUint64(dst, f.State.Head.Hash)
	dst = appendMark(dst, f.State.Mark)
	dst = binary.AppendUvarint(binary.AppendVarint(dst, f.State.Began), uint64(f.State.Behind))
	dst = binary.AppendUvarint(dst, uint64(len(f.State.Trail)))
	for _, m := range f.State.Trail {
		dst = appendMark(dst, m)
	}
	dst = appendString(dst, f.State.Boot)
	dst = appendBool(dst, f.State.Finished)
	dst = appendBytes(dst, f.Origin)
	return appendPosition(dst, f.Sealed, f.State.Mark.Offset)
}

func appendBatches(dst []byte, batches []Batch) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(batches)))
	for i := range batches {
		dst = appendBatch(dst, &batches[i])
	}
	return dst
}

func appendBatch(dst []byte, b *Batch) []byte {
	dst = binary.AppendVarint(dst, int64(b.Partition))
	dst = binary.AppendVarint(dst, int64(b.FirstSequence))
	dst = binary.AppendVarint(dst, int64(b.Count))
	dst = binary.AppendVarint(dst, b.Time.UnixMilli())
	dst = binary.AppendUvarint(dst, uint64(b.Settings))
	dst = binary.LittleEndian.AppendUint32(dst, b.Checksum)
	dst = binary.AppendUvarint(dst, uint64(len(b.Spans)))
	for i := range b.Spans {
		dst = appendSpan(dst, &b.Spans[i])
	}
	return dst
}

const (
	spanFlush = 1 << iota
	spanCarry
)

func appendSpan(dst []byte, s *Span) []byte {
	var flags byte
	if s.Flush {
		flags |= spanFlush
	}
	if s.Carry {
		flags |= spanCarry
	}
	dst = appendMark(binary.AppendUvarint(dst, uint64(s.File)), s.Clean)
	dst = appendPosition(dst, s.First, s.Clean.Offset)
	dst = appendPosition(dst, s.Last, s.First.End)
	return append(binary.AppendVarint(dst, int64(s.Count)), flags)
}

// reader decodes what the functions above encode. After the first error it reads zeros.
type reader struct {
	data []byte
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.data = nil
}

func (r *reader) take(n int) []byte {
	if n > len(r.data) {
		r.fail(errShort)
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.data = r.data[n:]
	return v
}

// within returns v if it is at most limit.
func (r *reader) within(v, limit uint64) uint64 {
	if v > limit {
		r.fail(fmt.Errorf("number %d is above %d", v, limit))
		return 0
	}
	return v
}

func (r *reader) uint32() uint32 { return uint32(r.within(r.uvarint(), math.MaxUint32)) }

func (r *reader) int32() int32 {
	v := r.varint()
	if int64(int32(v)) != v {
		r.fail(fmt.Errorf("number %d has more than 32 bits", v))
		return 0
	}
	return int32(v)
}

// count reads the number of things that follow, each at least size bytes long, so that no more is allocated than the
// data can fill.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.data)/size) {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool { return r.within(uint64(r.byte()), 1) == 1 }

func (r *reader) fixed32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) fixed64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// string copies, so that nothing keeps the whole log in memory.
func (r *reader) string() string { return string(r.take(r.count(1))) }

func (r *reader) mark() tail.Mark { return tail.Mark{Offset: r.varint(), Hash: r.fixed64()} }

func (r *reader) position(near int64) decode.Position {
	return decode.Position{End: near + r.varint(), Index: r.int32()}
}

// record decodes the next record.
func (r *reader) record() Record {
	switch kind := r.byte(); kind {
	case kindRenew:
		return Renew{Producer: r.producer(), Batches: r.batches()}
	case kindSettings:
		return PutSettings{ID: r.uint32(), JSON: []byte(r.string())}
	case kindFile:
		return PutFile{Ref: FileRef(r.uint32()), File: r.file()}
	case kindSeal:
		return Seal{Batches: r.batches(), Moves: r.moves()}
	case kindMove:
		return r.move()
	case kindAck:
		return Ack{Partition: r.int32(), FirstSequence: r.int32(), Count: r.int32(), BaseOffset: r.varint()}
	case kindForget:
		return Forget{File: FileRef(r.uint32())}
	default:
		r.fail(fmt.Errorf("unknown kind of record %d", kind))
		return nil
	}
}

func (r *reader) producer() Producer {
	id, epoch := r.varint(), r.int32()
	if int32(int16(epoch)) != epoch {
		r.fail(fmt.Errorf("producer epoch %d has more than 16 bits", epoch))
	}
	return Producer{ID: id, Epoch: int16(epoch), ClusterID: r.string(), TopicID: r.string()}
}

func (r *reader) file() File {
	var f File
	f.State.Identity = tail.Identity{
		Inode: r.uvarint(), Birth: r.varint(), Generation: r.uint32(), Incarnation: r.uint32(),
	}
	f.State.Born = f.State.Identity.Birth + r.varint()
	f.State.Path = r.string()
	f.State.Head = tail.Head{Bytes: int(r.varint()), Hash: r.fixed64()}
	f.State.Mark = r.mark()
	f.State.Began, f.State.Behind = r.varint(), r.uint32()
	for n := r.count(9); n > 0 && r.err == nil; n-- {
		f.State.Trail = append(f.State.Trail, r.mark())
	}
	f.State.Boot = r.string()
	f.State.Finished = r.bool()
	f.Origin = append([]byte(nil), r.take(r.count(1))...)
	f.Sealed = r.position(f.State.Mark.Offset)
	return f
}

func (r *reader) moves() []Move {
	var moves []Move
	for n := r.count(13); n > 0 && r.err == nil; n-- {
		moves = append(moves, r.move())
	}
	return moves
}

func (r *reader) move() Move {
	m := Move{File: FileRef(r.uint32()), Mark: r.mark()}
	m.Sealed = r.position(m.Mark.Offset)
	m.Finished = r.bool()
	return m
}

func (r *reader) batches() []Batch {
	var batches []Batch
	for n := r.count(10); n > 0 && r.err == nil; n-- {
		batches = append(batches, r.batch())
	}
	return batches
}

func (r *reader) batch() Batch {
	b := Batch{
		Partition: r.int32(), FirstSequence: r.int32(), Count: r.int32(), Time: time.UnixMilli(r.varint()).UTC(),
		Settings: r.uint32(), Checksum: r.fixed32(),
	}
	for n := r.count(16); n > 0 && r.err == nil; n-- {
		b.Spans = append(b.Spans, r.span())
	}
	return b
}

func (r *reader) span() Span {
	s := Span{File: FileRef(r.uint32()), Clean: r.mark()}
	s.First = r.position(s.Clean.Offset)
	s.Last = r.position(s.First.End)
	s.Count = r.int32()
	flags := r.within(uint64(r.byte()), spanFlush|spanCarry)
	s.Flush, s.Carry = flags&spanFlush != 0, flags&spanCarry != 0
	return s
}
