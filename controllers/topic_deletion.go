package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
	"github.com/logpipe/logpipe/internal/kafka"
)

// topicFinalizer is on Topics whose topic in Kafka is to be deleted with them. Setting spec.deletionPolicy to Retain
// always releases it.
const topicFinalizer = "logpipe.dev/delete-topic"

// finalize puts the finalizer on and, when the Topic is being deleted, does what it is for. gone tells that there is
// nothing more to do.
func (r *TopicReconciler) finalize(
	ctx context.Context, topic *v1alpha1.Topic, scope *topicScope,
) (gone bool, err error) {
	wanted := topic.Spec.DeletionPolicy == v1alpha1.DeletionDelete && scope.suspended == nil
	deleting := !topic.DeletionTimestamp.IsZero()
	if deleting && wanted && controllerutil.ContainsFinalizer(topic, topicFinalizer) {
		if scope.deleting, err = r.delete(ctx, topic, scope); err != nil || scope.deleting != nil {
			return false, err
		}
		wanted = false
	}
	before := topic.DeepCopy()
	changed := false
	if wanted && !deleting {
		changed = controllerutil.AddFinalizer(topic, topicFinalizer)
	} else {
		changed = controllerutil.RemoveFinalizer(topic, topicFinalizer)
	}
	if changed {
		if err := r.Patch(ctx, topic, client.MergeFrom(before)); err != nil {
			return false, fmt.Errorf("change finalizer: %w", client.IgnoreNotFound(err))
		}
	}
	return deleting, nil
}

// delete deletes the topic in Kafka, or returns what it waits for.
func (r *TopicReconciler) delete(ctx context.Context, topic *v1alpha1.Topic, scope *topicScope) (*verdict, error) {
	if users := userNames(scope); len(users) > 0 {
		return &verdict{v1alpha1.ReasonInUse, fmt.Sprintf("the topic in Kafka is deleted once nothing uses it: delete %s, "+
			"or set spec.deletionPolicy: Retain", strings.Join(users, ", "))}, nil
	}
	if topic.Status.TopicID == "" && !topic.Status.Claimed {
		return nil, nil // it was never ours
	}
	files, _, unresolved, err := r.secrets(ctx, topic.Namespace, &topic.Spec.Kafka)
	if err != nil {
		return nil, err
	}
	failed := unresolved
	if failed == nil {
		ctx, cancel := context.WithTimeout(ctx, r.KafkaTimeout)
		defer cancel()
		err := withKafka(ctx, &topic.Spec.Kafka, files, func(k *kafka.Client, err error) error {
			if err == nil {
				err = r.deleteTopic(ctx, topic, k)
			}
			if err != nil {
				failed = kafkaVerdict(err)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if failed == nil {
		return nil, nil
	}
	left := time.Until(topic.DeletionTimestamp.Add(topic.Spec.DeletionTimeout.Duration))
	if left <= 0 {
		r.warn(topic, "TopicRetained", "topic %s stays in Kafka: %s", topic.NameInKafka(), failed.message)
		return nil, nil
	}
	return &verdict{v1alpha1.ReasonDeleting, fmt.Sprintf("the topic in Kafka can't be deleted yet; it stays there if "+
		"that lasts longer than spec.deletionTimeout (%s), or with spec.deletionPolicy: Retain: %s",
		topic.Spec.DeletionTimeout.Duration, failed.message)}, nil
}

func (r *TopicReconciler) deleteTopic(ctx context.Context, topic *v1alpha1.Topic, k *kafka.Client) error {
	found, err := k.InspectTopic(ctx, kafka.TopicSpec{Name: topic.NameInKafka()})
	if errors.Is(err, kafka.ErrTopicNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if topic.Status.TopicID != "" && found.ID != topic.Status.TopicID {
		r.warn(topic, "TopicRetained", "topic %s stays in Kafka: it has the id %s and is not the one this Topic used (%s)",
			topic.NameInKafka(), found.ID, topic.Status.TopicID)
		return nil
	}
	if err := k.DeleteTopic(ctx, desired.TopicSpec(topic).Name); err != nil {
		return err
	}
	r.events.Eventf(topic, nil, corev1.EventTypeNormal, "TopicDeleted", "Delete", "deleted topic %s", topic.NameInKafka())
	return nil
}

func (r *TopicReconciler) warn(topic *v1alpha1.Topic, reason, note string, args ...any) {
	r.events.Eventf(topic, nil, corev1.EventTypeWarning, reason, "Delete", "%s", eventNote(fmt.Sprintf(note, args...)))
}

func userNames(scope *topicScope) []string {
	var out []string
	for i := range scope.sources {
		out = append(out, "LogSource/"+scope.sources[i].Name)
	}
	for i := range scope.sinks {
		out = append(out, "HDFSSink/"+scope.sinks[i].Name)
	}
	return out
}
