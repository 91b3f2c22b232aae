package tail

import "github.com/cespare/xxhash/v2"

// markOf returns the mark of an offset from the bytes before it. The mark of offset 0 has no hash.
func markOf(offset int64, before []byte) Mark {
	if offset == 0 {
		return Mark{}
	}
	return Mark{Offset: offset, Hash: xxhash.Sum64(before[max(0, len(before)-MarkBytes):])}
}

// headOf returns the head of a file that begins with first.
func headOf(first []byte) Head {
	first = first[:min(len(first), HeadBytes)]
	if len(first) == 0 {
		return Head{}
	}
	return Head{Bytes: len(first), Hash: xxhash.Sum64(first)}
}

// isOf tells whether a file that begins with first has the head h.
func (h Head) isOf(first []byte) bool {
	return len(first) >= h.Bytes && headOf(first[:h.Bytes]) == h
}

// overlapBefore is the number of bytes that the mark of an offset covers.
func overlapBefore(offset int64) int { return int(min(offset, MarkBytes)) }
