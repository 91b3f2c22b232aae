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
// +kubebuilder:printcolumn:name="Partitions",type=integer,JSONPath=`.spec.partitions`
// +kubebuilder:printcolumn:name="RF",type=integer,JSONPath=`.spec.replicationFactor`
// +kubebuilder:printcolumn:name="Under-Replicated",type=integer,JSONPath=`.status.underReplicatedPartitions`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
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
}

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

	// Conditions: Ready, Accepted, ResolvedRefs, Synced, Healthy, Conflict.
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

	// Partitions that the topic has.
	//
	// +optional
	Partitions int32 `json:"partitions,omitempty"`

	// ReplicationFactor that the topic has.
	//
	// +optional
	ReplicationFactor int16 `json:"replicationFactor,omitempty"`

	// UnderReplicatedPartitions have replicas that are not in sync.
	//
	// +optional
	UnderReplicatedPartitions int32 `json:"underReplicatedPartitions,omitempty"`
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
