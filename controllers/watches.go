package controllers

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// factsDelay gathers changes of nodes and pods into one: they come in hundreds, and one write tells of all.
const factsDelay = 2 * time.Second

// specOrOrders lets through what a user changes: the spec, annotations and labels, and a deletion.
var specOrOrders = predicate.Or[client.Object](
	predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{})

func requestsFor[T any, P interface {
	*T
	client.Object
}](items []T, wanted func(P) bool) []reconcile.Request {
	var out []reconcile.Request
	for i := range items {
		if item := P(&items[i]); wanted == nil || wanted(item) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(item)})
		}
	}
	return out
}

// sourcesOf and sinksOf find what uses the Topic that changed.
func (b *base) sourcesOf(ctx context.Context, topic client.Object) []reconcile.Request {
	var list v1alpha1.LogSourceList
	b.list(ctx, &list, client.InNamespace(topic.GetNamespace()), client.MatchingFields{topicRefIndex: topic.GetName()})
	return requestsFor[v1alpha1.LogSource](list.Items, nil)
}

func (b *base) sinksOf(ctx context.Context, topic client.Object) []reconcile.Request {
	var list v1alpha1.HDFSSinkList
	b.list(ctx, &list, client.InNamespace(topic.GetNamespace()), client.MatchingFields{topicRefIndex: topic.GetName()})
	return requestsFor[v1alpha1.HDFSSink](list.Items, nil)
}

// list leaves the list empty if it can't be read; the cache is there as long as the manager runs.
func (b *base) list(ctx context.Context, list client.ObjectList, o ...client.ListOption) {
	if err := b.List(ctx, list, o...); err != nil {
		log.FromContext(ctx).Error(err, "Listing resources for a change")
	}
}

// topicUsed finds the Topic that a LogSource or an HDFSSink uses.
func topicUsed(_ context.Context, user client.Object) []reconcile.Request {
	var out []reconcile.Request
	for _, name := range topicRefOf(user) {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{
			Namespace: user.GetNamespace(), Name: name,
		}})
	}
	return out
}

// The resources that refer to the Secret that changed, themselves or by their Topic.
func (b *base) topicsWithSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var list v1alpha1.TopicList
	b.list(ctx, &list, client.InNamespace(secret.GetNamespace()))
	return requestsFor[v1alpha1.Topic](list.Items, func(t *v1alpha1.Topic) bool {
		return refersTo(&t.Spec.Kafka, secret.GetName())
	})
}

func (b *base) sourcesWithSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var list v1alpha1.LogSourceList
	b.list(ctx, &list, client.InNamespace(secret.GetNamespace()))
	return requestsFor[v1alpha1.LogSource](list.Items, func(s *v1alpha1.LogSource) bool {
		return b.usesSecret(ctx, secret, s.Spec.Kafka, s.Spec.TopicRef)
	})
}

func (b *base) sinksWithSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var list v1alpha1.HDFSSinkList
	b.list(ctx, &list, client.InNamespace(secret.GetNamespace()))
	return requestsFor[v1alpha1.HDFSSink](list.Items, func(s *v1alpha1.HDFSSink) bool {
		return b.usesSecret(ctx, secret, s.Spec.Kafka, s.Spec.TopicRef)
	})
}

func (b *base) usesSecret(
	ctx context.Context, secret client.Object, own *v1alpha1.KafkaSpec, ref v1alpha1.TopicRef,
) bool {
	if own != nil {
		return refersTo(own, secret.GetName())
	}
	topic := &v1alpha1.Topic{}
	key := client.ObjectKey{Namespace: secret.GetNamespace(), Name: string(ref.Name)}
	return b.Get(ctx, key, topic) == nil && refersTo(&topic.Spec.Kafka, secret.GetName())
}

func refersTo(spec *v1alpha1.KafkaSpec, secret string) bool {
	return slices.ContainsFunc(desired.KafkaSecretKeys(spec), func(k desired.SecretKey) bool { return k.Secret == secret })
}

func (b *base) sinksWithConfigMap(ctx context.Context, configMap client.Object) []reconcile.Request {
	var list v1alpha1.HDFSSinkList
	b.list(ctx, &list, client.InNamespace(configMap.GetNamespace()))
	return requestsFor[v1alpha1.HDFSSink](list.Items, func(s *v1alpha1.HDFSSink) bool {
		ref := s.Spec.HDFS.ConfigMapRef
		return ref != nil && string(ref.Name) == configMap.GetName()
	})
}

// factsOf finds the LogSources whose agents are told about a node or a pod.
func (b *base) factsOf(ctx context.Context, object client.Object) []reconcile.Request {
	var list v1alpha1.LogSourceList
	b.list(ctx, &list)
	return requestsFor[v1alpha1.LogSource](list.Items, func(s *v1alpha1.LogSource) bool {
		if namespace := object.GetNamespace(); namespace != "" {
			return len(desired.PodLabels(s)) > 0 && desired.SelectsNamespace(s, namespace)
		}
		return len(desired.NodeLabels(s)) > 0
	})
}

// later enqueues what find finds after factsDelay, once for all changes in between.
func later(find handler.MapFunc) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, object client.Object, q queue) {
		for _, request := range find(ctx, object) {
			q.AddAfter(request, factsDelay)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { enqueue(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, e.Object, q) },
	}
}

// facts returns the labels of all nodes, and of the pods that source may read.
func (b *base) facts(ctx context.Context, source *v1alpha1.LogSource) (nodes, pods desired.Labels, err error) {
	nodes, pods = desired.Labels{}, desired.Labels{}
	if len(desired.NodeLabels(source)) > 0 {
		list := metadataList("Node")
		if err := b.List(ctx, list); err != nil {
			return nil, nil, err
		}
		for i := range list.Items {
			nodes[list.Items[i].Name] = list.Items[i].Labels
		}
	}
	if len(desired.PodLabels(source)) > 0 {
		list := metadataList("Pod")
		if err := b.List(ctx, list); err != nil {
			return nil, nil, err
		}
		for i := range list.Items {
			if pod := &list.Items[i]; desired.SelectsNamespace(source, pod.Namespace) {
				pods[string(pod.UID)] = pod.Labels
			}
		}
	}
	return nodes, pods, nil
}

func metadataList(kind string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.APIVersion, list.Kind = "v1", kind+"List"
	return list
}
