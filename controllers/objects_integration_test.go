package controllers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// TestLastGoodConfigurationStays: what runs is not touched while its resource can't be carried out.
func TestLastGoodConfigurationStays(t *testing.T) {
	w := newWorld(t)
	w.start()
	create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any"))
	source := create[v1alpha1.LogSource](w, sourceYAML)
	set := w.daemonSet()
	good := source.Spec.DeepCopy()
	for reason, change := range map[string]func(){
		v1alpha1.ReasonPathNotAllowed: func() { source.Spec.Inputs[0].Files.Include[0] = "/root/*" },
		v1alpha1.ReasonTopicNotFound:  func() { source.Spec.TopicRef.Name = "other" },
		v1alpha1.ReasonInvalidSpec:    func() { source.Spec.Assignment = map[string]v1alpha1.PartitionList{"zone-a": {99}} },
	} {
		edit(w, source, change)
		ready(w, source, no, reason)
		if got := w.daemonSet(); got.Generation != set.Generation {
			t.Errorf("%s: the agents changed", reason)
		}
		edit(w, source, func() { good.DeepCopyInto(&source.Spec) })
		ready(w, source, no, v1alpha1.ReasonTopicNotReady) // its brokers are away, which changes nothing either
	}
	if got := w.daemonSet(); got.Generation != set.Generation {
		t.Error("the agents changed on the way back")
	}
}

const podMonitorCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: podmonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: PodMonitor, listKind: PodMonitorList, plural: podmonitors, singular: podmonitor}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// TestPodMonitor: it is made where the Prometheus operator's CRD is, and not written again when nothing changed.
func TestPodMonitor(t *testing.T) {
	w := newWorld(t)
	crd := &unstructured.Unstructured{}
	w.check(yaml.Unmarshal([]byte(podMonitorCRD), &crd.Object))
	w.check(w.Create(w.Context(), crd))
	defer func() { w.check(w.Delete(context.Background(), crd)) }()
	until(w, crd, "a CRD that is served", func(c *unstructured.Unstructured) bool {
		kind, _, _ := unstructured.NestedString(c.Object, "status", "acceptedNames", "kind")
		return kind != ""
	})
	w.start()
	create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any"))
	source := create[v1alpha1.LogSource](w, sourceYAML)
	monitor := &unstructured.Unstructured{}
	monitor.SetGroupVersionKind(desired.PodMonitorKind)
	monitor.SetNamespace(w.namespace)
	monitor.SetName("s-agent")
	until(w, monitor, "the PodMonitor", func(m *unstructured.Unstructured) bool {
		return metav1.IsControlledBy(m, source)
	})
	version := monitor.GetResourceVersion()
	edit(w, source, func() { source.Spec.Batch.MaxRecords = 66 })
	ready(w, source, no, v1alpha1.ReasonTopicNotReady)
	until(w, monitor, "the PodMonitor", func(*unstructured.Unstructured) bool { return true })
	if monitor.GetResourceVersion() != version {
		t.Error("the PodMonitor was written again")
	}
}

// TestMetrics: the resources are shown as they are.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.start()
	ready(w, create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any")), no, v1alpha1.ReasonBrokerUnreachable)
	want := fmt.Sprintf(`logpipe_resource_ready{kind="Topic",name="t",namespace=%q,reason="BrokerUnreachable"} 0`,
		w.namespace)
	w.await(want, func() bool {
		answer := httptest.NewRecorder()
		promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(answer,
			httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(answer.Body.String(), want)
	})
}
