package desired

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/api/v1alpha1"
)

const (
	nodeFactsKey = "nodes.json"
	podFactsKey  = "pods.json"
	agentGrace   = 30
	// agentBase is what an agent needs beside its buffer, measured at full speed and doubled.
	agentBase = 192 << 20
)

// Agents is what a LogSource becomes.
type Agents struct {
	// ConfigHash names the configuration, with the Secrets it refers to.
	ConfigHash     string
	ConfigMap      *corev1ac.ConfigMapApplyConfiguration
	ServiceAccount *corev1ac.ServiceAccountApplyConfiguration // nil if the user names one
	DaemonSet      *appsv1ac.DaemonSetApplyConfiguration
	NetworkPolicy  *networkingv1ac.NetworkPolicyApplyConfiguration
	PodMonitor     *unstructured.Unstructured
}

// AgentsInput is what Agents are made from.
type AgentsInput struct {
	Source *v1alpha1.LogSource
	Topic  *v1alpha1.Topic
	// Secrets that Source refers to, as they are now.
	Secrets []ObjectVersion
	// HostPaths of Source.
	HostPaths []string
	Options   Options
}

// PodAgentConfig is the configuration of the agents of source in their pods.
func PodAgentConfig(source *v1alpha1.LogSource, topic *v1alpha1.Topic) agent.Config {
	o := AgentOptions{StateDir: stateDir, SecretsDir: secretsDir, Listen: ":" + strconv.Itoa(metricsPort)}
	if len(NodeLabels(source)) > 0 {
		o.NodeFactsFile = path.Join(factsDir, nodeFactsKey)
	}
	if len(PodLabels(source)) > 0 {
		o.PodFactsFile = path.Join(factsDir, podFactsKey)
	}
	return AgentConfig(source, topic, o)
}

// NewAgents renders the objects of a LogSource. The ConfigMap of AgentFacts must be there before pods start.
func NewAgents(in AgentsInput) (*Agents, error) {
	config, err := json.MarshalIndent(PodAgentConfig(in.Source, in.Topic), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render agent configuration: %w", err)
	}
	hash, err := configHash(string(config), in.Secrets)
	if err != nil {
		return nil, err
	}
	o := sourceOwner(in.Source)
	out := &Agents{
		ConfigHash:     hash,
		ConfigMap:      o.configMap(o.name, map[string]string{agentComponent + ".json": string(config) + "\n"}),
		ServiceAccount: o.serviceAccount(&in.Source.Spec.Template),
		NetworkPolicy:  o.networkPolicy(),
		PodMonitor:     o.podMonitor(),
	}
	out.DaemonSet, err = daemonSet(in, o, hash)
	return out, err
}

func daemonSet(in AgentsInput, o owner, hash string) (*appsv1ac.DaemonSetApplyConfiguration, error) {
	p := agentPod(in, o, hash)
	template, err := p.build()
	if err != nil {
		return nil, err
	}
	if p.user() != 0 {
		template.Spec.WithInitContainers(p.ownState())
	}
	return appsv1ac.DaemonSet(o.name, in.Source.Namespace).
		WithLabels(o.labels()).
		WithOwnerReferences(ownedBy(in.Source, o.kind)).
		WithSpec(appsv1ac.DaemonSetSpec().
			WithSelector(labelSelector(o.component, in.Source.Name)).
			WithUpdateStrategy(appsv1ac.DaemonSetUpdateStrategy().
				WithType(appsv1.RollingUpdateDaemonSetStrategyType).
				WithRollingUpdate(appsv1ac.RollingUpdateDaemonSet().
					WithMaxUnavailable(in.Source.Spec.UpdateStrategy.MaxUnavailable))).
			WithTemplate(template)), nil
}

func agentPod(in AgentsInput, o owner, hash string) *pod {
	source := in.Source
	p := &pod{
		component: o.component, instance: source.Name, hash: hash, template: &source.Spec.Template,
		image: in.Options.AgentImage, pullPolicy: in.Options.PullPolicy,
		serviceAccount: o.serviceAccountName(&source.Spec.Template),
		secrets:        secretNames(KafkaOf(source.Spec.Kafka, in.Topic)),
		resources:      agentResources(source),
		tolerations:    []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		group:          0, // the kubelet lets this group read the logs of pods
		grace:          agentGrace,
		args:           []string{"--node=$(NODE_NAME)", "--node-ip=$(NODE_IP)"},
		env: []*corev1ac.EnvVarApplyConfiguration{
			fieldVariable("NODE_NAME", "spec.nodeName"), fieldVariable("NODE_IP", "status.hostIP"),
		},
	}
	if len(NodeLabels(source))+len(PodLabels(source)) > 0 {
		p.volumes = append(p.volumes, configMapVolume("facts", FactsName(source), factsDir))
	}
	state := hostVolume("state", path.Join(stateDir, source.Namespace, source.Name), stateDir)
	state.writable = true
	p.volumes = append(p.volumes, state)
	for i, dir := range in.HostPaths {
		p.volumes = append(p.volumes, hostVolume(fmt.Sprintf("logs-%d", i), dir, dir))
	}
	return p
}

func fieldVariable(name, field string) *corev1ac.EnvVarApplyConfiguration {
	return corev1ac.EnvVar().WithName(name).WithValueFrom(corev1ac.EnvVarSource().
		WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath(field)))
}

// hostVolume is a directory of the node. One that is not there yet is made, so that the pod starts and finds the files
// that come later.
func hostVolume(name, dir, at string) volume {
	v := volume{name: name, at: at}
	v.source.WithHostPath(corev1ac.HostPathVolumeSource().
		WithPath(dir).WithType(corev1.HostPathDirectoryOrCreate))
	return v
}

// ownState is the one step that takes root, with the right to change owners and no other: the kubelet makes the state
// directory for root.
func (p *pod) ownState() *corev1ac.ContainerApplyConfiguration {
	image, policy := p.imageAndPolicy()
	return corev1ac.Container().
		WithName("own-state").
		WithImage(image).
		WithImagePullPolicy(policy).
		WithArgs("own-state", stateDir, strconv.FormatInt(p.user(), 10)).
		WithSecurityContext(confined("CHOWN").WithRunAsUser(0).WithRunAsNonRoot(false)).
		WithResources(requirements(corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
			},
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
		})).
		WithVolumeMounts(corev1ac.VolumeMount().WithName("state").WithMountPath(stateDir))
}

func agentResources(source *v1alpha1.LogSource) corev1.ResourceRequirements {
	limit := agentBase + 4*source.Spec.Buffer.MemoryLimit.Value()
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("96Mi"),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: *resource.NewQuantity(limit, resource.BinarySI)},
	}
}

// secretNames lists the Secrets that spec refers to, each once.
func secretNames(spec *v1alpha1.KafkaSpec) []string {
	var out []string
	for _, key := range KafkaSecretKeys(spec) {
		if !slices.Contains(out, key.Secret) {
			out = append(out, key.Secret)
		}
	}
	return out
}
