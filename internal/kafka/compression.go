package kafka

import "github.com/IBM/sarama"

// Compression names a codec as users write it.
type Compression string

// The codecs of record batches.
const (
	CompressionNone   Compression = "None"
	CompressionGzip   Compression = "Gzip"
	CompressionSnappy Compression = "Snappy"
	CompressionLz4    Compression = "Lz4"
	CompressionZstd   Compression = "Zstd"
)

var codecs = map[Compression]sarama.CompressionCodec{
	CompressionNone:   sarama.CompressionNone,
	CompressionGzip:   sarama.CompressionGZIP,
	CompressionSnappy: sarama.CompressionSnappy,
	CompressionLz4:    sarama.CompressionLZ4,
	CompressionZstd:   sarama.CompressionZSTD,
}

// Codec returns the codec that c names, and whether there is one.
func (c Compression) Codec() (sarama.CompressionCodec, bool) {
	codec, ok := codecs[c]
	return codec, ok
}
