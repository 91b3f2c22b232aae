package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// LogSource reads log files on every node and writes their lines, exactly once and in order, into a Topic.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=logpipe,shortName=lsrc
// +kubebuilder:printcolumn:name="Topic",type=string,JSONPath=`.spec.topicRef.name`
// +kubebuilder:printcolumn:name="Agents",type=integer,JSONPath=`.status.agents.ready`
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.status.agents.desired`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 57",message="metadata.name is longer than 57 characters: objects and labels are named after it, which Kubernetes bounds at 63"
type LogSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec LogSourceSpec `json:"spec"`
	// +optional
	Status LogSourceStatus `json:"status,omitempty"`
}

// LogSourceSpec says which files are read, how their bytes become records, and where those go.
//
// +kubebuilder:validation:XValidation:rule="quantity(string(self.maxRecordBytes)).compareTo(quantity(string(self.batch.maxBytes))) <= 0",fieldPath=".maxRecordBytes",message="maxRecordBytes must be at most batch.maxBytes: a record must fit in a batch"
// +kubebuilder:validation:XValidation:rule="quantity(string(self.buffer.memoryLimit)).compareTo(quantity(string(self.batch.maxBytes)).add(quantity(string(self.batch.maxBytes)))) >= 0",fieldPath=".buffer",message="memoryLimit must be at least twice batch.maxBytes: one batch is filled while another is under way"
type LogSourceSpec struct {
	// TopicRef names the Topic that the lines go to.
	TopicRef TopicRef `json:"topicRef"`

	// Kafka is the cluster. Default: that of the Topic.
	//
	// +optional
	Kafka *KafkaSpec `json:"kafka,omitempty"`

	// Inputs name what is read.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Inputs []Input `json:"inputs"`

	// StartAt says where reading starts in files that are there when an agent first runs. Files that appear later are
	// always read from their beginning. Default Beginning.
	//
	// +optional
	// +kubebuilder:default=Beginning
	StartAt StartAt `json:"startAt,omitempty"`

	// Rotation says how rotated files are treated. A renamed file is always read to its end.
	//
	// +optional
	// +kubebuilder:default={}
	Rotation Rotation `json:"rotation,omitempty"`

	// Decode says how lines are framed: as they are (Raw), as container runtimes write them (CRI, Docker), or as found in
	// each file's first line (Auto). Default Auto.
	//
	// +optional
	// +kubebuilder:default=Auto
	Decode Decoder `json:"decode,omitempty"`

	// Multiline joins several lines into one record. Default: every line is a record.
	//
	// +optional
	Multiline *Multiline `json:"multiline,omitempty"`

	// MaxRecordBytes bounds one record, joined ones included; oversizePolicy says what becomes of longer ones. At most
	// batch.maxBytes and what the topic takes (max.message.bytes). Default 256Ki, at least 256.
	//
	// +optional
	// +kubebuilder:default="256Ki"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('256')) >= 0 && quantity(string(self)).isInteger()",message="use a whole number of bytes, at least 256"
	MaxRecordBytes resource.Quantity `json:"maxRecordBytes,omitempty"`

	// OversizePolicy says what becomes of a record longer than maxRecordBytes: it is cut into several (Split), only its
	// beginning is kept (Truncate), or nothing (Drop). What is lost is counted. Default Split.
	//
	// +optional
	// +kubebuilder:default=Split
	OversizePolicy OversizePolicy `json:"oversizePolicy,omitempty"`

	// Filters drop or change records, in this order.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Filters []Filter `json:"filters,omitempty"`

	// Metadata says what is told of a record's origin.
	//
	// +optional
	Metadata *Metadata `json:"metadata,omitempty"`

	// Delivery says how often a line may come: once (ExactlyOnce), or now and then twice (AtLeastOnce). With AtLeastOnce
	// an agent does not wait until its journal is on the disk before it sends, which saves a sync of the disk for every
	// few batches. In exchange, after a crash of the agent or an interruption, it reads and sends again what it has not
	// noted as acknowledged: about a second's worth, and what was in flight. No line is lost either way. Default
	// ExactlyOnce.
	//
	// +optional
	// +kubebuilder:default=ExactlyOnce
	Delivery Delivery `json:"delivery,omitempty"`

	// Batch bounds a batch of records.
	//
	// +optional
	// +kubebuilder:default={}
	Batch Batch `json:"batch,omitempty"`

	// PartitionKey chooses the key of a record. Records of one key go to one partition and stay in order. Default:
	// nodeLabel topology.kubernetes.io/zone.
	//
	// +optional
	// +kubebuilder:default={nodeLabel: "topology.kubernetes.io/zone"}
	PartitionKey PartitionKey `json:"partitionKey,omitempty"`

	// Assignment lists the partitions that a key may use, instead of hashing it (murmur2, as Java's clients do) over
	// all of them. A few keys on many partitions would leave most of these idle.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=1000
	Assignment map[string]PartitionList `json:"assignment,omitempty"`

	// Producer says how records are sent. All replicas in sync must have a record, always.
	//
	// +optional
	// +kubebuilder:default={}
	Producer Producer `json:"producer,omitempty"`

	// Buffer bounds what an agent keeps in memory. When it is full, reading waits: the files are the real buffer.
	//
	// +optional
	// +kubebuilder:default={}
	Buffer Buffer `json:"buffer,omitempty"`

	// RateLimit slows reading down. Nothing is dropped. Default: as fast as Kafka takes it.
	//
	// +optional
	RateLimit *RateLimit `json:"rateLimit,omitempty"`

	// Template changes the pods of the agents.
	//
	// +optional
	Template PodTemplate `json:"template,omitempty"`

	// UpdateStrategy says how a change reaches the agents.
	//
	// +optional
	// +kubebuilder:default={}
	UpdateStrategy AgentUpdateStrategy `json:"updateStrategy,omitempty"`

	// ManagementState Unmanaged leaves the agents as they are and only shows their status. Default Managed.
	//
	// +optional
	// +kubebuilder:default=Managed
	ManagementState ManagementState `json:"managementState,omitempty"`
}

// AgentUpdateStrategy says how a change reaches the agents.
type AgentUpdateStrategy struct {
	// MaxUnavailable is how many agents may be down at the same time, a number or a percentage of the nodes. The files
	// are the buffer meanwhile. Default 10%.
	//
	// +optional
	// +kubebuilder:default="10%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) > 0 : string(self).matches('^([1-9][0-9]?|100)%$')",message="use a number above 0, or a percentage from 1% to 100%"
	MaxUnavailable intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// StartAt says where reading starts in a file.
//
// +kubebuilder:validation:Enum=Beginning;End
type StartAt string

// Where reading starts.
const (
	StartAtBeginning StartAt = "Beginning"
	StartAtEnd       StartAt = "End"
)

// Decoder names how lines are framed in a file.
//
// +kubebuilder:validation:Enum=Auto;Raw;CRI;Docker
type Decoder string

// The decoders.
const (
	DecodeAuto   Decoder = "Auto"
	DecodeRaw    Decoder = "Raw"
	DecodeCRI    Decoder = "CRI"
	DecodeDocker Decoder = "Docker"
)

// OversizePolicy names what becomes of a record that is too long.
//
// +kubebuilder:validation:Enum=Split;Truncate;Drop
type OversizePolicy string

// The policies for records that are too long.
const (
	OversizeSplit    OversizePolicy = "Split"
	OversizeTruncate OversizePolicy = "Truncate"
	OversizeDrop     OversizePolicy = "Drop"
)

// Delivery names how often a line may come.
//
// +kubebuilder:validation:Enum=ExactlyOnce;AtLeastOnce
type Delivery string

// The ways to deliver.
const (
	DeliveryExactlyOnce Delivery = "ExactlyOnce"
	DeliveryAtLeastOnce Delivery = "AtLeastOnce"
)

// LogSourceStatus is what the agents were last seen to do.
type LogSourceStatus struct {
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

	// ConfigHash names the configuration that the agents should run with.
	//
	// +optional
	ConfigHash string `json:"configHash,omitempty"`

	// Agents counts the agents.
	//
	// +optional
	Agents AgentCounts `json:"agents,omitempty"`
}

// AgentCounts counts the agents of a LogSource, one per node.
type AgentCounts struct {
	// Desired is how many there should be.
	//
	// +optional
	Desired int32 `json:"desired"`

	// Ready is how many deliver lines.
	//
	// +optional
	Ready int32 `json:"ready"`

	// Updated is how many run with the current configuration.
	//
	// +optional
	Updated int32 `json:"updated"`
}

// LogSourceList is a list of LogSources.
//
// +kubebuilder:object:root=true
type LogSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []LogSource `json:"items"`
}
