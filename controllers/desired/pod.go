package desired

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// Where things are inside a pod.
const (
	configDir     = "/etc/logpipe/config"
	factsDir      = "/etc/logpipe/facts"
	secretsDir    = "/etc/logpipe/secrets"
	configMapsDir = "/etc/logpipe/configmaps"
	stateDir      = "/var/lib/logpipe"
)

const (
	// nonroot is the user and the group of the images.
	nonroot = 65532
	// secretMode lets the group of the pod read a Secret, and no one else.
	secretMode = 0o440

	metricsPort     = 8080
	metricsPortName = "metrics"
)

// Options is what the manager knows about the pods that it makes.
type Options struct {
	// AgentImage and SinkImage are used where a resource names none.
	AgentImage, SinkImage string
	// PullPolicy is used where a resource gives none.
	PullPolicy corev1.PullPolicy
}

// pod is what the pods of agents and sinks differ in.
type pod struct {
	component, instance string
	image               string
	pullPolicy          corev1.PullPolicy
	serviceAccount      string
	hash                string
	template            *v1alpha1.PodTemplate
	secrets             []string
	resources           corev1.ResourceRequirements
	tolerations         []corev1.Toleration
	spread              []corev1.TopologySpreadConstraint
	group               int64
	grace               int64
	args                []string
	env                 []*corev1ac.EnvVarApplyConfiguration
	volumes             []volume
}

// volume is mounted at one place, for reading unless it is writable.
type volume struct {
	name, at string
	writable bool
	source   corev1ac.VolumeSourceApplyConfiguration
}

func (p *pod) build() (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	spec := corev1ac.PodSpec().
		WithServiceAccountName(p.serviceAccount).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(p.grace).
		WithSecurityContext(p.securityContext()).
		WithContainers(p.container())
	for _, v := range p.allVolumes() {
		named := corev1ac.Volume().WithName(v.name)
		named.VolumeSourceApplyConfiguration = v.source
		spec.WithVolumes(named)
	}
	if err := p.place(spec); err != nil {
		return nil, err
	}
	labels := maps.Clone(p.template.Metadata.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, objectLabels(p.component, p.instance))
	return corev1ac.PodTemplateSpec().
		WithLabels(labels).
		WithAnnotations(p.template.Metadata.Annotations).
		WithAnnotations(map[string]string{ConfigHashAnnotation: p.hash}).
		WithSpec(spec), nil
}

// place applies what says where pods run.
func (p *pod) place(spec *corev1ac.PodSpecApplyConfiguration) error {
	t := p.template
	spec.WithNodeSelector(t.NodeSelector)
	if t.PriorityClassName != "" {
		spec.WithPriorityClassName(string(t.PriorityClassName))
	}
	if t.TerminationGracePeriodSeconds != nil {
		spec.WithTerminationGracePeriodSeconds(*t.TerminationGracePeriodSeconds)
	}
	for _, ref := range t.ImagePullSecrets {
		spec.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(string(ref.Name)))
	}
	tolerations, spread := p.tolerations, p.spread
	if t.Tolerations != nil {
		tolerations = t.Tolerations
	}
	if t.TopologySpreadConstraints != nil {
		spread = t.TopologySpreadConstraints
	}
	if len(tolerations) > 0 {
		if err := convert(tolerations, &spec.Tolerations); err != nil {
			return err
		}
	}
	if len(spread) > 0 {
		if err := convert(spread, &spec.TopologySpreadConstraints); err != nil {
			return err
		}
	}
	if t.Affinity != nil {
		return convert(t.Affinity, &spec.Affinity)
	}
	return nil
}

// convert turns a type of the API into the apply configuration of the same form.
func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("convert %T: %w", from, err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("convert %T: %w", from, err)
	}
	return nil
}

// user returns whom the container runs as.
func (p *pod) user() int64 {
	if s := p.template.SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser
	}
	return nonroot
}

