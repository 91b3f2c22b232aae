package v1alpha1

// The types of conditions.
const (
	// ConditionReady sums up the others: the resource does what its spec says.
	ConditionReady = "Ready"
	// ConditionProgressing is true while a change is being rolled out.
	ConditionProgressing = "Progressing"
	// ConditionDegraded is true while something works in part only.
	ConditionDegraded = "Degraded"
	// ConditionAccepted says whether the spec can be carried out.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether the Topic, Secrets and ConfigMaps that the spec names exist.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionTopicReady repeats the Ready condition of the Topic that a LogSource or an HDFSSink uses.
	ConditionTopicReady = "TopicReady"
	// ConditionSynced says whether the topic in Kafka is as the Topic says.
	ConditionSynced = "Synced"
	// ConditionHealthy says whether all partitions of the topic have a leader and all their replicas in sync.
	ConditionHealthy = "Healthy"
	// ConditionConflict is true while the topic in Kafka belongs to someone else.
	ConditionConflict = "Conflict"
	// ConditionRecreated is true if the topic was deleted in Kafka and made again.
	ConditionRecreated = "Recreated"
)

// The reasons of conditions. Each names one problem, or its absence.
const (
	ReasonReady             = "Ready"
	ReasonAccepted          = "Accepted"
	ReasonInvalidSpec       = "InvalidSpec"
	ReasonResolved          = "Resolved"
	ReasonTopicNotFound     = "TopicNotFound"
	ReasonTopicNotReady     = "TopicNotReady"
	ReasonPending           = "Pending"
	ReasonSecretNotFound    = "SecretNotFound"
	ReasonConfigMapNotFound = "ConfigMapNotFound"
	ReasonRollingOut        = "RollingOut"
	ReasonSynced            = "Synced"
	ReasonNotSupported      = "NotSupported"
	ReasonResourceConflict  = "ResourceConflict"
	ReasonUnauthorized      = "Unauthorized"
	ReasonBrokerUnreachable = "BrokerUnreachable"
	ReasonKafkaError        = "KafkaError"
	ReasonUnderReplicated   = "UnderReplicated"
	ReasonOffline           = "Offline"
	ReasonHealthy           = "Healthy"
	ReasonUnknown           = "Unknown"
	ReasonNoConflict        = "NoConflict"
	ReasonTopicExists       = "TopicExists"
	ReasonDrift             = "Drift"
	ReasonRecreated         = "TopicRecreated"
	ReasonNotRecreated      = "SameTopic"
	ReasonDeleting          = "Deleting"
	ReasonInUse             = "InUse"
	ReasonPathNotAllowed    = "PathNotAllowed"
	ReasonNameTaken         = "NameTaken"
	ReasonPodsNotReady      = "PodsNotReady"
	ReasonAllReady          = "AllReady"
	ReasonRolledOut         = "RolledOut"
	ReasonPaused            = "Paused"
	ReasonUnmanaged         = "Unmanaged"
	ReasonNotDeployed       = "NotDeployed"
	ReasonTooManyPods       = "TooManyPods"
	ReasonPodSecurity       = "PodSecurity"
	ReasonError             = "Error"
)
