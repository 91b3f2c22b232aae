// Package record is what one log line is on Kafka: its headers and the partition its key leads to.
package record

// The names of the headers, and of the fields of an envelope, that tell a record's origin.
const (
	FieldFile      = "file"
	FieldNode      = "node"
	FieldNamespace = "namespace"
	FieldPod       = "pod"
	FieldPodUID    = "podUID"
	FieldContainer = "container"
	FieldStream    = "stream"
	FieldTime      = "time"
	FieldOffset    = "offset"
	// FieldMessage is the line itself in an envelope.
	FieldMessage = "message"
)

// Partition returns the partition of key among n, as Java's default partitioner does (murmur2).
func Partition(key []byte, n int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % n
}

// murmur2 is the 32-bit hash of Kafka's Java clients (org.apache.kafka.common.utils.Utils), seed 0x9747b28c.
func murmur2(data []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
		r           = 24
	)
	h := seed ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
