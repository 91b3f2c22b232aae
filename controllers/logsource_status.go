package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// sourceStatus computes the status of a LogSource from what one reconcile saw.
func sourceStatus(source *v1alpha1.LogSource, scope *sourceScope) {
	status := &source.Status
	status.ObservedGeneration = source.Generation
	if scope.agents != nil && scope.suspended == nil && scope.failed == nil {
		status.ConfigHash = scope.agents.ConfigHash
	}
	status.Agents = v1alpha1.AgentCounts{}
	if set := scope.daemonSet; set != nil {
		status.Agents = v1alpha1.AgentCounts{
			Desired: set.Status.DesiredNumberScheduled, Ready: set.Status.NumberReady,
			Updated: set.Status.UpdatedNumberScheduled,
		}
	}
	c := conditions{source.Generation, &status.Conditions}
	c.good(v1alpha1.ConditionAccepted, scope.rejected, v1alpha1.ReasonAccepted, "")
	c.good(v1alpha1.ConditionResolvedRefs, scope.unresolved, v1alpha1.ReasonResolved, "")
	topicReady(c, scope.topic, scope.topicState)
	pods := daemonSetWorkload(source, scope.daemonSet).conditionsOf(c, scope.suspended)
	if pods == nil && status.Agents.Desired == 0 {
		pods = &verdict{v1alpha1.ReasonNotDeployed, "no node is selected: see spec.template.nodeSelector, affinity and " +
			"tolerations"}
	}
	against := firstOf(scope.rejected, scope.unresolved, scope.failed, scope.topicState, scope.forbidden, pods)
	c.good(v1alpha1.ConditionReady, against, v1alpha1.ReasonReady, fmt.Sprintf("%d agents are ready", status.Agents.Ready))
}

// topicReady shows the state of the Topic beside that of what uses it.
func topicReady(c conditions, topic *v1alpha1.Topic, state *verdict) {
	if topic == nil {
		c.set(v1alpha1.ConditionTopicReady, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "")
		return
	}
	c.good(v1alpha1.ConditionTopicReady, state, v1alpha1.ReasonReady, "")
}
