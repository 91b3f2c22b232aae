package crd_test

import (
	"strings"
	"testing"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// TestTopicRules evaluates the rules about a change of a Topic, which nothing but an API server can check in use.
func TestTopicRules(t *testing.T) {
	schema, err := structural.NewStructural(loadCRD(t, "logpipe.dev_topics.yaml").Spec.Validation.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	rules := cel.NewValidator(schema, true, celconfig.PerCallLimit)
	topic := func(name, fields string) map[string]any {
		object := map[string]any{}
		text := "metadata: {name: " + name + "}\nspec: {kafka: {bootstrapServers: ['k:1']}, " + fields + "}"
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := utiljson.Unmarshal(data, &object); err != nil {
			t.Fatal(err)
		}
		defaulting.Default(object, schema)
		return object
	}
	long := strings.Repeat("a", 250)
	tests := map[string]struct {
		name, before, after string
		wantErr             string
	}{
		"partitions stay":         {before: "partitions: 6", after: "partitions: 6"},
		"partitions grow":         {before: "partitions: 6", after: "partitions: 12"},
		"partitions shrink":       {before: "partitions: 6", after: "partitions: 5", wantErr: "partitions can't be reduced"},
		"the first of its name":   {after: "partitions: 6, topicName: a"},
		"the name in Kafka stays": {before: "partitions: 6, topicName: a", after: "partitions: 7, topicName: a"},
		"another name in Kafka": {
			before: "partitions: 6, topicName: a", after: "partitions: 6, topicName: b", wantErr: "topicName can't be changed",
		},
		"the name in Kafka is left out": {
			before: "partitions: 6, topicName: a", after: "partitions: 6", wantErr: "topicName can't be changed",
		},
		"a name in Kafka appears": {
			before: "partitions: 6", after: "partitions: 6, topicName: a", wantErr: "topicName can't be changed",
		},
		"a name too long for Kafka": {name: long, after: "partitions: 6", wantErr: "spec.topicName is required"},
		"a long name with one for Kafka": {
			name: long, after: "partitions: 6, topicName: a",
		},
		"records that no broker would take": {
			after: "partitions: 6, replicationFactor: 1, config: {min.insync.replicas: '2'}", wantErr: "must not be above",
		},
		"a setting that is no number is left to Kafka": {after: "partitions: 6, config: {min.insync.replicas: 'x'}"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.name == "" {
				tc.name = "t"
			}
			var before any
			if tc.before != "" {
				before = topic(tc.name, tc.before)
			}
			after := topic(tc.name, tc.after)
			errs, _ := rules.Validate(t.Context(), nil, schema, after, before, celconfig.RuntimeCELCostBudget)
			if tc.wantErr == "" && len(errs) > 0 || tc.wantErr != "" && len(errs) != 1 {
				t.Fatalf("errors %v, want %q", errs, tc.wantErr)
			}
			if tc.wantErr != "" && !strings.Contains(errs[0].Error(), tc.wantErr) {
				t.Errorf("error %v, want %q", errs[0], tc.wantErr)
			}
		})
	}
}
