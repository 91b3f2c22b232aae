package controllers

import (
	"fmt"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// sinkStatus computes the status of an HDFSSink from what one reconcile saw.
func sinkStatus(sink *v1alpha1.HDFSSink, scope *sinkScope) {
	status := &sink.Status
	status.ObservedGeneration = sink.Generation
	status.Selector = desired.SinkSelector(sink)
	if scope.sinks != nil && scope.suspended == nil && scope.failed == nil {
		status.ConfigHash, status.DesiredReplicas = scope.sinks.ConfigHash, scope.sinks.Replicas
	}
	if scope.topic != nil {
		status.Partitions = scope.topic.Status.Partitions
	}
	status.Replicas, status.ReadyReplicas = 0, 0
	if d := scope.deployment; d != nil {
		status.Replicas, status.ReadyReplicas = d.Status.Replicas, d.Status.ReadyReplicas
	}
	c := conditions{sink.Generation, &status.Conditions}
	c.good(v1alpha1.ConditionAccepted, scope.rejected, v1alpha1.ReasonAccepted, "")
	c.good(v1alpha1.ConditionResolvedRefs, scope.unresolved, v1alpha1.ReasonResolved, "")
	topicReady(c, scope.topic, scope.topicState)
	pods := deploymentWorkload(sink, scope.deployment).conditionsOf(c, scope.suspended)
	c.good(v1alpha1.ConditionReady, firstOf(scope.rejected, scope.unresolved, scope.failed, scope.topicState, pods),
		v1alpha1.ReasonReady, fmt.Sprintf("%d sinks share %d partitions", status.ReadyReplicas, status.Partitions))
}
