package desired

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

func TestHostPaths(t *testing.T) {
	files := func(patterns ...v1alpha1.PathPattern) v1alpha1.Input {
		return v1alpha1.Input{Files: &v1alpha1.FilesInput{Include: patterns}}
	}
	pods := func(dir string) v1alpha1.Input { return v1alpha1.Input{Pods: &v1alpha1.PodsInput{PodLogsDir: dir}} }
	tests := map[string]struct {
		inputs []v1alpha1.Input
		roots  []string
		want   []string
		wrong  []string
	}{
		"the part without a wildcard": {
			inputs: []v1alpha1.Input{files("/var/log/app/*.log", "/var/log/db/[a-c]/x.log", "/var/log/web/a{b,c}/d")},
			want:   []string{"/var/log/app", "/var/log/db", "/var/log/web"},
		},
		"the directory of a file": {
			inputs: []v1alpha1.Input{files("/var/log/app/a.log")},
			want:   []string{"/var/log/app"},
		},
		"one inside another": {
			inputs: []v1alpha1.Input{files("/var/log/app/x/*", "/var/log/**")},
			want:   []string{"/var/log"},
		},
		"names that begin alike": {
			inputs: []v1alpha1.Input{files("/var/log/a/*", "/var/log/ab/*")},
			want:   []string{"/var/log/a", "/var/log/ab"},
		},
		"pods": {
			inputs: []v1alpha1.Input{pods("/var/log/pods/")},
			want:   []string{"/var/log/pods"},
		},
		"a name that begins as a root": {
			inputs: []v1alpha1.Input{files("/var/logs/*")},
			wrong:  []string{"spec.inputs[0].files.include[0]"},
		},
		"the directory above a root": {
			inputs: []v1alpha1.Input{files("/var/*")},
			wrong:  []string{"spec.inputs[0].files.include[0]"},
		},
		"pods elsewhere": {
			inputs: []v1alpha1.Input{pods("/data/pods")},
			wrong:  []string{"spec.inputs[0].pods.podLogsDir"},
		},
		"another root": {
			inputs: []v1alpha1.Input{files("/srv/a/*")},
			roots:  []string{"/var/log", "/srv/"},
			want:   []string{"/srv/a"},
		},
		"everything allowed": {
			inputs: []v1alpha1.Input{files("/etc/*")},
			roots:  []string{"/"},
			want:   []string{"/etc"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.roots == nil {
				tc.roots = []string{"/var/log"}
			}
			got, problems := HostPaths(&v1alpha1.LogSource{Spec: v1alpha1.LogSourceSpec{Inputs: tc.inputs}}, tc.roots)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("directories (-want +got):\n%s", diff)
			}
			var wrong []string
			for _, p := range problems {
				wrong = append(wrong, p.Field)
			}
			if !slices.Equal(wrong, tc.wrong) {
				t.Errorf("problems %v, want those of %v", problems, tc.wrong)
			}
		})
	}
}

func TestSinkReplicas(t *testing.T) {
	tests := []struct {
		partitions, most int32
		wanted           *int32
		want             int32
	}{
		{partitions: 6, most: 10, want: 6},
		{partitions: 12, most: 12, want: 12},
		{partitions: 12, most: 10, want: 6}, // ten would leave most of them with two as well
		{partitions: 12, most: 5, want: 4},
		{partitions: 12, most: 1, want: 1},
		{partitions: 7, most: 3, want: 3},
		{partitions: 100, most: 64, want: 50},
		{partitions: 12, most: 10, wanted: ptr.To[int32](3), want: 3},
		{partitions: 12, most: 10, wanted: ptr.To[int32](50), want: 6},
		{partitions: 12, most: 10, wanted: ptr.To[int32](0), want: 0},
		{partitions: 0, most: 10, want: 0},
	}
	for _, tc := range tests {
		got := SinkReplicas(&v1alpha1.HDFSSinkSpec{MaxReplicas: tc.most, Replicas: tc.wanted}, tc.partitions)
		if got != tc.want {
			t.Errorf("%d partitions, at most %d sinks, %v wanted: got %d, want %d",
				tc.partitions, tc.most, ptr.Deref(tc.wanted, -1), got, tc.want)
		}
	}
}

func TestAgentFacts(t *testing.T) {
	source := &v1alpha1.LogSource{Spec: v1alpha1.LogSourceSpec{
		Inputs: []v1alpha1.Input{{Pods: &v1alpha1.PodsInput{
			PodSelector: &v1alpha1.PodSelector{MatchLabels: map[string]string{"app": "x"}},
		}}},
		PartitionKey: v1alpha1.PartitionKey{NodeLabel: "zone"},
	}}
	nodes := Labels{"n1": {"zone": "a", "secret": "s"}, "n2": {}}
	pods := Labels{"uid-1": {"app": "x", "other": "o"}}
	got, err := AgentFacts(source, nodes, pods)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		nodeFactsKey: `{"n1":{"zone":"a"},"n2":{}}` + "\n",
		podFactsKey:  `{"uid-1":{"app":"x"}}` + "\n",
	}
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}

	for i := range 20_000 {
		pods[fmt.Sprintf("%036d", i)] = map[string]string{"app": strings.Repeat("x", 20)}
	}
	if _, err := AgentFacts(source, nodes, pods); !errors.Is(err, ErrTooManyFacts) {
		t.Errorf("20,000 pods: %v", err)
	}
	none := &v1alpha1.LogSource{}
	none.Spec.PartitionKey.File = &v1alpha1.FileKey{}
	if got, err := AgentFacts(none, nodes, pods); got != nil || err != nil {
		t.Errorf("facts that no one needs: %v, %v", got, err)
	}
}
