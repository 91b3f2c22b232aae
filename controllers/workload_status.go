package controllers

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

const podSecurityLabel = "pod-security.kubernetes.io/enforce"

// podSecurity tells whether a namespace keeps agents from running.
func podSecurity(namespace *corev1.Namespace) *verdict {
	level := namespace.Labels[podSecurityLabel]
	if level != "baseline" && level != "restricted" {
		return nil
	}
	return &verdict{v1alpha1.ReasonPodSecurity, fmt.Sprintf("namespace %s enforces the Pod Security level %s, which "+
		"forbids pods to read directories of the node: label it %s=privileged, or move the LogSource to a namespace that is",
		namespace.Name, level, podSecurityLabel)}
}

// applyVerdict words why an object could not be made.
func applyVerdict(err error) *verdict {
	if errors.Is(err, errNameTaken) {
		return &verdict{v1alpha1.ReasonNameTaken, stable(err)}
	}
	return &verdict{v1alpha1.ReasonError, stable(err)}
}

// workload is what a DaemonSet and a Deployment have in common.
type workload struct {
	kind, name, namespace, selector string
	// current tells whether its controller has seen the newest spec.
	current                bool
	wanted, updated, ready int32
}

// conditionsOf sets Progressing and Degraded and returns what stands against Ready.
func (w *workload) conditionsOf(c conditions, suspended *verdict) *verdict {
	if w == nil {
		c.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonNotDeployed, "")
		c.set(v1alpha1.ConditionDegraded, metav1.ConditionFalse, v1alpha1.ReasonNotDeployed, "")
		return &verdict{v1alpha1.ReasonNotDeployed, "no pod was made yet"}
	}
	var rolling, degraded *verdict
	if !w.current || w.updated < w.wanted {
		rolling = &verdict{v1alpha1.ReasonRollingOut, fmt.Sprintf("%d of %d pods are updated, %d are ready%s",
			w.updated, w.wanted, w.ready, w.hint())}
	} else if w.ready < w.wanted {
		degraded = &verdict{v1alpha1.ReasonPodsNotReady, fmt.Sprintf("%d of %d pods are not ready%s",
			w.wanted-w.ready, w.wanted, w.hint())}
	}
	if suspended != nil {
		c.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, suspended.reason, suspended.message)
	} else {
		c.bad(v1alpha1.ConditionProgressing, rolling, v1alpha1.ReasonRolledOut)
	}
	c.bad(v1alpha1.ConditionDegraded, degraded, v1alpha1.ReasonAllReady)
	return firstOf(rolling, degraded)
}

// hint says where to look.
func (w *workload) hint() string {
	return fmt.Sprintf(": see kubectl -n %s describe %s %s, and kubectl -n %s logs -l %s",
		w.namespace, w.kind, w.name, w.namespace, w.selector)
}

func daemonSetWorkload(source *v1alpha1.LogSource, set *appsv1.DaemonSet) *workload {
	if set == nil {
		return nil
	}
	return &workload{
		kind: "daemonset", name: set.Name, namespace: set.Namespace, selector: desired.AgentSelector(source),
		current: set.Status.ObservedGeneration == set.Generation,
		wanted:  set.Status.DesiredNumberScheduled, updated: set.Status.UpdatedNumberScheduled, ready: set.Status.NumberReady,
	}
}

func deploymentWorkload(s *v1alpha1.HDFSSink, d *appsv1.Deployment) *workload {
	if d == nil {
		return nil
	}
	w := &workload{
		kind: "deployment", name: d.Name, namespace: d.Namespace, selector: desired.SinkSelector(s),
		current: d.Status.ObservedGeneration == d.Generation,
		updated: d.Status.UpdatedReplicas, ready: d.Status.ReadyReplicas,
	}
	if d.Spec.Replicas != nil {
		w.wanted = *d.Spec.Replicas
	}
	return w
}
