package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Regexp is a regular expression in RE2 syntax.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
type Regexp string

// Multiline says which lines belong to one record, by exactly one pattern.
//
// +kubebuilder:validation:XValidation:rule="[has(self.startPattern), has(self.continuePattern), has(self.endPattern)].filter(x, x).size() == 1",message="set exactly one of startPattern, continuePattern and endPattern"
type Multiline struct {
	// StartPattern matches the first line of a record.
	//
	// +optional
	StartPattern Regexp `json:"startPattern,omitempty"`

	// ContinuePattern matches the lines that belong to the record before, such as ^\s.
	//
	// +optional
	ContinuePattern Regexp `json:"continuePattern,omitempty"`

	// EndPattern matches the last line of a record.
	//
	// +optional
	EndPattern Regexp `json:"endPattern,omitempty"`

	// Timeout completes a record when no further line has come for so long. Default 5s.
	//
	// +optional
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s')",message="use a positive duration such as 5s"
	Timeout metav1.Duration `json:"timeout,omitempty"`

	// MaxLines bounds a record. Default 500.
	//
	// +optional
	// +kubebuilder:default=500
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxLines int32 `json:"maxLines,omitempty"`
}

// Filter drops or changes records. Exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.drop) != has(self.redact)",message="set exactly one of drop and redact; for both, write two filters"
type Filter struct {
	// Drop drops the records that match.
	//
	// +optional
	Drop *DropFilter `json:"drop,omitempty"`

	// Redact replaces what matches.
	//
	// +optional
	Redact *RedactFilter `json:"redact,omitempty"`
}

// DropFilter drops the records that match.
type DropFilter struct {
	// Match is the expression.
	Match Regexp `json:"match"`
}

// RedactFilter replaces what matches.
type RedactFilter struct {
	// Pattern is the expression.
	Pattern Regexp `json:"pattern"`

	// Replacement may refer to groups as $1 or ${name}. Default ***.
	//
	// +optional
	// +kubebuilder:default="***"
	// +kubebuilder:validation:MaxLength=1024
	Replacement string `json:"replacement,omitempty"`
}

// MetadataField names something known of a record's origin.
//
// +kubebuilder:validation:Enum=file;node;namespace;pod;podUID;container;stream;time;offset
type MetadataField string

// LabelName is the name of a label, such as topology.kubernetes.io/zone.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=317
type LabelName string

// Metadata says what is told of a record's origin, and how.
type Metadata struct {
	// Fields to tell: file, node, namespace, pod, podUID, container, stream, time (of the container runtime) and offset
	// (in the file).
	//
	// +optional
	// +listType=set
	Fields []MetadataField `json:"fields,omitempty"`

	// NodeLabels to tell, as nodeLabel:<name>.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=set
	NodeLabels []LabelName `json:"nodeLabels,omitempty"`

	// PodLabels to tell, as podLabel:<name>.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=set
	PodLabels []LabelName `json:"podLabels,omitempty"`

	// AddFields are told of every record as they are.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="!('message' in self)",message="choose another name than message: that is the line itself"
	AddFields map[string]string `json:"addFields,omitempty"`

	// As says how: as Headers of the record, or as an Envelope, a JSON object {"message": "<the line>", "<field>": ...}
	// in place of the line. Default Headers.
	//
	// +optional
	// +kubebuilder:default=Headers
	As MetadataForm `json:"as,omitempty"`
}

// MetadataForm is how metadata is attached to a record.
//
// +kubebuilder:validation:Enum=Headers;Envelope
type MetadataForm string

// The forms of metadata.
const (
	MetadataHeaders  MetadataForm = "Headers"
	MetadataEnvelope MetadataForm = "Envelope"
)

// Batch bounds a batch of records. The first bound that is reached sends it.
type Batch struct {
	// MaxBytes of keys, values and headers before compression. Default 512Ki, 1Ki to 16Mi, and never above what the
	// topic takes.
	//
	// +optional
	// +kubebuilder:default="512Ki"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self)).compareTo(quantity('16Mi')) <= 0 && quantity(string(self)).isInteger()",message="use a whole number of bytes from 1Ki to 16Mi"
	MaxBytes resource.Quantity `json:"maxBytes,omitempty"`

	// MaxRecords in a batch. Default 10000.
	//
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxRecords int32 `json:"maxRecords,omitempty"`

	// Interval is how long a record may wait for others. Default 200ms, 1ms to 1m.
	//
	// +optional
	// +kubebuilder:default="200ms"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1m')",message="use a duration from 1ms to 1m, such as 200ms"
	Interval metav1.Duration `json:"interval,omitempty"`
}

