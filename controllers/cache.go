package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// topicRefIndex finds the LogSources and HDFSSinks that use a Topic.
const topicRefIndex = "spec.topicRef.name"

// CacheOptions keeps little in memory: of objects that the manager makes only its own, of all others only what is asked
// of them. Resources are watched in the given namespaces, or in all if there are none; nodes and pods always in all,
// because agents read the logs of any pod.
func CacheOptions(namespaces []string) cache.Options {
	mine := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{desired.ManagedByLabel: desired.ManagedBy})}
	options := cache.Options{
		DefaultTransform: slim,
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.DaemonSet{}:             mine,
			&appsv1.Deployment{}:            mine,
			&corev1.ServiceAccount{}:        mine,
			&networkingv1.NetworkPolicy{}:   mine,
			&policyv1.PodDisruptionBudget{}: mine,
			&corev1.Pod{}:                   {Namespaces: map[string]cache.Config{cache.AllNamespaces: {}}},
		},
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, name := range namespaces {
			options.DefaultNamespaces[name] = cache.Config{}
		}
	}
	return options
}

// slim drops what is never looked at: the content of ConfigMaps of others, and everything but name and labels of
// what is watched by its metadata.
func slim(object any) (any, error) {
	switch o := object.(type) {
	case *metav1.PartialObjectMetadata:
		o.ManagedFields, o.Annotations, o.OwnerReferences = nil, nil, nil
	case *corev1.ConfigMap:
		if o.Labels[desired.ManagedByLabel] != desired.ManagedBy {
			o.Data, o.BinaryData, o.ManagedFields, o.Annotations = nil, nil, nil, nil
		}
	}
	return object, nil
}

func index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, object := range []client.Object{&v1alpha1.LogSource{}, &v1alpha1.HDFSSink{}} {
		if err := indexer.IndexField(ctx, object, topicRefIndex, topicRefOf); err != nil {
			return fmt.Errorf("index %T by Topic: %w", object, err)
		}
	}
	return nil
}

func topicRefOf(object client.Object) []string {
	switch o := object.(type) {
	case *v1alpha1.LogSource:
		return []string{string(o.Spec.TopicRef.Name)}
	case *v1alpha1.HDFSSink:
		return []string{string(o.Spec.TopicRef.Name)}
	}
	return nil
}

// users returns the resources that use a Topic.
func (b *base) users(ctx context.Context, topic *v1alpha1.Topic) ([]v1alpha1.LogSource, []v1alpha1.HDFSSink, error) {
	where := []client.ListOption{
		client.InNamespace(topic.Namespace), client.MatchingFields{topicRefIndex: topic.Name},
	}
	var sources v1alpha1.LogSourceList
	if err := b.List(ctx, &sources, where...); err != nil {
		return nil, nil, fmt.Errorf("list the LogSources of a Topic: %w", err)
	}
	var sinks v1alpha1.HDFSSinkList
	if err := b.List(ctx, &sinks, where...); err != nil {
		return nil, nil, fmt.Errorf("list the HDFSSinks of a Topic: %w", err)
	}
	return sources.Items, sinks.Items, nil
}
