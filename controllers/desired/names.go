package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// ManagedByLabel with the value ManagedBy is on everything that the manager makes.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "logpipe"
)

// ConfigHashAnnotation is on pods: when the configuration or a Secret changes, so does the hash, and the pods roll.
const ConfigHashAnnotation = "logpipe.dev/config-hash"

const (
	nameLabel      = "app.kubernetes.io/name"
	instanceLabel  = "app.kubernetes.io/instance"
	componentLabel = "app.kubernetes.io/component"
	partOfLabel    = "app.kubernetes.io/part-of"

	agentComponent = "agent"
	sinkComponent  = "sink"
)

// AgentName is the name of the objects of a LogSource.
func AgentName(source *v1alpha1.LogSource) string { return source.Name + "-" + agentComponent }

// FactsName is the name of the ConfigMap that tells the agents of a LogSource about nodes and pods.
func FactsName(source *v1alpha1.LogSource) string { return source.Name + "-facts" }

// SinkName is the name of the objects of an HDFSSink.
func SinkName(s *v1alpha1.HDFSSink) string { return s.Name + "-" + sinkComponent }

// SinkSelector selects the pods of an HDFSSink.
func SinkSelector(s *v1alpha1.HDFSSink) string {
	return labels.SelectorFromSet(selector(sinkComponent, s.Name)).String()
}

// AgentSelector selects the pods of a LogSource.
func AgentSelector(source *v1alpha1.LogSource) string {
	return labels.SelectorFromSet(selector(agentComponent, source.Name)).String()
}

// selector are the labels by which pods are found. They can never change: those of a Deployment are immutable.
func selector(component, instance string) map[string]string {
	return map[string]string{nameLabel: "logpipe-" + component, instanceLabel: instance}
}

func objectLabels(component, instance string) map[string]string {
	out := selector(component, instance)
	out[componentLabel] = component
	out[ManagedByLabel] = ManagedBy
	out[partOfLabel] = "logpipe"
	return out
}

func labelSelector(component, instance string) *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(selector(component, instance))
}

// ownedBy makes the garbage collector delete an object together with its owner.
func ownedBy(owner metav1.Object, kind string) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(kind).
		WithName(owner.GetName()).
		WithUID(owner.GetUID()).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

// ObjectVersion is one state of a Secret or ConfigMap. Its content is not needed to know that it changed.
type ObjectVersion struct {
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

// configHash names a configuration together with the objects that it refers to.
func configHash(config string, refs []ObjectVersion) (string, error) {
	data, err := json.Marshal(refs)
	if err != nil {
		return "", fmt.Errorf("hash references: %w", err)
	}
	sum := sha256.Sum256(append([]byte(config), data...))
	return hex.EncodeToString(sum[:8]), nil
}
