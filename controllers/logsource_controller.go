package controllers

import (
	"context"
	"errors"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// LogSourceReconciler makes agents of LogSources.
type LogSourceReconciler struct{ base }

// sourceScope is everything that is known during one reconcile.
type sourceScope struct {
	topic     *v1alpha1.Topic
	secrets   []desired.ObjectVersion
	hostPaths []string
	facts     *corev1ac.ConfigMapApplyConfiguration
	// agents is what there should be, set if nothing stands against it.
	agents *desired.Agents
	// daemonSet is what there is, nil if there is none.
	daemonSet *appsv1.DaemonSet

	// unresolved is set if the Topic or a Secret is missing, rejected if the spec can't be carried out.
	unresolved, rejected *verdict
	// topicState is set if the Topic is not Ready.
	topicState *verdict
	// suspended is set if nothing may be changed.
	suspended *verdict
	// forbidden is set if the namespace does not let agents run.
	forbidden *verdict
	// failed is set if an object could not be made.
	failed *verdict
}

// +kubebuilder:rbac:groups=logpipe.dev,resources=logsources,verbs=get;list;watch
// +kubebuilder:rbac:groups=logpipe.dev,resources=logsources/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=logpipe.dev,resources=logsources/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=daemonsets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=configmaps;serviceaccounts,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=nodes;pods,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=get;create;patch

// Reconcile makes the DaemonSet of one LogSource, and what belongs to it. While something stands against that, what is
// there goes on running with its last good configuration.
func (r *LogSourceReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	source := &v1alpha1.LogSource{}
	if err := r.Get(ctx, req.NamespacedName, source); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !source.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the garbage collector deletes what it owns
	}
	before, scope := source.DeepCopy(), &sourceScope{suspended: suspended(source, source.Spec.ManagementState)}
	defer func() {
		if err == nil || scope.failed != nil {
			sourceStatus(source, scope)
			err = errors.Join(err, r.patchStatus(ctx, before, source))
		}
	}()
	if err := r.gather(ctx, source, scope); err != nil {
		return ctrl.Result{}, err
	}
	if scope.agents == nil || scope.suspended != nil {
		return ctrl.Result{}, nil
	}
	scope.daemonSet, err = r.applyAgents(ctx, source, scope.facts, scope.agents)
	if err != nil {
		scope.failed = applyVerdict(err)
		return ctrl.Result{}, err
	}
	scope.forbidden, err = r.forbidden(ctx, source, scope.daemonSet)
	return ctrl.Result{}, err
}

// gather reads everything that the agents depend on, and renders them if they can be.
func (r *LogSourceReconciler) gather(ctx context.Context, source *v1alpha1.LogSource, scope *sourceScope) (err error) {
	if scope.daemonSet, err = r.existing(ctx, source); err != nil {
		return err
	}
	var problems []desired.Problem
	scope.hostPaths, problems = desired.HostPaths(source, r.HostRoots)
	if scope.rejected = invalid(v1alpha1.ReasonPathNotAllowed, problems); scope.rejected != nil {
		return nil
	}
	scope.topic, scope.unresolved, err = r.topicOf(ctx, source.Namespace, source.Spec.TopicRef)
	if err != nil || scope.topic == nil {
		return err
	}
	scope.topicState = topicState(scope.topic)
	scope.rejected = invalid(v1alpha1.ReasonInvalidSpec, desired.CheckSource(source, scope.topic))
	if scope.rejected != nil {
		return nil
	}
	_, scope.secrets, scope.unresolved, err = r.secrets(ctx, source.Namespace,
		desired.KafkaOf(source.Spec.Kafka, scope.topic))
	if err != nil || scope.unresolved != nil {
		return err
	}
	nodes, pods, err := r.facts(ctx, source)
	if err != nil {
		return err
	}
	scope.facts, err = desired.AgentFacts(source, nodes, pods)
	if errors.Is(err, desired.ErrTooManyFacts) {
		scope.rejected = &verdict{v1alpha1.ReasonTooManyPods, err.Error()}
		return nil
	}
	if err != nil {
		return err
	}
	scope.agents, err = desired.NewAgents(desired.AgentsInput{
		Source: source, Topic: scope.topic, Secrets: scope.secrets, HostPaths: scope.hostPaths, Options: r.Objects,
	})
	return err
}

// existing returns the DaemonSet that there is, nil if there is none.
func (r *LogSourceReconciler) existing(ctx context.Context, source *v1alpha1.LogSource) (*appsv1.DaemonSet, error) {
	found := &appsv1.DaemonSet{}
	err := r.Get(ctx, client.ObjectKey{Namespace: source.Namespace, Name: desired.AgentName(source)}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

// forbidden looks at the namespace when there are fewer pods than there should be: the reason is most often that it
// does not let pods see directories of the node.
func (r *LogSourceReconciler) forbidden(
	ctx context.Context, source *v1alpha1.LogSource, set *appsv1.DaemonSet,
) (*verdict, error) {
	if set.Status.CurrentNumberScheduled >= set.Status.DesiredNumberScheduled {
		return nil, nil
	}
	namespace := &corev1.Namespace{}
	if err := r.live.Get(ctx, client.ObjectKey{Name: source.Namespace}, namespace); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return podSecurity(namespace), nil
}

func (r *LogSourceReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.LogSource{}, builder.WithPredicates(specOrOrders)).
		Owns(&appsv1.DaemonSet{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&v1alpha1.Topic{}, handler.EnqueueRequestsFromMapFunc(r.sourcesOf)).
		WatchesMetadata(metadataOf("Secret"), handler.EnqueueRequestsFromMapFunc(r.sourcesWithSecret)).
		WatchesMetadata(metadataOf("Node"), later(r.factsOf), labelsChanged()).
		WatchesMetadata(metadataOf("Pod"), later(r.factsOf), labelsChanged()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Named("logsource").
		Complete(r)
}

func labelsChanged() builder.WatchesOption {
	return builder.WithPredicates(predicate.LabelChangedPredicate{})
}
