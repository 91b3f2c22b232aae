package desired

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// PodMonitorKind is the resource of the Prometheus operator that says which pods to scrape.
var PodMonitorKind = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PodMonitor"}

// owner is the resource that objects are made for.
type owner struct {
	object    metav1.Object
	kind      string
	component string
	name      string
}

func sourceOwner(source *v1alpha1.LogSource) owner {
	return owner{source, v1alpha1.KindLogSource, agentComponent, AgentName(source)}
}

func sinkOwner(s *v1alpha1.HDFSSink) owner {
	return owner{s, v1alpha1.KindHDFSSink, sinkComponent, SinkName(s)}
}

func (o owner) labels() map[string]string { return objectLabels(o.component, o.object.GetName()) }

// serviceAccountName is the account of the pods: the user's, or one of their own.
func (o owner) serviceAccountName(t *v1alpha1.PodTemplate) string {
	if t.ServiceAccountName != "" {
		return string(t.ServiceAccountName)
	}
	return o.name
}

// serviceAccount is without any right, and without a token. It is nil where the user names another.
func (o owner) serviceAccount(t *v1alpha1.PodTemplate) *corev1ac.ServiceAccountApplyConfiguration {
	if t.ServiceAccountName != "" {
		return nil
	}
	return corev1ac.ServiceAccount(o.name, o.object.GetNamespace()).
		WithLabels(o.labels()).
		WithOwnerReferences(ownedBy(o.object, o.kind)).
		WithAutomountServiceAccountToken(false)
}

func (o owner) configMap(name string, data map[string]string) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(name, o.object.GetNamespace()).
		WithLabels(o.labels()).
		WithOwnerReferences(ownedBy(o.object, o.kind)).
		WithData(data)
}

// networkPolicy lets in what asks for metrics and health. What goes out is not limited: brokers and DataNodes have
// addresses that only they know.
func (o owner) networkPolicy() *networkingv1ac.NetworkPolicyApplyConfiguration {
	return networkingv1ac.NetworkPolicy(o.name, o.object.GetNamespace()).
		WithLabels(o.labels()).
		WithOwnerReferences(ownedBy(o.object, o.kind)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(labelSelector(o.component, o.object.GetName())).
			WithPolicyTypes(networkingv1.PolicyTypeIngress).
			WithIngress(networkingv1ac.NetworkPolicyIngressRule().WithPorts(
				networkingv1ac.NetworkPolicyPort().WithProtocol("TCP").WithPort(intstr.FromString(metricsPortName)))))
}

// podMonitor is applied only where the Prometheus operator is.
func (o owner) podMonitor() *unstructured.Unstructured {
	labels := map[string]any{}
	for name, value := range o.labels() {
		labels[name] = value
	}
	match := map[string]any{}
	for name, value := range selector(o.component, o.object.GetName()) {
		match[name] = value
	}
	monitor := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"name": o.name, "namespace": o.object.GetNamespace(), "labels": labels,
			"ownerReferences": []any{map[string]any{
				"apiVersion": v1alpha1.GroupVersion.String(), "kind": o.kind, "name": o.object.GetName(),
				"uid": string(o.object.GetUID()), "controller": true, "blockOwnerDeletion": true,
			}},
		},
		"spec": map[string]any{
			"selector":            map[string]any{"matchLabels": match},
			"podMetricsEndpoints": []any{map[string]any{"port": metricsPortName}},
		},
	}}
	monitor.SetGroupVersionKind(PodMonitorKind)
	return monitor
}
