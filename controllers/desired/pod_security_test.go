package desired

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// TestPodSecurity holds pods to the Pod Security level "restricted", with the rules that the API server admits pods by.
// docs/operator.md gives the reason of each exception.
func TestPodSecurity(t *testing.T) {
	topic := read(t, "topic.yaml", &v1alpha1.Topic{})
	source := func(user int64) *v1alpha1.LogSource {
		s := &v1alpha1.LogSource{}
		s.Name = "s"
		s.Spec.Inputs = []v1alpha1.Input{{Files: &v1alpha1.FilesInput{Include: []v1alpha1.PathPattern{"/var/log/*.log"}}}}
		s.Spec.Template.SecurityContext = &v1alpha1.PodSecurity{RunAsUser: &user}
		return s
	}
	sinkPod := sinks(t, &v1alpha1.HDFSSink{}, topic).Deployment.Spec.Template
	agentPod := agents(t, source(65532), topic).DaemonSet.Spec.Template
	rootPod := agents(t, source(0), topic).DaemonSet.Spec.Template
	tests := map[string]struct {
		template any
		level    api.Level
		broken   []string
	}{
		"sinks, restricted": {template: sinkPod, level: api.LevelRestricted},
		"agents, baseline":  {template: agentPod, level: api.LevelBaseline, broken: []string{"hostPath volumes"}},
		"agents, restricted": {template: agentPod, level: api.LevelRestricted, broken: []string{
			"restricted volume types",                                          // logs and journal
			"runAsNonRoot != true", "runAsUser=0", "unrestricted capabilities", // the init container
		}},
		"agents that run as root, baseline": {template: rootPod, level: api.LevelBaseline, broken: []string{
			"hostPath volumes", "non-default capabilities", // DAC_READ_SEARCH
		}},
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			template := &corev1.PodTemplateSpec{}
			recode(t, tc.template, template)
			var got []string
			for _, result := range evaluator.EvaluatePod(
				api.LevelVersion{Level: tc.level, Version: api.LatestVersion()}, &template.ObjectMeta, &template.Spec,
			) {
				if !result.Allowed {
					got = append(got, result.ForbiddenReason)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.broken, got); diff != "" {
				t.Errorf("rules that are broken (-want +got):\n%s", diff)
			}
		})
	}
}
