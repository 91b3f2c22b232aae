package controllers

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// HDFSSinkReconciler makes sinks of HDFSSinks.
type HDFSSinkReconciler struct{ base }

// sinkScope is everything that is known during one reconcile.
type sinkScope struct {
	topic *v1alpha1.Topic
	refs  []desired.ObjectVersion
	// sinks is what there should be, set if nothing stands against it.
	sinks *desired.Sinks
	// deployment is what there is, nil if there is none.
	deployment *appsv1.Deployment

	// unresolved is set if the Topic, a Secret or the ConfigMap is missing, rejected if the spec can't be carried out.
	unresolved, rejected *verdict
	// topicState is set if the Topic is not Ready.
	topicState *verdict
	// suspended is set if nothing may be changed.
	suspended *verdict
	// failed is set if an object could not be made.
	failed *verdict
}

// +kubebuilder:rbac:groups=logpipe.dev,resources=hdfssinks,verbs=get;list;watch
// +kubebuilder:rbac:groups=logpipe.dev,resources=hdfssinks/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=logpipe.dev,resources=hdfssinks/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch

// Reconcile makes the Deployment of one HDFSSink, sized to its topic, and what belongs to it. While something stands
// against that, what is there goes on running with its last good configuration.
func (r *HDFSSinkReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	sink := &v1alpha1.HDFSSink{}
	if err := r.Get(ctx, req.NamespacedName, sink); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !sink.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the garbage collector deletes what it owns
	}
	before, scope := sink.DeepCopy(), &sinkScope{suspended: suspended(sink, sink.Spec.ManagementState)}
	defer func() {
		if err == nil || scope.failed != nil {
			sinkStatus(sink, scope)
			err = errors.Join(err, r.patchStatus(ctx, before, sink))
		}
	}()
	if err := r.gather(ctx, sink, scope); err != nil {
		return ctrl.Result{}, err
	}
	if scope.sinks == nil || scope.suspended != nil {
		return ctrl.Result{}, nil
	}
	if scope.deployment, err = r.applySinks(ctx, sink, scope.sinks); err != nil {
		scope.failed = applyVerdict(err)
	}
	return ctrl.Result{}, err
}

// gather reads everything that the sinks depend on, and renders them if they can be.
func (r *HDFSSinkReconciler) gather(ctx context.Context, sink *v1alpha1.HDFSSink, scope *sinkScope) (err error) {
	if scope.deployment, err = r.existing(ctx, sink); err != nil {
		return err
	}
	scope.topic, scope.unresolved, err = r.topicOf(ctx, sink.Namespace, sink.Spec.TopicRef)
	if err != nil || scope.topic == nil {
		return err
	}
	scope.topicState = topicState(scope.topic)
	problems := append(desired.CheckSink(sink, scope.topic), desired.CheckSinkPod(sink)...)
	if scope.rejected = invalid(v1alpha1.ReasonInvalidSpec, problems); scope.rejected != nil {
		return nil
	}
	if scope.rejected, err = r.rival(ctx, sink, scope.topic); err != nil || scope.rejected != nil {
		return err
	}
	_, secrets, unresolved, err := r.secrets(ctx, sink.Namespace, desired.KafkaOf(sink.Spec.Kafka, scope.topic))
	if err != nil || unresolved != nil {
		scope.unresolved = unresolved
		return err
	}
	configMaps, unresolved, err := r.hadoopConfig(ctx, sink)
	if err != nil || unresolved != nil {
		scope.unresolved = unresolved
		return err
	}
	if scope.topic.Status.Partitions == 0 {
		return nil // topicState tells; how many sinks there should be is not known
	}
	scope.refs = append(secrets, configMaps...)
	scope.sinks, err = desired.NewSinks(desired.SinksInput{
		Sink: sink, Topic: scope.topic, Refs: scope.refs, Options: r.Objects,
	})
	return err
}

// rival returns who else reads the topic in the same consumer group: each would get a part of it. The older one keeps
// it.
func (r *HDFSSinkReconciler) rival(
	ctx context.Context, sink *v1alpha1.HDFSSink, topic *v1alpha1.Topic,
) (*verdict, error) {
	if sink.Spec.ConsumerGroup == "" {
		return nil, nil // it has the sink's namespace and name in it
	}
	var all v1alpha1.HDFSSinkList
	if err := r.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("list HDFSSinks: %w", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == sink.UID || other.Spec.ConsumerGroup != sink.Spec.ConsumerGroup || !older(other, sink) {
			continue
		}
		otherTopic := &v1alpha1.Topic{}
		err := r.Get(ctx, client.ObjectKey{Namespace: other.Namespace, Name: string(other.Spec.TopicRef.Name)}, otherTopic)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil && sameTopic(otherTopic, topic) {
			return &verdict{v1alpha1.ReasonInvalidSpec, fmt.Sprintf("spec.consumerGroup: Duplicate value: %q: HDFSSink %s/%s "+
				"reads the same topic in the same group, so that each would get a part of it: choose another name",
				sink.Spec.ConsumerGroup, other.Namespace, other.Name)}, nil
		}
	}
	return nil, nil
}

// existing returns the Deployment that there is, nil if there is none.
func (r *HDFSSinkReconciler) existing(ctx context.Context, sink *v1alpha1.HDFSSink) (*appsv1.Deployment, error) {
	found := &appsv1.Deployment{}
	err := r.Get(ctx, client.ObjectKey{Namespace: sink.Namespace, Name: desired.SinkName(sink)}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

func (r *HDFSSinkReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.HDFSSink{}, builder.WithPredicates(specOrOrders)).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Watches(&v1alpha1.Topic{}, handler.EnqueueRequestsFromMapFunc(r.sinksOf)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.sinksWithConfigMap)).
		WatchesMetadata(metadataOf("Secret"), handler.EnqueueRequestsFromMapFunc(r.sinksWithSecret)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Named("hdfssink").
		Complete(r)
}
