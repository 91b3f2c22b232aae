package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Topic is a topic in Kafka.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=logpipe,shortName=ltopic
// +kubebuilder:printcolumn:name="Topic",type=string,JSONPath=`.status.topicName`
// +kubebuilder:printcolumn:name="Partitions",type=integer,JSONPath=`.status.partitions`
// +kubebuilder:printcolumn:name="RF",type=integer,JSONPath=`.status.replicationFactor`
// +kubebuilder:printcolumn:name="Under-Replicated",type=integer,JSONPath=`.status.underReplicatedPartitions`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="has(self.spec.topicName) || size(self.metadata.name) <= 249",message="spec.topicName is required: metadata.name is longer than the 249 characters Kafka allows"
type Topic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec TopicSpec `json:"spec"`
	// +optional
	Status TopicStatus `json:"status,omitempty"`
}

// TopicSpec says what the topic should be. What is not listed here is left as it is in Kafka.
//
// +kubebuilder:validation:XValidation:rule="has(self.topicName) == has(oldSelf.topicName) && (!has(self.topicName) || self.topicName == oldSelf.topicName)",fieldPath=".topicName",message="topicName can't be changed: Kafka does not rename topics; make a new Topic and point the LogSources and HDFSSinks to it"
// +kubebuilder:validation:XValidation:rule="!has(self.config) || !('min.insync.replicas' in self.config) || !self.config['min.insync.replicas'].matches('^[0-9]{1,5}$') || int(self.config['min.insync.replicas']) <= self.replicationFactor",fieldPath=".config",message="min.insync.replicas must not be above replicationFactor: no record would ever be accepted"
type TopicSpec struct {
	// Kafka is the cluster the topic is in. LogSources and HDFSSinks that use the Topic take it from here.
	Kafka KafkaSpec `json:"kafka"`

	// TopicName is the name in Kafka. Default: metadata.name. It can't be changed.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9._-]+$') && self != '.' && self != '..'",message="use letters, digits, '.', '_' and '-'"
	TopicName string `json:"topicName,omitempty"`

	// Partitions of the topic: at least as many as sinks that read it. They can grow, which moves keys to other
	// partitions, but never shrink.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",message="partitions can't be reduced: Kafka can't merge them; make a new Topic with fewer partitions instead"
	Partitions int32 `json:"partitions"`

	// ReplicationFactor is the number of brokers that hold a copy of each partition. Default 3; a cluster with fewer
	// brokers refuses that.
	//
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32767
	ReplicationFactor int16 `json:"replicationFactor,omitempty"`

	// Config holds topic configurations, such as retention.ms: "604800000". Those that are not listed are not managed.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=100
	Config map[string]ConfigValue `json:"config,omitempty"`

	// AdoptionPolicy says what happens when the topic is in Kafka already before this Topic made it: it is taken over as
	// it is (Adopt), or left alone (MustNotExist). Default Adopt.
	//
	// +optional
	// +kubebuilder:default=Adopt
	AdoptionPolicy AdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// DriftPolicy says what happens to a listed configuration that someone changed in Kafka: it is set again (Revert),
	// or only shown in the status (Report). Default Revert.
	//
	// +optional
	// +kubebuilder:default=Revert
	DriftPolicy DriftPolicy `json:"driftPolicy,omitempty"`

	// DeletionPolicy says what becomes of the topic in Kafka when this Topic is deleted: it stays with all its records
	// (Retain), or is deleted once no LogSource and no HDFSSink uses it (Delete). Default Retain.
	//
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// DeletionTimeout is how long a deletion with the policy Delete waits for a Kafka that does not answer, or does not
	// let the topic be deleted. Then the Topic goes and the topic in Kafka stays. Default 10m.
	//
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s')",message="use a positive duration such as 10m"
	DeletionTimeout metav1.Duration `json:"deletionTimeout,omitempty"`

	// ManagementState Unmanaged leaves the topic as it is and only shows its status. Default Managed.
	//
	// +optional
	// +kubebuilder:default=Managed
	ManagementState ManagementState `json:"managementState,omitempty"`
}

