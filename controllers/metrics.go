package controllers

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

var (
	readyDesc = prometheus.NewDesc("logpipe_resource_ready",
		"1 if the resource is Ready, 0 if it is not.", []string{"kind", "namespace", "name", "reason"}, nil)
	topicPartitionsDesc = prometheus.NewDesc("logpipe_topic_partitions",
		"Partitions of the topic in Kafka.", []string{"namespace", "name"}, nil)
	topicUnderReplicatedDesc = prometheus.NewDesc("logpipe_topic_under_replicated_partitions",
		"Partitions with replicas that are not in sync.", []string{"namespace", "name"}, nil)
	podsDesc = prometheus.NewDesc("logpipe_pods",
		"Agents or sinks of a resource, by whether they are ready.",
		[]string{"kind", "namespace", "name", "ready"}, nil)
)

// collector shows the resources as the cache has them: one series per resource, gone with it.
type collector struct{ reader client.Reader }

// registerMetrics adds the metrics of resources to those of controller-runtime. A manager after another in one process
// (tests) takes the place of the first.
func registerMetrics(reader client.Reader) error {
	c := collector{reader}
	err := metrics.Registry.Register(c)
	if registered := (prometheus.AlreadyRegisteredError{}); errors.As(err, &registered) {
		metrics.Registry.Unregister(registered.ExistingCollector)
		err = metrics.Registry.Register(c)
	}
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{readyDesc, topicPartitionsDesc, topicUnderReplicatedDesc, podsDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int32, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	ready := func(kind string, r resource) {
		value, reason := int32(0), ""
		if condition := meta.FindStatusCondition(r.StatusConditions(), v1alpha1.ConditionReady); condition != nil {
			reason = condition.Reason
			if condition.Status == "True" {
				value = 1
			}
		}
		gauge(readyDesc, value, kind, r.GetNamespace(), r.GetName(), reason)
	}
	pods := func(kind string, r resource, ready, all int32) {
		gauge(podsDesc, ready, kind, r.GetNamespace(), r.GetName(), "true")
		gauge(podsDesc, max(0, all-ready), kind, r.GetNamespace(), r.GetName(), "false")
	}
	ctx := context.Background()
	var topics v1alpha1.TopicList
	var sources v1alpha1.LogSourceList
	var sinks v1alpha1.HDFSSinkList
	err := errors.Join(c.reader.List(ctx, &topics), c.reader.List(ctx, &sources), c.reader.List(ctx, &sinks))
	if err != nil {
		out <- prometheus.NewInvalidMetric(readyDesc, err)
		return
	}
	for i := range topics.Items {
		t := &topics.Items[i]
		ready(v1alpha1.KindTopic, t)
		gauge(topicPartitionsDesc, t.Status.Partitions, t.Namespace, t.Name)
		gauge(topicUnderReplicatedDesc, underReplicated(&t.Status), t.Namespace, t.Name)
	}
	for i := range sources.Items {
		s := &sources.Items[i]
		ready(v1alpha1.KindLogSource, s)
		pods(v1alpha1.KindLogSource, s, s.Status.Agents.Ready, s.Status.Agents.Desired)
	}
	for i := range sinks.Items {
		s := &sinks.Items[i]
		ready(v1alpha1.KindHDFSSink, s)
		pods(v1alpha1.KindHDFSSink, s, s.Status.ReadyReplicas, s.Status.Replicas)
	}
}
