package controllers

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/internal/kafka"
)

// topicStatus computes the status of a Topic from what one reconcile saw. What was not seen this time stays as it was.
func topicStatus(topic *v1alpha1.Topic, scope *topicScope) {
	status := &topic.Status
	status.ObservedGeneration = topic.Generation
	status.TopicName = topic.NameInKafka()
	status.UsedBy = v1alpha1.TopicUse{Sources: int32(len(scope.sources)), Sinks: int32(len(scope.sinks))}
	if scope.found != nil {
		fillFound(status, scope.found)
	}
	c := conditions{topic.Generation, &status.Conditions}
	c.good(v1alpha1.ConditionAccepted, scope.rejected, v1alpha1.ReasonAccepted, "")
	c.good(v1alpha1.ConditionResolvedRefs, scope.unresolved, v1alpha1.ReasonResolved, "")
	c.bad(v1alpha1.ConditionConflict, scope.conflict, v1alpha1.ReasonNoConflict)
	c.bad(v1alpha1.ConditionRecreated, recreated(status), v1alpha1.ReasonNotRecreated)
	blocked := firstOf(scope.deleting, scope.rejected, scope.unresolved, scope.conflict, scope.failed)
	unhealthy := health(status)
	if scope.found == nil {
		c.set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "not seen in Kafka")
	} else {
		c.good(v1alpha1.ConditionHealthy, unhealthy, v1alpha1.ReasonHealthy, "")
	}
	synced := fmt.Sprintf("topic %s has %d partitions, replication factor %d",
		status.TopicName, status.Partitions, status.ReplicationFactor)
	if scope.suspended != nil {
		synced += "; " + scope.suspended.message
	}
	c.good(v1alpha1.ConditionSynced, firstOf(blocked, scope.unsynced), v1alpha1.ReasonSynced, synced)
	if status.OfflinePartitions == 0 {
		unhealthy = nil // fewer replicas than there should be: it works, and Healthy tells
	}
	c.good(v1alpha1.ConditionReady, firstOf(blocked, scope.unsynced, unhealthy), v1alpha1.ReasonReady, synced)
}

func fillFound(status *v1alpha1.TopicStatus, found *kafka.TopicStatus) {
	if status.TopicID != "" && status.TopicID != found.ID {
		status.PreviousTopicID = status.TopicID
	}
	status.TopicID, status.ClusterID = found.ID, found.ClusterID
	status.Partitions, status.ReplicationFactor = found.Partitions, found.ReplicationFactor
	status.UnderReplicatedPartitions, status.OfflinePartitions = &found.UnderReplicated, found.Offline
	status.Leaders, status.Drift = nil, nil
	for _, broker := range slices.Sorted(maps.Keys(found.Leaders)) {
		status.Leaders = append(status.Leaders, v1alpha1.BrokerLeaders{
			Broker: broker, Partitions: found.Leaders[broker],
		})
	}
	for _, d := range found.Drift {
		status.Drift = append(status.Drift, v1alpha1.ConfigDrift{Key: d.Key, Want: d.Want, Got: d.Got})
	}
}

func recreated(status *v1alpha1.TopicStatus) *verdict {
	if status.PreviousTopicID == "" {
		return nil
	}
	return &verdict{v1alpha1.ReasonRecreated, fmt.Sprintf("topic %s was deleted and made again in Kafka (id %s, before "+
		"%s): records that were not in HDFS then are lost; agents go on with a new producer id; HDFSSinks stop: make one of "+
		"another name for the new topic, or move what is below _logpipe in its root away",
		status.TopicName, status.TopicID, status.PreviousTopicID)}
}

func health(status *v1alpha1.TopicStatus) *verdict {
	switch {
	case status.OfflinePartitions > 0:
		return &verdict{v1alpha1.ReasonOffline, fmt.Sprintf("%d of %d partitions have no leader: see to the brokers that "+
			"hold their replicas", status.OfflinePartitions, status.Partitions)}
	case underReplicated(status) > 0:
		return &verdict{v1alpha1.ReasonUnderReplicated, fmt.Sprintf("%d of %d partitions have replicas that are not in "+
			"sync: a broker is away or behind", underReplicated(status), status.Partitions)}
	default:
		return nil
	}
}

func underReplicated(status *v1alpha1.TopicStatus) int32 {
	return ptr.Deref(status.UnderReplicatedPartitions, 0)
}
