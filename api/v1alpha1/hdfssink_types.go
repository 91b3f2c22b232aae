package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HDFSSink writes the records of a Topic, exactly once and in order per partition, into files on HDFS.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:categories=logpipe,shortName=hsink
// +kubebuilder:printcolumn:name="Topic",type=string,JSONPath=`.spec.topicRef.name`
// +kubebuilder:printcolumn:name="Consumers",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.status.desiredReplicas`
// +kubebuilder:printcolumn:name="Partitions",type=integer,JSONPath=`.status.partitions`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 58",message="metadata.name is longer than 58 characters: objects and labels are named after it, which Kubernetes bounds at 63"
type HDFSSink struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec HDFSSinkSpec `json:"spec"`
	// +optional
	Status HDFSSinkStatus `json:"status,omitempty"`
}

// HDFSSinkSpec says what is read, where it goes, and how files are made of it.
//
// +kubebuilder:validation:XValidation:rule="self.hdfs.url.startsWith('file:') || quantity(string(self.hdfs.blockSize)).sub(quantity(string(self.roll.maxBytes))).compareTo(quantity('64Mi')) >= 0",fieldPath=".roll",message="maxBytes must be at least 64Mi below hdfs.blockSize: a file is one block"
type HDFSSinkSpec struct {
	// TopicRef names the Topic that is read.
	TopicRef TopicRef `json:"topicRef"`

	// Kafka is the cluster. Default: that of the Topic.
	//
	// +optional
	Kafka *KafkaSpec `json:"kafka,omitempty"`

	// ConsumerGroup that the sinks share. Its committed offsets follow what is in HDFS, for tools that show lag. Default
	// logpipe-<namespace>-<name>.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	ConsumerGroup string `json:"consumerGroup,omitempty"`

	// InitialOffset is where a partition starts of which nothing is in HDFS yet. Default Earliest.
	//
	// +optional
	// +kubebuilder:default=Earliest
	InitialOffset InitialOffset `json:"initialOffset,omitempty"`

	// HDFS is where the files go.
	HDFS HDFS `json:"hdfs"`

	// Path is the template of a file's directory below hdfs.url. Times of the record are %Y %m %d %H %M; values are
	// {topic} {partition} {key} {header.<name>}, escaped. Default {topic}/dt=%Y-%m-%d/hr=%H.
	//
	// +optional
	// +kubebuilder:default="{topic}/dt=%Y-%m-%d/hr=%H"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.endsWith('/') && !self.contains('//')",message="remove the slash at the beginning, at the end or doubled: path is relative to hdfs.url"
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[._]')",message="no directory may start with '.' or '_': Hadoop's readers skip such"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9=._/-]|%[YmdHM]|[{](topic|partition|key)[}]|[{]header[.][^{}]+[}])*$')",message="use letters, digits and =._- and the variables %Y %m %d %H %M {topic} {partition} {key} {header.<name>}"
	Path string `json:"path,omitempty"`

	// TimeZone of the times in path, an IANA name such as Europe/Berlin. Default UTC.
	//
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self != 'Local' && self.matches('^[A-Za-z0-9_+/-]+$')",message="use an IANA name such as Europe/Berlin"
	TimeZone string `json:"timeZone,omitempty"`

	// File is the format of the files.
	//
	// +optional
	// +kubebuilder:default={}
	File FileFormat `json:"file,omitempty"`

	// Roll says when the files of a partition are closed and become visible.
	//
	// +optional
	// +kubebuilder:default={}
	Roll Roll `json:"roll,omitempty"`

	// MaxOpenFiles bounds the directories that one partition writes to at once; one more closes all files early.
	// Default 16.
	//
	// +optional
	// +kubebuilder:default=16
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxOpenFiles int32 `json:"maxOpenFiles,omitempty"`

	// Fetch bounds what one sink holds in memory.
	//
	// +optional
	// +kubebuilder:default={}
	Fetch Fetch `json:"fetch,omitempty"`

	// Timeouts bound the waits for HDFS.
	//
	// +optional
	// +kubebuilder:default={}
	Timeouts Timeouts `json:"timeouts,omitempty"`

	// Replicas is how many sinks are wanted; kubectl scale and autoscalers set it. There are never more than partitions
	// and never more than maxReplicas, and so many fewer that each has the same number of partitions, where that costs
	// nothing: of 12 partitions, five sinks would leave one with 3 as four do. Default: as many as partitions.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Replicas *int32 `json:"replicas,omitempty"`

	// MaxReplicas bounds the sinks, however many partitions the topic has. Default 10.
	//
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxReplicas int32 `json:"maxReplicas,omitempty"`

	// Template changes the pods of the sinks.
	//
	// +optional
	Template PodTemplate `json:"template,omitempty"`

	// ManagementState Unmanaged leaves the sinks as they are and only shows their status. Default Managed.
	//
	// +optional
	// +kubebuilder:default=Managed
	ManagementState ManagementState `json:"managementState,omitempty"`
}

