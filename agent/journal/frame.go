package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A journal is one file: a header, a frame with a snapshot, and a frame for every write since. A frame holds the
// records that were written together and counts only as a whole.
//
//	header:  magic (15 bytes), version (1 byte)
//	frame:   marker (4), length of the payload (4), CRC-32C (4), durable (8), payload
//	payload: records, each its kind (1) and its fields
//
// Numbers are little-endian. The CRC covers the frame's offset in the file, durable and the payload. Durable is the
// offset up to which the file was on the disk when the frame was written: it tells a write that a power cut tore, which
// may have left any of the pages behind it, from damage to what had been stored.
const (
	magic      = "logpipe journal"
	headerSize = len(magic) + 1
	marker     = "\xf1LPJ"
	frameSize  = len(marker) + 4 + 4 + 8
)

// Version of the format. A journal of another version is refused.
const Version = 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHeader appends the header of a journal.
func appendHeader(dst []byte) []byte { return append(append(dst, magic...), Version) }

// checkHeader says whether data begins like a journal that this program can read.
func checkHeader(data []byte) error {
	switch {
	case len(data) < headerSize || string(data[:len(magic)]) != magic:
		return fmt.Errorf("it is not a journal of this program: name another state directory, or move the file away")
	case data[len(magic)] > Version:
		return fmt.Errorf("it has version %d, and this program reads version %d: install the program that wrote it or a "+
			"newer one", data[len(magic)], Version)
	case data[len(magic)] < Version:
		return fmt.Errorf("it has version %d, and this program reads version %d: name another state directory, and what is "+
			"in the files comes again, or install the program that wrote it", data[len(magic)], Version)
	}
	return nil
}

// openFrame appends the place for a frame's head; the payload follows it.
func openFrame(dst []byte) []byte {
	var head [frameSize]byte
	return append(dst, head[:]...)
}

// closeFrame fills in the head of frame, which will be written at offset.
func closeFrame(frame []byte, offset, durable int64) {
	copy(frame, marker)
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-frameSize))
	binary.LittleEndian.PutUint64(frame[12:], uint64(durable))
	binary.LittleEndian.PutUint32(frame[8:], frameChecksum(frame, offset))
}

func frameChecksum(frame []byte, offset int64) uint32 {
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(offset))
	return crc32.Update(crc32.Checksum(at[:], castagnoli), castagnoli, frame[12:])
}

// frameAt returns the payload of the frame at offset, and the value of durable. It is false if there is no whole one.
func frameAt(data []byte, offset int64) (payload []byte, durable int64, ok bool) {
	rest := data[offset:]
	if len(rest) <= frameSize || string(rest[:len(marker)]) != marker {
		return nil, 0, false
	}
	length := binary.LittleEndian.Uint32(rest[4:])
	if uint64(length) > uint64(len(rest)-frameSize) {
		return nil, 0, false
	}
	frame := rest[:frameSize+int(length)]
	if binary.LittleEndian.Uint32(frame[8:]) != frameChecksum(frame, offset) {
		return nil, 0, false
	}
	return frame[frameSize:], int64(binary.LittleEndian.Uint64(frame[12:])), true
}

// wasDurable says whether a later frame proves that the file was on the disk beyond offset.
func wasDurable(data []byte, offset int64) bool {
	for at := offset; ; at++ {
		next := bytes.Index(data[at:], []byte(marker))
		if next < 0 {
			return false
		}
		at += int64(next)
		if _, durable, ok := frameAt(data, at); ok && durable > offset {
			return true
		}
	}
}

// replay applies the records of a journal. It returns the state, where the snapshot ends, and where the last whole
// frame ends: what lies behind that was never said to be stored.
func replay(data []byte) (s *State, base, end int64, err error) {
	if err := checkHeader(data); err != nil {
		return nil, 0, 0, err
	}
	base = int64(headerSize)
	payload, _, ok := frameAt(data, base)
	if !ok {
		return nil, 0, 0, damaged(base)
	}
	if s, err = decodeSnapshot(payload); err != nil {
		return nil, 0, 0, fmt.Errorf("read snapshot at offset %d: %w", base, err)
	}
	base += int64(frameSize + len(payload))
	for end = base; end < int64(len(data)); end += int64(frameSize + len(payload)) {
		if payload, _, ok = frameAt(data, end); !ok {
			break
		}
		if err := s.replayFrame(payload); err != nil {
			return nil, 0, 0, fmt.Errorf("replay frame at offset %d: %w", end, err)
		}
	}
	if end < int64(len(data)) && wasDurable(data, end) {
		return nil, 0, 0, damaged(end)
	}
	return s, base, end, nil
}

func damaged(offset int64) error {
	return fmt.Errorf("it is damaged at offset %d: check the disk and restore the file; if it is removed instead, the "+
		"files are read again from where startAt says", offset)
}

func (s *State) replayFrame(payload []byte) error {
	r := &reader{data: payload}
	for len(r.data) > 0 {
		record := r.record()
		if r.err != nil {
			return r.err
		}
		if err := record.apply(s); err != nil {
			return err
		}
	}
	return r.err
}