func (p *pod) securityContext() *corev1ac.PodSecurityContextApplyConfiguration {
	group := p.group
	context := corev1ac.PodSecurityContext()
	if s := p.template.SecurityContext; s != nil {
		if s.RunAsGroup != nil {
			group = *s.RunAsGroup
		}
		context.WithSupplementalGroups(s.SupplementalGroups...)
		if o := s.SELinuxOptions; o != nil {
			context.WithSELinuxOptions(selinux(o))
		}
	}
	return context.
		WithRunAsUser(p.user()).
		WithRunAsGroup(group).
		WithRunAsNonRoot(p.user() != 0).
		WithFSGroup(nonroot).
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

func selinux(o *corev1.SELinuxOptions) *corev1ac.SELinuxOptionsApplyConfiguration {
	out := corev1ac.SELinuxOptions()
	for _, field := range []struct {
		value string
		set   func(string) *corev1ac.SELinuxOptionsApplyConfiguration
	}{{o.User, out.WithUser}, {o.Role, out.WithRole}, {o.Type, out.WithType}, {o.Level, out.WithLevel}} {
		if field.value != "" {
			field.set(field.value)
		}
	}
	return out
}

// confined is what every container has: no way to more rights, nothing to write on, no capability but those named.
func confined(capabilities ...corev1.Capability) *corev1ac.SecurityContextApplyConfiguration {
	return corev1ac.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithReadOnlyRootFilesystem(true).
		WithCapabilities(corev1ac.Capabilities().WithDrop("ALL").WithAdd(capabilities...))
}

func (p *pod) imageAndPolicy() (image string, policy corev1.PullPolicy) {
	image, policy = p.image, p.pullPolicy
	if p.template.Image != "" {
		image = p.template.Image
	}
	if p.template.ImagePullPolicy != "" {
		policy = p.template.ImagePullPolicy
	}
	return image, policy
}

func (p *pod) container() *corev1ac.ContainerApplyConfiguration {
	resources := p.resources
	if p.template.Resources != nil {
		resources = *p.template.Resources
	}
	var capabilities []corev1.Capability
	if p.component == agentComponent && p.user() == 0 {
		capabilities = append(capabilities, "DAC_READ_SEARCH")
	}
	image, policy := p.imageAndPolicy()
	container := corev1ac.Container().
		WithName(p.component).
		WithImage(image).
		WithImagePullPolicy(policy).
		WithArgs("--config="+p.configFile(), "--log-json").
		WithArgs(p.args...).
		WithEnv(p.env...).
		WithSecurityContext(confined(capabilities...)).
		WithResources(requirements(resources)).
		WithPorts(corev1ac.ContainerPort().
			WithName(metricsPortName).WithContainerPort(metricsPort).WithProtocol(corev1.ProtocolTCP)).
		WithLivenessProbe(probe("/healthz").WithInitialDelaySeconds(5).WithFailureThreshold(6)).
		WithReadinessProbe(probe("/readyz").WithFailureThreshold(2)).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
	for _, v := range p.allVolumes() {
		mount := corev1ac.VolumeMount().WithName(v.name).WithMountPath(v.at)
		if !v.writable {
			mount.WithReadOnly(true)
		}
		container.WithVolumeMounts(mount)
	}
	return container
}

func (p *pod) configFile() string { return path.Join(configDir, p.component+".json") }

func requirements(r corev1.ResourceRequirements) *corev1ac.ResourceRequirementsApplyConfiguration {
	out := corev1ac.ResourceRequirements()
	if r.Requests != nil {
		out.WithRequests(r.Requests)
	}
	if r.Limits != nil {
		out.WithLimits(r.Limits)
	}
	return out
}

func probe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(metricsPortName))).
		WithPeriodSeconds(10).
		WithTimeoutSeconds(5)
}

// allVolumes are those of every pod and then the pod's own.
func (p *pod) allVolumes() []volume {
	out := []volume{configMapVolume("config", p.instance+"-"+p.component, configDir)}
	for i, name := range p.secrets {
		v := volume{name: fmt.Sprintf("secret-%d", i), at: path.Join(secretsDir, name)}
		v.source.WithSecret(corev1ac.SecretVolumeSource().WithSecretName(name).WithDefaultMode(secretMode))
		out = append(out, v)
	}
	return append(out, p.volumes...)
}

func configMapVolume(name, configMap, at string) volume {
	v := volume{name: name, at: at}
	v.source.WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(configMap).WithDefaultMode(secretMode))
	return v
}
