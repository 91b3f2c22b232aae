package controllers

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// verdict is why something is not as it should be, ready to be shown; nil says that all is well.
type verdict struct{ reason, message string }

// conditions are the conditions of one resource while its status is computed.
type conditions struct {
	generation int64
	list       *[]metav1.Condition
}

// set sets a condition, and with that the moment of its last change.
func (c conditions) set(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(c.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: bounded(message), ObservedGeneration: c.generation,
	})
}

// good sets a condition that is true unless there is something against it.
func (c conditions) good(kind string, against *verdict, reason, message string) {
	if against != nil {
		c.set(kind, metav1.ConditionFalse, against.reason, against.message)
		return
	}
	c.set(kind, metav1.ConditionTrue, reason, message)
}

// bad sets a condition that is true if there is something to tell.
func (c conditions) bad(kind string, tell *verdict, reason string) {
	if tell != nil {
		c.set(kind, metav1.ConditionTrue, tell.reason, tell.message)
		return
	}
	c.set(kind, metav1.ConditionFalse, reason, "")
}

// maxMessage is below what the API allows for the message of a condition, 32 KiB.
const maxMessage = 8 << 10

func bounded(message string) string {
	if len(message) > maxMessage {
		message = message[:maxMessage] + "..."
	}
	return strings.ToValidUTF8(message, "?")
}

// ownPort is our side of a connection in an error of the network: another one each time, and every change of a message
// is a write.
var ownPort = regexp.MustCompile(`\b(read|write) (tcp|udp) \S+->`)

// stable takes out of an error's text what differs each time.
func stable(err error) string { return ownPort.ReplaceAllString(err.Error(), "$1 $2 ") }

// firstOf returns the first verdict that there is.
func firstOf(verdicts ...*verdict) *verdict {
	for _, v := range verdicts {
		if v != nil {
			return v
		}
	}
	return nil
}

// invalid words problems of a spec.
func invalid(reason string, problems []desired.Problem) *verdict {
	if len(problems) == 0 {
		return nil
	}
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.Field + ": " + p.Message
	}
	return &verdict{reason, strings.Join(texts, "; ")}
}

// resource is one of ours, whose conditions are known.
type resource interface {
	client.Object
	StatusConditions() []metav1.Condition
}

// patchStatus writes the status if it changed, and tells of a change of Ready by an event.
func (b *base) patchStatus(ctx context.Context, before, after resource) error {
	patch := client.MergeFrom(before)
	data, err := patch.Data(after)
	if err != nil {
		return fmt.Errorf("compare status: %w", err)
	}
	if string(data) == "{}" {
		return nil
	}
	ready := meta.FindStatusCondition(after.StatusConditions(), v1alpha1.ConditionReady)
	was := meta.FindStatusCondition(before.StatusConditions(), v1alpha1.ConditionReady)
	if err := b.Status().Patch(ctx, after, patch); err != nil {
		return fmt.Errorf("patch status: %w", client.IgnoreNotFound(err))
	}
	if ready == nil || was != nil && was.Status == ready.Status && was.Reason == ready.Reason {
		return nil
	}
	kind := corev1.EventTypeWarning
	if ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonRollingOut ||
		ready.Reason == v1alpha1.ReasonPending {
		kind = corev1.EventTypeNormal
	}
	b.events.Eventf(after, nil, kind, ready.Reason, "Reconcile", "%s", eventNote(ready.Message))
	return nil
}

// eventNote keeps a note below the 1 KiB that the API allows.
func eventNote(message string) string {
	if len(message) > 1000 {
		return strings.ToValidUTF8(message[:1000], "") + "..."
	}
	return message
}

// suspended tells why a resource is not to be touched.
func suspended(object client.Object, state v1alpha1.ManagementState) *verdict {
	if object.GetAnnotations()[v1alpha1.PausedAnnotation] == "true" {
		return &verdict{v1alpha1.ReasonPaused,
			"nothing is changed while the annotation " + v1alpha1.PausedAnnotation + " is \"true\""}
	}
	if state == v1alpha1.Unmanaged {
		return &verdict{v1alpha1.ReasonUnmanaged, "nothing is changed while spec.managementState is Unmanaged"}
	}
	return nil
}
