// Package chart_test checks the Helm chart, and config/, which is made of it.
package chart_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

const chart = "../../charts/logpipe"

var update = flag.Bool("update", false, "write the golden files")

// valueSets are the values of the golden files, as arguments of helm.
var valueSets = map[string][]string{
	"default":    nil,
	"namespaces": {"--set", "namespaces={shop,payment}", "--set", "allowedHostRoots={/var/log,/srv/logs}"},
	"production": {
		"--set", "replicas=2", "--set", "image.registry=registry.example.com/logpipe",
		"--set", "image.agent.digest=sha256:" + strings.Repeat("a", 64), "--set", "metrics.podMonitor.enabled=true",
		"--set", "image.pullSecrets[0].name=registry", "--set", "priorityClassName=system-cluster-critical",
	},
	"bare": {
		"--set", "crds.install=false", "--set", "networkPolicy.enabled=false", "--set", "aggregateRoles=false",
		"--set", "serviceAccount.create=false", "--set", "serviceAccount.name=mine",
	},
}

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path := os.Getenv("HELM")
	if path == "" {
		t.Skip("HELM is not set: use the output of hack/kube.sh tool helm")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

func render(t *testing.T, values []string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "logpipe", chart, "-n", "logpipe-system"}, values...)...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	return out
}

func objects(t *testing.T, text string) []unstructured.Unstructured {
	t.Helper()
	var out []unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
}

// TestGolden compares what the chart makes of values; the CRDs are left out, which are those of config/crd.
func TestGolden(t *testing.T) {
	for name, values := range valueSets {
		t.Run(name, func(t *testing.T) {
			var kept []string
			for document := range strings.SplitSeq(render(t, values), "\n---\n") {
				if !strings.Contains(document, "kind: CustomResourceDefinition") {
					kept = append(kept, document)
				}
			}
			got, golden := strings.Join(kept, "\n---\n"), filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func TestLint(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", chart); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSchema: values that can't be meant are refused, with their name.
func TestSchema(t *testing.T) {
	tests := map[string]struct{ set, want string }{
		"a name spelled wrong":    {"replica=2", "replica"},
		"a number in words":       {"replicas=two", "replicas"},
		"a relative root":         {"allowedHostRoots={var/log}", "allowedHostRoots"},
		"a digest without sha256": {"image.agent.digest=abc", "digest"},
		"a time without unit":     {"topicSyncInterval=60", "topicSyncInterval"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := helm(t, "template", "logpipe", chart, "--set", tc.set)
			if err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("error %v does not name %s:\n%s", err, tc.want, out)
			}
		})
	}
}

// TestLeastRights: the manager may do what the markers in controllers say, and no more.
func TestLeastRights(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "tool", "controller-gen", "rbac:roleName=manager",
		"paths=./controllers/...", "output:stdout")
	cmd.Dir = "../.."
	generated, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := rights(t, string(generated), "manager")
	got := rights(t, render(t, nil), "logpipe")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights (-markers +chart):\n%s", diff)
	}
	for _, right := range got {
		if strings.Contains(right, "*") || strings.HasSuffix(right, " delete") || strings.Contains(right, "secrets create") {
			t.Errorf("the manager may %s", right)
		}
	}
	leader := rights(t, render(t, nil), "logpipe-leader")
	if diff := cmp.Diff([]string{
		"coordination.k8s.io/leases create", "coordination.k8s.io/leases get", "coordination.k8s.io/leases update",
		"events.k8s.io/events create", "events.k8s.io/events patch",
	}, leader); diff != "" {
		t.Errorf("rights of the leader (-want +got):\n%s", diff)
	}
}

// rights lists "group/resource verb" of the roles of a name.
func rights(t *testing.T, text, name string) []string {
	t.Helper()
	set := map[string]bool{}
	for _, object := range objects(t, text) {
		if !strings.HasSuffix(object.GetKind(), "Role") || object.GetName() != name {
			continue
		}
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						set[group+"/"+resource+" "+verb] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// TestServerTakesAll: a real API server accepts every object, and knows every field.
func TestServerTakesAll(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS is not set: use the output of hack/kube.sh assets")
	}
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Stop() }()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"logpipe-system", "shop", "payment"} {
		namespace := &unstructured.Unstructured{}
		namespace.SetAPIVersion("v1")
		namespace.SetKind("Namespace")
		namespace.SetName(name)
		if err := c.Create(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
	}
	strict := client.WithFieldValidation(c, "Strict")
	for name, values := range valueSets {
		t.Run(name, func(t *testing.T) {
			for _, object := range objects(t, render(t, values)) {
				if object.GetKind() == "PodMonitor" {
					continue // of an operator that is not there
				}
				if err := strict.Create(t.Context(), &object, client.DryRunAll); err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
			}
		})
	}
}

// TestConfigIsTheChart: what kustomize applies is what the chart installs.
func TestConfigIsTheChart(t *testing.T) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Skip("KUBEBUILDER_ASSETS is not set: use the output of hack/kube.sh assets")
	}
	built, err := exec.CommandContext(t.Context(), filepath.Join(assets, "kubectl"), "kustomize",
		"../../config/default").Output()
	if err != nil {
		t.Fatal(err)
	}
	index := func(text string) map[string]string {
		out := map[string]string{}
		for _, object := range objects(t, text) {
			labels := object.GetLabels()
			delete(labels, "helm.sh/chart")
			delete(labels, "app.kubernetes.io/managed-by")
			object.SetLabels(labels)
			annotations := object.GetAnnotations()
			delete(annotations, "helm.sh/resource-policy")
			object.SetAnnotations(annotations)
			data, err := yaml.Marshal(object.Object)
			if err != nil {
				t.Fatal(err)
			}
			out[object.GetKind()+"/"+object.GetNamespace()+"/"+object.GetName()] = string(data)
		}
		return out
	}
	want, got := index(render(t, nil)), index(string(built))
	delete(got, "Namespace//logpipe-system") // helm makes it with --create-namespace
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-chart +config):\n%s", diff)
	}
}