// PartitionKey says where the key of a record comes from. Exactly one source is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.nodeField), has(self.nodeLabel), has(self.subnet), has(self.podField), has(self.podLabel), has(self.file), has(self.field), has(self.static), has(self.none)].filter(x, x).size() == 1",message="set exactly one of nodeField, nodeLabel, subnet, podField, podLabel, file, field, static and none"
type PartitionKey struct {
	// NodeField takes the node's Name.
	//
	// +optional
	NodeField NodeField `json:"nodeField,omitempty"`

	// NodeLabel takes a label of the node, such as its zone.
	//
	// +optional
	NodeLabel LabelName `json:"nodeLabel,omitempty"`

	// Subnet takes the subnet of the node's address.
	//
	// +optional
	Subnet *SubnetKey `json:"subnet,omitempty"`

	// PodField takes the pod's Namespace, or its Name (as namespace/name).
	//
	// +optional
	PodField PodField `json:"podField,omitempty"`

	// PodLabel takes a label of the pod.
	//
	// +optional
	PodLabel LabelName `json:"podLabel,omitempty"`

	// File takes the path of the file: {}.
	//
	// +optional
	File *FileKey `json:"file,omitempty"`

	// Field takes a field of a JSON record by its path, such as user.id.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Field string `json:"field,omitempty"`

	// Static is one key for all records.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Static string `json:"static,omitempty"`

	// None uses no key: each batch goes to any partition that takes it, and there is no order between batches: {}.
	//
	// +optional
	None *NoKey `json:"none,omitempty"`

	// Fallback is the key of records that have none: no such label or field. Default: the node's name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Fallback string `json:"fallback,omitempty"`
}

// NodeField is a field of a node.
//
// +kubebuilder:validation:Enum=Name
type NodeField string

// NodeFieldName is the node's name.
const NodeFieldName NodeField = "Name"

// PodField is a field of a pod.
//
// +kubebuilder:validation:Enum=Namespace;Name
type PodField string

// The fields of a pod.
const (
	PodFieldNamespace PodField = "Namespace"
	PodFieldName      PodField = "Name"
)

// FileKey takes the path of the file as the key.
type FileKey struct{}

// NoKey uses no key.
type NoKey struct{}

// SubnetKey cuts the subnet out of the node's address.
type SubnetKey struct {
	// IPv4PrefixLength of the subnet. Default 24.
	//
	// +optional
	// +kubebuilder:default=24
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	IPv4PrefixLength int32 `json:"ipv4PrefixLength,omitempty"`

	// IPv6PrefixLength of the subnet. Default 64.
	//
	// +optional
	// +kubebuilder:default=64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	IPv6PrefixLength int32 `json:"ipv6PrefixLength,omitempty"`
}

// PartitionList lists partitions, counted from 0.
//
// +kubebuilder:validation:MinItems=1
// +kubebuilder:validation:MaxItems=1000
// +listType=set
// +kubebuilder:validation:items:Minimum=0
type PartitionList []int32

// Producer says how records are sent.
type Producer struct {
	// Compression of the batches: None, Gzip, Snappy, Lz4 or Zstd. Default Lz4.
	//
	// +optional
	// +kubebuilder:default=Lz4
	Compression BatchCompression `json:"compression,omitempty"`

	// RequestTimeout is how long to wait for the answer to a request. Default 30s, 1s to 10m.
	//
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="use a duration from 1s to 10m, such as 30s"
	RequestTimeout metav1.Duration `json:"requestTimeout,omitempty"`
}

// BatchCompression names a codec of record batches.
//
// +kubebuilder:validation:Enum=None;Gzip;Snappy;Lz4;Zstd
type BatchCompression string

// The codecs of record batches.
const (
	BatchUncompressed BatchCompression = "None"
	BatchGzip         BatchCompression = "Gzip"
	BatchSnappy       BatchCompression = "Snappy"
	BatchLz4          BatchCompression = "Lz4"
	BatchZstd         BatchCompression = "Zstd"
)

// Buffer bounds the memory of an agent.
type Buffer struct {
	// MemoryLimit for records that are not acknowledged yet. At least twice batch.maxBytes. Default 16Mi.
	//
	// +optional
	// +kubebuilder:default="16Mi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('64Gi')) <= 0",message="use a whole number of bytes, at most 64Gi"
	MemoryLimit resource.Quantity `json:"memoryLimit,omitempty"`
}

// RateLimit slows reading down, so that one source can't take all of a node's bandwidth.
//
// +kubebuilder:validation:XValidation:rule="has(self.recordsPerSecond) || has(self.bytesPerSecond)",message="set recordsPerSecond, bytesPerSecond or both"
type RateLimit struct {
	// RecordsPerSecond at most.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	RecordsPerSecond int64 `json:"recordsPerSecond,omitempty"`

	// BytesPerSecond at most, such as 10Mi.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('1')) >= 0",message="use a whole number of bytes, at least 1"
	BytesPerSecond *resource.Quantity `json:"bytesPerSecond,omitempty"`

	// Per says what has the limit: the whole Source on a node, or each File. Default Source.
	//
	// +optional
	// +kubebuilder:default=Source
	Per RateLimitScope `json:"per,omitempty"`
}

// RateLimitScope says what a limit is for.
//
// +kubebuilder:validation:Enum=Source;File
type RateLimitScope string

// What a limit is for.
const (
	RateLimitPerSource RateLimitScope = "Source"
	RateLimitPerFile   RateLimitScope = "File"
)
