package controllers

import (
	"fmt"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/test/servers"
)

// TestManagerDiesAfterEachWrite: whichever write is its last one, the next manager makes of it what one that lived
// would have. The topic must not be there before, so it has to be known for its own.
func TestManagerDiesAfterEachWrite(t *testing.T) {
	kafka := servers.Kafka(t, 1)
	lived := false
	for limit := int64(1); !lived; limit++ {
		t.Run(fmt.Sprintf("write %d", limit), func(t *testing.T) {
			w := newWorld(t)
			w.limit = limit
			topic := create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], servers.UniqueName(t),
				"  adoptionPolicy: MustNotExist", "  deletionPolicy: Delete"))
			source := create[v1alpha1.LogSource](w, sourceYAML)
			sink := create[v1alpha1.HDFSSink](w, sinkYAML)
			w.start()
			w.await("the manager's death, or the end of its work", func() bool {
				lived = w.writes.Load() <= limit && w.made(topic, source, sink)
				return lived || w.writes.Load() > limit
			})
			w.stop()
			w.limit = 0
			w.start()
			w.await("all to be made", func() bool { return w.made(topic, source, sink) })
			w.runAll(w.daemonSet(), w.deployment(6))
			for _, object := range []resource{topic, source, sink} {
				ready(w, object, yes, v1alpha1.ReasonReady)
			}
			w.check(w.Delete(w.Context(), source))
			w.check(w.Delete(w.Context(), sink))
			w.check(w.Delete(w.Context(), topic))
			w.gone(topic)
		})
	}
}

// made tells whether all is made of the resources and all is told in their status, but that no pod runs.
func (w *world) made(topic *v1alpha1.Topic, source *v1alpha1.LogSource, sink *v1alpha1.HDFSSink) bool {
	for object, reason := range map[resource]string{
		topic: v1alpha1.ReasonReady, source: v1alpha1.ReasonRollingOut, sink: v1alpha1.ReasonRollingOut,
	} {
		w.check(w.Get(w.Context(), client.ObjectKeyFromObject(object), object))
		if readyReason(object) != reason {
			return false
		}
	}
	return topic.Status.UsedBy == v1alpha1.TopicUse{Sources: 1, Sinks: 1}
}

// TestUpgradeOfStoredObject: what was stored while the CRDs had fewer fields goes on after they have more, with the
// defaults of those.
func TestUpgradeOfStoredObject(t *testing.T) {
	kafka := servers.Kafka(t, 1)
	w := newWorld(t)
	restore := w.withoutFields(map[string][]string{
		"topics.logpipe.dev":     {"adoptionPolicy", "driftPolicy", "deletionPolicy", "deletionTimeout", "managementState"},
		"logsources.logpipe.dev": {"template", "managementState", "updateStrategy"},
		"hdfssinks.logpipe.dev":  {"template", "managementState", "replicas", "maxReplicas"},
	})
	defer restore()
	w.await("the API server to go by the older CRDs", func() bool {
		_, sinkHas := w.dryRun(&v1alpha1.HDFSSink{}, sinkYAML)["maxReplicas"]
		_, topicHas := w.dryRun(&v1alpha1.Topic{}, topicYAML("any:1", "dry"))["driftPolicy"]
		return !sinkHas && !topicHas
	})
	topic := create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], servers.UniqueName(t)))
	source := create[v1alpha1.LogSource](w, sourceYAML)
	sink := create[v1alpha1.HDFSSink](w, sinkYAML)
	restore()
	until(w, sink, "defaults of new fields", func(s *v1alpha1.HDFSSink) bool { return s.Spec.MaxReplicas > 0 })
	until(w, topic, "defaults of new fields", func(x *v1alpha1.Topic) bool { return x.Spec.DriftPolicy != "" })
	w.start()
	ready(w, topic, yes, v1alpha1.ReasonReady)
	w.runAll(w.daemonSet(), w.deployment(6))
	ready(w, source, yes, v1alpha1.ReasonReady)
	ready(w, sink, yes, v1alpha1.ReasonReady)
	if source.Generation != 1 || sink.Generation != 1 {
		t.Errorf("generations %d and %d: a spec was written", source.Generation, sink.Generation)
	}
}

// dryRun returns the spec that would be stored.
func (w *world) dryRun(like client.Object, text string) map[string]any {
	w.Helper()
	object := w.untyped(like, text)
	w.check(w.Create(w.Context(), object, client.DryRunAll))
	return object.Object["spec"].(map[string]any)
}

// withoutFields takes fields out of the specs that CRDs know, and returns what puts them back. The API server
// goes by that a moment later.
func (w *world) withoutFields(fields map[string][]string) (restore func()) {
	w.Helper()
	saved := map[string]any{}
	for name, gone := range fields {
		crd := w.crd(name)
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		w.check(err)
		saved[name] = versions
		spec, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties",
			"spec")
		w.check(err)
		older := crd.DeepCopy()
		for _, field := range gone {
			delete(spec["properties"].(map[string]any), field)
		}
		delete(spec, "x-kubernetes-validations") // rules that name what is gone
		changed, _, err := unstructured.NestedSlice(older.Object, "spec", "versions")
		w.check(err)
		w.check(unstructured.SetNestedMap(changed[0].(map[string]any), spec, "schema", "openAPIV3Schema", "properties",
			"spec"))
		delete(changed[0].(map[string]any)["subresources"].(map[string]any), "scale")
		w.check(unstructured.SetNestedSlice(older.Object, changed, "spec", "versions"))
		w.check(w.Update(w.Context(), older))
	}
	return func() {
		for name, versions := range saved {
			crd := w.crd(name)
			w.check(unstructured.SetNestedField(crd.Object, versions, "spec", "versions"))
			w.check(w.Update(w.Context(), crd))
		}
		saved = nil
	}
}

func (w *world) crd(name string) *unstructured.Unstructured {
	w.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	w.check(w.Get(w.Context(), client.ObjectKey{Name: name}, crd))
	return crd
}
