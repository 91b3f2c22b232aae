// Package sink reads a Kafka topic as a member of a consumer group and writes its records, exactly once and in order,
// into files on HDFS.
package sink

import (
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

// Config is everything a sink is told. The manager renders it from an HDFSSink, the sink loads it from a file.
type Config struct {
	// Name of the HDFSSink, as namespace/name. It appears in logs, metrics and, escaped, below <root>/_logpipe.
	Name string `json:"name"`
	// Topic to read.
	Topic string `json:"topic"`
	// Kafka is where the topic is.
	Kafka kafka.Config `json:"kafka"`
	// ConsumerGroup decides which sink reads which partition. Its committed offsets follow what is in HDFS, for lag
	// tools; they are never read. Default: logpipe-<namespace>-<name>.
	ConsumerGroup string `json:"consumerGroup,omitempty"`
	// InitialOffset is where a partition starts that has no commit in HDFS: Earliest (default) or Latest.
	InitialOffset InitialOffset `json:"initialOffset,omitempty"`
	// Store is the file system written to.
	Store store.Config `json:"store"`
	// Path is the template of the directory below the store's root, e.g. "{topic}/dt=%Y-%m-%d/hr=%H". Times are %Y %m
	// %d %H %M; values are {topic} {partition} {key} {header.<name>}, escaped. Default "{topic}/dt=%Y-%m-%d/hr=%H".
	Path string `json:"path,omitempty"`
	// TimeZone of the times in Path, an IANA name. Default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// File is the format of the files.
	File format.Config `json:"file,omitzero"`
	// Roll says when files are closed and committed.
	Roll Roll `json:"roll,omitzero"`
	// MaxOpenFiles bounds the buckets that one partition has open at once; one more commits the roll early. Default 16.
	MaxOpenFiles int `json:"maxOpenFiles,omitempty"`
	// MaxFetchesInFlight bounds the fetches held in memory by all partitions together. Default 2.
	MaxFetchesInFlight int `json:"maxFetchesInFlight,omitempty"`
	// FetchBytes is the most one fetch asks for. Default 1 MiB.
	FetchBytes int `json:"fetchBytes,omitempty"`
	// SessionTimeout is how long a sink may be silent before Kafka gives its partitions to others; a sink that ends in
	// good order gives them up at once. The broker bounds it (group.min.session.timeout.ms). Default 10s.
	SessionTimeout conf.Duration `json:"sessionTimeout,omitempty"`
	// Listen is the address of /metrics, /healthz and /readyz; empty serves nothing.
	Listen string `json:"listen,omitempty"`
}

// InitialOffset says where a partition without a commit starts.
type InitialOffset string

// Where a partition without a commit starts.
const (
	Earliest InitialOffset = "Earliest"
	Latest   InitialOffset = "Latest"
)

// Roll says when the files of a partition are closed and committed; the first bound that is reached rolls. All files of
// a partition roll together.
type Roll struct {
	// MaxBytes of one file as written, compressed or not. Default 128 MiB.
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// MaxRecords in all files of the roll. Default 0: no bound.
	MaxRecords int64 `json:"maxRecords,omitempty"`
	// Interval is the age of a roll, counted by a timer from its first record. Default 5m.
	Interval conf.Duration `json:"interval,omitempty"`
	// IdleTimeout rolls when no record came for so long. Default 0: never before Interval.
	IdleTimeout conf.Duration `json:"idleTimeout,omitempty"`
}
