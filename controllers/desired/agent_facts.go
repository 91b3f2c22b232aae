package desired

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// maxFacts is what fits in a ConfigMap (1 MiB), with room for its metadata.
const maxFacts = 960 << 10

// ErrTooManyFacts means that the labels of the selected pods don't fit in a ConfigMap.
var ErrTooManyFacts = errors.New("the labels of the selected pods don't fit in a ConfigMap")

// Labels holds labels by the name of a node or the UID of a pod.
type Labels map[string]map[string]string

// NodeLabels are the names of the labels of nodes that the agents of source need to know.
func NodeLabels(source *v1alpha1.LogSource) []string {
	var out []string
	if label := source.Spec.PartitionKey.NodeLabel; label != "" {
		out = append(out, string(label))
	}
	if m := source.Spec.Metadata; m != nil {
		out = append(out, texts(m.NodeLabels)...)
	}
	return unique(out)
}

// PodLabels are the names of the labels of pods that the agents of source need to know.
func PodLabels(source *v1alpha1.LogSource) []string {
	var out []string
	if label := source.Spec.PartitionKey.PodLabel; label != "" {
		out = append(out, string(label))
	}
	if m := source.Spec.Metadata; m != nil {
		out = append(out, texts(m.PodLabels)...)
	}
	for i := range source.Spec.Inputs {
		if in := source.Spec.Inputs[i].Pods; in != nil && in.PodSelector != nil {
			out = slices.AppendSeq(out, maps.Keys(in.PodSelector.MatchLabels))
		}
	}
	return unique(out)
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// SelectsNamespace tells whether an input of source reads pods of namespace.
func SelectsNamespace(source *v1alpha1.LogSource, namespace string) bool {
	return slices.ContainsFunc(source.Spec.Inputs, func(in v1alpha1.Input) bool {
		return in.Pods != nil && (in.Pods.NamespaceSelector == nil ||
			slices.Contains(in.Pods.NamespaceSelector.MatchNames, v1alpha1.NamespaceName(namespace)))
	})
}

// AgentFacts tells the agents of source, which may not ask the API server, the labels they need: of each node, and of
// each pod that source may read. It is nil if they need none, and ErrTooManyFacts if there are too many. It is not part
// of the hash by which pods roll: agents read it again when it changes.
func AgentFacts(source *v1alpha1.LogSource, nodes, pods Labels) (*corev1ac.ConfigMapApplyConfiguration, error) {
	data := map[string]string{}
	size := 0
	for _, part := range []struct {
		key    string
		names  []string
		labels Labels
	}{{nodeFactsKey, NodeLabels(source), nodes}, {podFactsKey, PodLabels(source), pods}} {
		if len(part.names) == 0 {
			continue
		}
		text, err := json.Marshal(pick(part.labels, part.names))
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", part.key, err)
		}
		data[part.key] = string(text) + "\n"
		size += len(text)
	}
	if len(data) == 0 {
		return nil, nil
	}
	if size > maxFacts {
		return nil, fmt.Errorf("%w: %d bytes for %d pods, %d fit: narrow spec.inputs[].pods.namespaceSelector, or split "+
			"the LogSource", ErrTooManyFacts, size, len(pods), maxFacts)
	}
	return sourceOwner(source).configMap(FactsName(source), data), nil
}

// pick keeps the labels with these names. One that has none of them is known all the same.
func pick(from Labels, names []string) Labels {
	out := make(Labels, len(from))
	for id, labels := range from {
		out[id] = map[string]string{}
		for _, name := range names {
			if value, ok := labels[name]; ok {
				out[id][name] = value
			}
		}
	}
	return out
}