// InitialOffset says where a partition starts.
//
// +kubebuilder:validation:Enum=Earliest;Latest
type InitialOffset string

// Where a partition starts.
const (
	Earliest InitialOffset = "Earliest"
	Latest   InitialOffset = "Latest"
)

// HDFS says where the file system is.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.nameNodes) && has(self.configMapRef))",message="set nameNodes or configMapRef, not both"
// +kubebuilder:validation:XValidation:rule="!self.url.startsWith('hdfs:///') || has(self.nameNodes) || has(self.configMapRef)",fieldPath=".url",message="name a host, or set nameNodes or configMapRef"
// +kubebuilder:validation:XValidation:rule="!self.url.startsWith('file:') || !(has(self.nameNodes) || has(self.configMapRef) || has(self.user) || has(self.replication))",fieldPath=".url",message="leave out nameNodes, configMapRef, user and replication: they are for hdfs://"
type HDFS struct {
	// URL of the root directory: hdfs://namenode:8020/logs, or hdfs://nameservice/logs with nameNodes or configMapRef, or
	// file:///logs for a local directory, to try things.
	//
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^(hdfs://[^/?#@ ]*(/[^?#]*)?|file:///[^?#]*)$')",message="use hdfs://namenode:8020/path, hdfs://nameservice/path or file:///path, without user, query and fragment"
	// +kubebuilder:validation:XValidation:rule="!self.matches('/[.]{1,2}(/|$)')",message="leave out '.' and '..': write the path that is meant"
	URL string `json:"url"`

	// NameNodes are the host:port addresses of a highly available pair.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	NameNodes []HostPort `json:"nameNodes,omitempty"`

	// ConfigMapRef names a ConfigMap with core-site.xml and hdfs-site.xml, from which the NameNodes are read.
	//
	// +optional
	ConfigMapRef *ConfigMapRef `json:"configMapRef,omitempty"`

	// User to act as. Default: the user of the process.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`

	// Replication of the files. Default: the server's.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=512
	Replication int32 `json:"replication,omitempty"`

	// BlockSize of the files, a multiple of 512. It is the most that fits in a file. HDFS reserves it on the DataNodes and
	// from the quota for each file while that is being written. Default 256Mi.
	//
	// +optional
	// +kubebuilder:default="256Mi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).asInteger() % 512 == 0",message="use at least 1Mi, and a multiple of 512"
	BlockSize resource.Quantity `json:"blockSize,omitempty"`
}

// FileFormat is the format of the files.
//
// +kubebuilder:validation:XValidation:rule="!has(self.level) || self.compression != 'None'",fieldPath=".level",message="leave it out, or set compression to Gzip or Zstd"
// +kubebuilder:validation:XValidation:rule="!has(self.level) || self.compression != 'Zstd' || self.level <= 4",fieldPath=".level",message="use 1 to 4 for Zstd"
type FileFormat struct {
	// Format of the records: Text writes the line as it is; JSONLines writes an object per record with topic, partition,
	// offset, timestamp, key, headers and value. Default Text.
	//
	// +optional
	// +kubebuilder:default=Text
	Format FileEncoding `json:"format,omitempty"`

	// Compression of the files: None, Gzip or Zstd. Default None.
	//
	// +optional
	// +kubebuilder:default=None
	Compression FileCompression `json:"compression,omitempty"`

	// Level of the compression, 1 (fast) to 9 (small) for Gzip, 1 to 4 for Zstd. Default 1.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9
	Level int32 `json:"level,omitempty"`
}

// FileEncoding names how records follow each other in a file.
//
// +kubebuilder:validation:Enum=Text;JSONLines
type FileEncoding string

// The encodings of records in a file.
const (
	FileText      FileEncoding = "Text"
	FileJSONLines FileEncoding = "JSONLines"
)

// FileCompression names how a file is compressed.
//
// +kubebuilder:validation:Enum=None;Gzip;Zstd
type FileCompression string

// The compressions of a file.
const (
	FileUncompressed FileCompression = "None"
	FileGzip         FileCompression = "Gzip"
	FileZstd         FileCompression = "Zstd"
)

// Roll says when the files of a partition are closed and become visible; the first bound that is reached rolls. All
// files of a partition roll together.
type Roll struct {
	// MaxBytes of one file as written, compressed or not. Default 128Mi, at least 64Ki.
	//
	// +optional
	// +kubebuilder:default="128Mi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('64Ki')) >= 0",message="use a whole number of bytes, at least 64Ki"
	MaxBytes resource.Quantity `json:"maxBytes,omitempty"`

	// MaxRecords in all files of the roll. Default: no bound.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRecords int64 `json:"maxRecords,omitempty"`

	// Interval is the age of a roll, counted by a timer from its first record. Default 5m, at least 100ms.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('100ms')",message="use a duration of 100ms or more, such as 5m"
	Interval metav1.Duration `json:"interval,omitempty"`

	// IdleTimeout rolls when no record came for so long. Default: never before interval.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s')",message="use a positive duration such as 1m"
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`
}

// Fetch bounds what one sink holds in memory.
type Fetch struct {
	// MaxInFlight bounds the answers of Kafka in memory, for all partitions together. Default 2.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	MaxInFlight int32 `json:"maxInFlight,omitempty"`

	// MaxBytes that one request asks for. Default 1Mi, 4Ki to 64Mi.
	//
	// +optional
	// +kubebuilder:default="1Mi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('4Ki')) >= 0 && quantity(string(self)).compareTo(quantity('64Mi')) <= 0",message="use a whole number of bytes from 4Ki to 64Mi"
	MaxBytes resource.Quantity `json:"maxBytes,omitempty"`
}

// Timeouts bound the waits for HDFS. When one has passed, the partition pauses, says so, and tries again.
type Timeouts struct {
	// Call bounds every call to a NameNode, with its repetitions, and every wait for a DataNode. Default 30s, 1s to
	// 10m.
	//
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="use a duration from 1s to 10m, such as 30s"
	Call metav1.Duration `json:"call,omitempty"`
}

// HDFSSinkStatus is what the sinks were last seen to do.
type HDFSSinkStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, Progressing, Degraded, Accepted, ResolvedRefs, TopicReady.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// ConfigHash names the configuration that the sinks should run with.
	//
	// +optional
	ConfigHash string `json:"configHash,omitempty"`

	// Partitions of the topic, which bounds the sinks that are of use.
	//
	// +optional
	Partitions int32 `json:"partitions,omitempty"`

	// Replicas is how many sinks there are.
	//
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// DesiredReplicas is how many sinks there should be.
	//
	// +optional
	DesiredReplicas int32 `json:"desiredReplicas,omitempty"`

	// Selector selects the pods of the sinks, for autoscalers.
	//
	// +optional
	Selector string `json:"selector,omitempty"`

	// ReadyReplicas is how many sinks have their partitions and commit.
	//
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty"`
}

// HDFSSinkList is a list of HDFSSinks.
//
// +kubebuilder:object:root=true
type HDFSSinkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []HDFSSink `json:"items"`
}
