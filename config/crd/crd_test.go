package crd_test

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"sigs.k8s.io/yaml"

	"github.com/logpipe/logpipe/config/crd"
)

// TestCRDs holds the definitions against the API server's own checks, which include that every CEL rule compiles and
// stays within the cost budget, and that every default is valid.
func TestCRDs(t *testing.T) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, name := range names {
		definition := loadCRD(t, name)
		kinds = append(kinds, definition.Spec.Names.Kind)
		for _, problem := range validation.ValidateCustomResourceDefinition(t.Context(), definition) {
			t.Errorf("%s: %v", name, problem)
		}
		if !slices.Contains(definition.Spec.Names.Categories, "logpipe") {
			t.Errorf("%s: kubectl get logpipe would not show it", name)
		}
		if len(definition.Spec.Names.ShortNames) == 0 {
			t.Errorf("%s: no short name", name)
		}
	}
	if diff := cmp.Diff([]string{"HDFSSink", "LogSource", "Topic"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func loadCRD(t *testing.T, name string) *apiextensions.CustomResourceDefinition {
	t.Helper()
	data, err := crd.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	versioned := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(data, versioned); err != nil {
		t.Fatalf("parse %s: %v", name, err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(versioned)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&versioned.Spec)
	// The API server notes here, when it stores a definition, in which versions there are objects.
	versioned.Status.StoredVersions = []string{"v1alpha1"}
	definition := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(
		versioned, definition, nil); err != nil {
		t.Fatalf("convert %s: %v", name, err)
	}
	return definition
}
