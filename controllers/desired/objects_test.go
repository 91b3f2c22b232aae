package desired

import (
	"encoding/json"
	"reflect"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// TestAPIKeepsEveryField: the API server stores objects as these types. A field that they leave out, such as one that
// is set to what it is without, would be missing from every object that is read, and applied again each time.
func TestAPIKeepsEveryField(t *testing.T) {
	topic := read(t, "topic.yaml", &v1alpha1.Topic{})
	source := read(t, "source.yaml", &v1alpha1.LogSource{})
	a, s := agents(t, source, topic), sinks(t, read(t, "sink.yaml", &v1alpha1.HDFSSink{}), topic)
	facts, err := AgentFacts(source, Labels{"node-1": {"topology.kubernetes.io/zone": "a"}}, Labels{"uid": {"app": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ applied, stored any }{
		"facts":                  {facts, &corev1.ConfigMap{}},
		"agents' ConfigMap":      {a.ConfigMap, &corev1.ConfigMap{}},
		"agents' ServiceAccount": {a.ServiceAccount, &corev1.ServiceAccount{}},
		"DaemonSet":              {a.DaemonSet, &appsv1.DaemonSet{}},
		"agents' NetworkPolicy":  {a.NetworkPolicy, &networkingv1.NetworkPolicy{}},
		"sinks' ConfigMap":       {s.ConfigMap, &corev1.ConfigMap{}},
		"Deployment":             {s.Deployment, &appsv1.Deployment{}},
		"PodDisruptionBudget":    {s.PodDisruptionBudget, &policyv1.PodDisruptionBudget{}},
		"sinks' NetworkPolicy":   {s.NetworkPolicy, &networkingv1.NetworkPolicy{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if reflect.ValueOf(tc.applied).IsNil() {
				t.Skip("not made of this resource")
			}
			recode(t, tc.applied, tc.stored)
			var want, got any
			recode(t, tc.applied, &want)
			recode(t, tc.stored, &got)
			missing(t, "", want, got)
		})
	}
}

func recode(t *testing.T, from, to any) {
	t.Helper()
	data, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

// missing reports every field of want that is not so in got.
func missing(t *testing.T, path string, want, got any) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for key, value := range w {
			missing(t, path+"."+key, value, g[key])
		}
	case []any:
		g, _ := got.([]any)
		for i, value := range w {
			if i >= len(g) {
				t.Errorf("%s[%d] is lost", path, i)
				continue
			}
			missing(t, path, value, g[i])
		}
	default:
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}