// AdoptionPolicy says whether a topic that exists is taken over.
//
// +kubebuilder:validation:Enum=Adopt;MustNotExist
type AdoptionPolicy string

// Whether a topic that exists is taken over.
const (
	Adopt        AdoptionPolicy = "Adopt"
	MustNotExist AdoptionPolicy = "MustNotExist"
)

// DriftPolicy says what happens to a configuration that someone changed.
//
// +kubebuilder:validation:Enum=Revert;Report
type DriftPolicy string

// What happens to a configuration that someone changed.
const (
	DriftRevert DriftPolicy = "Revert"
	DriftReport DriftPolicy = "Report"
)

// DeletionPolicy says what becomes of the topic in Kafka.
//
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// What becomes of the topic in Kafka.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)

// ConfigValue is the value of a topic configuration; numbers are written in quotes.
//
// +kubebuilder:validation:MaxLength=4096
type ConfigValue string

// TopicStatus is what was found in Kafka.
type TopicStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, ResolvedRefs, Synced, Healthy, Conflict, Recreated.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// TopicName is the name in Kafka.
	//
	// +optional
	TopicName string `json:"topicName,omitempty"`

	// TopicID is Kafka's id of the topic (KIP-516). When it changes, someone deleted the topic and made it again.
	//
	// +optional
	TopicID string `json:"topicID,omitempty"`

	// PreviousTopicID is the id before, if the topic was deleted and made again while this Topic used it.
	//
	// +optional
	PreviousTopicID string `json:"previousTopicID,omitempty"`

	// ClusterID is Kafka's id of the cluster.
	//
	// +optional
	ClusterID string `json:"clusterID,omitempty"`

	// Claimed is set before the topic is made in Kafka, so that it is known afterwards to be this Topic's own.
	//
	// +optional
	Claimed bool `json:"claimed,omitempty"`

	// Partitions that the topic has.
	//
	// +optional
	Partitions int32 `json:"partitions,omitempty"`

	// ReplicationFactor that the topic has.
	//
	// +optional
	ReplicationFactor int16 `json:"replicationFactor,omitempty"`

	// UnderReplicatedPartitions have replicas that are not in sync. It is absent until the topic was seen.
	//
	// +optional
	UnderReplicatedPartitions *int32 `json:"underReplicatedPartitions,omitempty"`

	// OfflinePartitions have no leader.
	//
	// +optional
	OfflinePartitions int32 `json:"offlinePartitions,omitempty"`

	// Leaders tells how many partitions each broker leads.
	//
	// +optional
	// +listType=map
	// +listMapKey=broker
	Leaders []BrokerLeaders `json:"leaders,omitempty"`

	// Drift lists the configurations that are not as specified (driftPolicy Report).
	//
	// +optional
	// +listType=map
	// +listMapKey=key
	Drift []ConfigDrift `json:"drift,omitempty"`

	// UsedBy counts the resources that use the Topic.
	//
	// +optional
	UsedBy TopicUse `json:"usedBy,omitempty"`
}

// BrokerLeaders tells how many partitions a broker leads.
type BrokerLeaders struct {
	// Broker is the broker's id.
	Broker int32 `json:"broker"`

	// Partitions that it leads.
	Partitions int32 `json:"partitions"`
}

// ConfigDrift is a configuration that is not as specified.
type ConfigDrift struct {
	// Key of the configuration.
	Key string `json:"key"`

	// Want is the specified value.
	//
	// +optional
	Want string `json:"want"`

	// Got is the value in Kafka.
	//
	// +optional
	Got string `json:"got"`
}

// TopicUse counts the resources that use a Topic.
type TopicUse struct {
	// Sources counts the LogSources.
	//
	// +optional
	Sources int32 `json:"sources"`

	// Sinks counts the HDFSSinks.
	//
	// +optional
	Sinks int32 `json:"sinks"`
}

// TopicList is a list of Topics.
//
// +kubebuilder:object:root=true
type TopicList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Topic `json:"items"`
}

// NameInKafka is the topic's name in Kafka.
func (t *Topic) NameInKafka() string {
	if t.Spec.TopicName != "" {
		return t.Spec.TopicName
	}
	return t.Name
}
