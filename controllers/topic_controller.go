package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
	"github.com/logpipe/logpipe/internal/kafka"
)

// retryInterval is how soon Kafka is asked again after it did not do what was asked.
const retryInterval = 10 * time.Second

// TopicReconciler makes topics in Kafka what Topics say.
type TopicReconciler struct{ base }

// topicScope is everything that is known during one reconcile.
type topicScope struct {
	sources []v1alpha1.LogSource
	sinks   []v1alpha1.HDFSSink

	// unresolved is set if a Secret is missing, rejected if the spec can't be carried out.
	unresolved, rejected *verdict
	// suspended is set if nothing may be changed.
	suspended *verdict
	// conflict is set if the topic in Kafka belongs to someone else.
	conflict *verdict
	// failed is set if Kafka did not do, or did not tell, what was asked.
	failed *verdict
	// found is the topic in Kafka, nil if there is none or that isn't known.
	found *kafka.TopicStatus
	// unsynced is set if found is not what the spec says.
	unsynced *verdict
	// deleting is set while the deletion waits.
	deleting *verdict
}

// +kubebuilder:rbac:groups=logpipe.dev,resources=topics,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=logpipe.dev,resources=topics/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=logpipe.dev,resources=topics/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile brings one topic to what its Topic says, and shows what it is. It comes again after the sync interval.
func (r *TopicReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	topic := &v1alpha1.Topic{}
	if err := r.Get(ctx, req.NamespacedName, topic); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	scope := &topicScope{suspended: suspended(topic, topic.Spec.ManagementState)}
	if scope.sources, scope.sinks, err = r.users(ctx, topic); err != nil {
		return ctrl.Result{}, err
	}
	if gone, err := r.finalize(ctx, topic, scope); gone || err != nil {
		return ctrl.Result{}, err
	}
	before := topic.DeepCopy()
	defer func() {
		topicStatus(topic, scope)
		err = errors.Join(err, r.patchStatus(ctx, before, topic))
	}()
	if topic.DeletionTimestamp.IsZero() {
		if err := r.sync(ctx, topic, scope); err != nil {
			return ctrl.Result{}, err
		}
	}
	if scope.failed != nil || scope.deleting != nil {
		return ctrl.Result{RequeueAfter: retryInterval}, nil
	}
	return ctrl.Result{RequeueAfter: wait.Jitter(r.TopicSyncInterval, 0.1)}, nil
}

// sync compares and changes the topic in Kafka.
func (r *TopicReconciler) sync(ctx context.Context, topic *v1alpha1.Topic, scope *topicScope) error {
	scope.rejected = invalid(v1alpha1.ReasonInvalidSpec, desired.CheckTopic(topic))
	if scope.rejected != nil {
		return nil
	}
	files, _, unresolved, err := r.secrets(ctx, topic.Namespace, &topic.Spec.Kafka)
	if err != nil || unresolved != nil {
		scope.unresolved = unresolved
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.KafkaTimeout)
	defer cancel()
	return withKafka(ctx, &topic.Spec.Kafka, files, func(k *kafka.Client, err error) error {
		if err != nil {
			scope.failed = kafkaVerdict(err)
			return nil
		}
		return r.converge(ctx, topic, scope, k)
	})
}

// converge looks, decides, and acts on one topic.
func (r *TopicReconciler) converge(
	ctx context.Context, topic *v1alpha1.Topic, scope *topicScope, k *kafka.Client,
) error {
	spec := desired.TopicSpec(topic)
	found, err := k.InspectTopic(ctx, spec)
	exists := !errors.Is(err, kafka.ErrTopicNotFound)
	if err != nil && exists {
		scope.failed = kafkaVerdict(err)
		return nil
	}
	topic.Status.ClusterID = found.ClusterID
	if scope.conflict, err = r.rival(ctx, topic); err != nil || scope.conflict != nil {
		return err
	}
	if exists && topic.Spec.AdoptionPolicy == v1alpha1.MustNotExist && !topic.Status.Claimed {
		scope.conflict = notAdopted(topic)
		return nil
	}
	change := topicChange(topic, found, exists)
	if scope.suspended != nil || !change.needed() {
		scope.take(topic, found, exists)
		return nil
	}
	if !exists {
		if err := r.claim(ctx, topic); err != nil {
			return err
		}
	}
	changed, err := k.EnsureTopic(ctx, change.spec)
	if err != nil {
		scope.failed = kafkaVerdict(err)
		return nil
	}
	r.tell(topic, changed)
	if found, err = k.InspectTopic(ctx, spec); err != nil {
		scope.failed = kafkaVerdict(err)
		return nil
	}
	if len(changed.Drift) > 0 {
		found.Drift = nil // brokers hear of a setting one after another
	}
	scope.take(topic, found, true)
	return nil
}

// claim notes that the topic is made by this Topic, before it is: after a crash in between no one else will be thought
// to have made it.
func (r *TopicReconciler) claim(ctx context.Context, topic *v1alpha1.Topic) error {
	if topic.Status.Claimed {
		return nil
	}
	claimed := topic.DeepCopy()
	claimed.Status.Claimed = true
	if err := r.Status().Patch(ctx, claimed, client.MergeFrom(topic)); err != nil {
		return fmt.Errorf("claim topic: %w", err)
	}
	topic.Status.Claimed = true
	return nil
}

// tell tells of a change by an event.
func (r *TopicReconciler) tell(topic *v1alpha1.Topic, changed kafka.TopicStatus) {
	event := func(reason, note string, args ...any) {
		r.events.Eventf(topic, nil, corev1.EventTypeNormal, reason, "Sync", note, args...)
	}
	name := topic.NameInKafka()
	if changed.Created {
		event("TopicCreated", "created topic %s with %d partitions", name, changed.Partitions)
	}
	if changed.Grown {
		event("TopicGrown", "topic %s has %d partitions now: keys move to other partitions", name, changed.Partitions)
	}
	for _, d := range changed.Drift {
		event("DriftReverted", "set %s of topic %s to %q, it was %q", d.Key, name, d.Want, d.Got)
	}
}

func (r *TopicReconciler) setup(mgr ctrl.Manager) error {
	whole := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.Topic{}, builder.WithPredicates(specOrOrders)).
		Watches(&v1alpha1.LogSource{}, handler.EnqueueRequestsFromMapFunc(topicUsed), whole).
		Watches(&v1alpha1.HDFSSink{}, handler.EnqueueRequestsFromMapFunc(topicUsed), whole).
		WatchesMetadata(metadataOf("Secret"), handler.EnqueueRequestsFromMapFunc(r.topicsWithSecret)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}). // a broker that is away holds one for a while
		Named("topic").
		Complete(r)
}

func metadataOf(kind string) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.APIVersion, object.Kind = "v1", kind
	return object
}
