// Package agent reads log files and writes their lines, exactly once and in order, into one Kafka topic.
package agent

import (
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

// Config is everything an agent is told. The manager renders it from a LogSource, the agent loads it from a file.
type Config struct {
	// Name of the LogSource, as namespace/name. It appears in logs and metrics.
	Name string `json:"name"`
	// StateDir holds the journal. It must be on a local disk and survive restarts.
	StateDir string `json:"stateDir"`
	// Topic is the Kafka topic the lines go to. It must exist: an agent never creates topics.
	Topic string `json:"topic"`
	// Kafka is where the topic is.
	Kafka kafka.Config `json:"kafka"`
	// Inputs name the files to read.
	Inputs []Input `json:"inputs"`
	// StartAt says where reading starts in files that are there when the agent first runs. Default Beginning. Files
	// that appear later are always read from their beginning.
	StartAt StartAt `json:"startAt,omitempty"`
	// Compressed also reads rotated files that were compressed before they were read to the end. Default true.
	Compressed *bool `json:"compressed,omitempty"`
	// Decode says how bytes become records.
	Decode decode.Config `json:"decode,omitzero"`
	// Metadata says what is told of a record's origin, and how.
	Metadata Metadata `json:"metadata,omitzero"`
	// Delivery says how often a line may come. Default ExactlyOnce.
	Delivery Delivery `json:"delivery,omitempty"`
	// Batch bounds a record batch.
	Batch Batch `json:"batch,omitzero"`
	// PartitionKey chooses the key whose murmur2 hash is the partition.
	PartitionKey PartitionKey `json:"partitionKey,omitzero"`
	// Assignment lists the partitions a key may use, instead of hashing it over all of them.
	Assignment map[string][]int32 `json:"assignment,omitempty"`
	// Compression of the batches: None, Gzip, Snappy, Lz4 or Zstd. Default Lz4.
	Compression kafka.Compression `json:"compression,omitempty"`
	// RateLimit delays reading; nil reads as fast as Kafka takes it.
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
	// BufferBytes bounds the memory for records that are not yet acknowledged. Default 16 MiB.
	BufferBytes int `json:"bufferBytes,omitempty"`
	// ScanInterval is how often directories are looked through even if the kernel reports no change. Default 2s.
	ScanInterval conf.Duration `json:"scanInterval,omitempty"`
	// Listen is the address of /metrics, /healthz and /readyz; empty serves nothing.
	Listen string `json:"listen,omitempty"`
	// Node describes the machine the agent runs on.
	Node Node `json:"node,omitzero"`
	// NodeFactsFile is a JSON file with the labels of nodes by name, PodFactsFile one with the labels of pods by UID. The
	// manager keeps them up to date, because an agent has no API token. They are read again when they change.
	NodeFactsFile string `json:"nodeFactsFile,omitempty"`
	PodFactsFile  string `json:"podFactsFile,omitempty"`
}

// StartAt says where reading starts in a file never seen before.
type StartAt string

// Where reading starts.
const (
	StartAtBeginning StartAt = "Beginning"
	StartAtEnd       StartAt = "End"
)

// Delivery says how often a line may come.
type Delivery string

// The ways to deliver. AtLeastOnce does not wait for the journal's disk before it sends: after a crash or an
// interruption it reads again what is not known to be acknowledged, so that lines come twice. None is lost.
const (
	ExactlyOnce Delivery = "ExactlyOnce"
	AtLeastOnce Delivery = "AtLeastOnce"
)

// Input names files. Exactly one field is set.
type Input struct {
	Files *FilesInput `json:"files,omitempty"`
	Pods  *PodsInput  `json:"pods,omitempty"`
}

// FilesInput names files by path.
type FilesInput struct {
	// Include and Exclude are absolute glob patterns: * and ? within one path element, ** over any number of them,
	// [a-z] classes and {a,b} alternatives.
	Include []string `json:"include"`
	Exclude []string `json:"exclude,omitempty"`
	// IgnoreOlder leaves out files that were not modified for so long when first seen. 0 reads all.
	IgnoreOlder conf.Duration `json:"ignoreOlder,omitempty"`
}

// PodsInput names the logs of pods on this node, below Root as the kubelet lays them out:
// <namespace>_<pod>_<uid>/<container>/<restart>.log.
type PodsInput struct {
	// Root is the kubelet's log directory. Default /var/log/pods.
	Root string `json:"root,omitempty"`
	// Namespaces to read; empty reads all.
	Namespaces []string `json:"namespaces,omitempty"`
	// MatchLabels selects pods by their labels; empty selects all. It needs Config.PodFactsFile.
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// Containers to include and exclude, as glob patterns on the container's name; empty includes all.
	Containers struct {
		Include []string `json:"include,omitempty"`
		Exclude []string `json:"exclude,omitempty"`
	} `json:"containers,omitzero"`
	// Stream reads only Stdout or only Stderr; empty reads both.
	Stream string `json:"stream,omitempty"`
}

// Metadata says what is told of a record's origin.
type Metadata struct {
	// Fields to tell: file, node, namespace, pod, podUID, container, stream, time, offset, labels named as
	// nodeLabel:<name> or podLabel:<name>.
	Fields []string `json:"fields,omitempty"`
	// AddFields are told of every record as they are.
	AddFields map[string]string `json:"addFields,omitempty"`
	// As says how: Headers (the default) or Envelope, a JSON object {"message": ..., "<field>": ...} as the value.
	As MetadataForm `json:"as,omitempty"`
}

// MetadataForm is how metadata is attached to a record.
type MetadataForm string

// The forms of metadata.
const (
	MetadataHeaders  MetadataForm = "Headers"
	MetadataEnvelope MetadataForm = "Envelope"
)

// Batch bounds a record batch; the first bound that is reached closes it.
type Batch struct {
	// MaxBytes of uncompressed keys, values and headers. Default 512 KiB, and never above what the topic takes.
	MaxBytes int `json:"maxBytes,omitempty"`
	// MaxRecords in a batch. Default 10000.
	MaxRecords int `json:"maxRecords,omitempty"`
	// Interval is how long a record may wait for others. Default 200ms.
	Interval conf.Duration `json:"interval,omitempty"`
}

// KeyType says where a partition key comes from.
type KeyType string

// The sources of a partition key.
const (
	KeyNode      KeyType = "Node"      // the node's name
	KeyNodeLabel KeyType = "NodeLabel" // a label of the node, such as its zone
	KeySubnet    KeyType = "Subnet"    // the subnet of the node's address
	KeyNamespace KeyType = "Namespace" // the pod's namespace
	KeyPod       KeyType = "Pod"       // namespace/name of the pod
	KeyPodLabel  KeyType = "PodLabel"  // a label of the pod
	KeyFile      KeyType = "File"      // the file's path
	KeyStatic    KeyType = "Static"    // a fixed text
	KeyField     KeyType = "Field"     // a top-level or dotted field of a JSON record
	KeyNone      KeyType = "None"      // no key: each batch goes to one available partition
)

// PartitionKey chooses the key of a record.
type PartitionKey struct {
	// Type says where the key comes from. Default NodeLabel with Label topology.kubernetes.io/zone.
	Type KeyType `json:"type,omitempty"`
	// Label is the label's name for NodeLabel and PodLabel.
	Label string `json:"label,omitempty"`
	// IPv4PrefixLength (default 24) and IPv6PrefixLength (default 64) cut the subnet out of the node's address.
	IPv4PrefixLength int `json:"ipv4PrefixLength,omitempty"`
	IPv6PrefixLength int `json:"ipv6PrefixLength,omitempty"`
	// Value is the key for Static.
	Value string `json:"value,omitempty"`
	// Field is the path of the JSON field, such as "user.id".
	Field string `json:"field,omitempty"`
	// Fallback is the key where there is none: no such label or field. Default: the node's name.
	Fallback string `json:"fallback,omitempty"`
}

// RateLimit delays reading so that one source cannot take all of a node's bandwidth. Nothing is dropped.
type RateLimit struct {
	BytesPerSecond   int64 `json:"bytesPerSecond,omitempty"`
	RecordsPerSecond int64 `json:"recordsPerSecond,omitempty"`
	// PerFile applies the limit to each file instead of to all together.
	PerFile bool `json:"perFile,omitempty"`
}

// Node describes the machine the agent runs on.
type Node struct {
	Name   string            `json:"name,omitempty"`
	IP     string            `json:"ip,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}
