package desired

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/sink"
)

const (
	// sinkGrace is above the time in which a sink commits what it has and leaves the group.
	sinkGrace = 60
	// sinkBase is what a sink needs beside its fetches, measured at full speed and doubled.
	sinkBase = 256 << 20
)

// Sinks is what an HDFSSink becomes.
type Sinks struct {
	// ConfigHash names the configuration, with the Secrets and the ConfigMap it refers to.
	ConfigHash string
	// Replicas of the Deployment.
	Replicas            int32
	ConfigMap           *corev1ac.ConfigMapApplyConfiguration
	ServiceAccount      *corev1ac.ServiceAccountApplyConfiguration // nil if the user names one
	Deployment          *appsv1ac.DeploymentApplyConfiguration
	PodDisruptionBudget *policyv1ac.PodDisruptionBudgetApplyConfiguration
	NetworkPolicy       *networkingv1ac.NetworkPolicyApplyConfiguration
	PodMonitor          *unstructured.Unstructured
}

// SinksInput is what Sinks are made from.
type SinksInput struct {
	Sink  *v1alpha1.HDFSSink
	Topic *v1alpha1.Topic
	// Refs are the Secrets and the ConfigMap that Sink refers to, as they are now.
	Refs    []ObjectVersion
	Options Options
}

// PodSinkConfig is the configuration of the sinks of s in their pods.
func PodSinkConfig(s *v1alpha1.HDFSSink, topic *v1alpha1.Topic) sink.Config {
	return SinkConfig(s, topic, SinkOptions{
		SecretsDir: secretsDir, ConfigMapsDir: configMapsDir, Listen: ":" + strconv.Itoa(metricsPort),
	})
}

// NewSinks renders the objects of an HDFSSink.
func NewSinks(in SinksInput) (*Sinks, error) {
	config, err := json.MarshalIndent(PodSinkConfig(in.Sink, in.Topic), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render sink configuration: %w", err)
	}
	hash, err := configHash(string(config), in.Refs)
	if err != nil {
		return nil, err
	}
	o := sinkOwner(in.Sink)
	out := &Sinks{
		ConfigHash:          hash,
		Replicas:            SinkReplicas(&in.Sink.Spec, in.Topic.Status.Partitions),
		ConfigMap:           o.configMap(o.name, map[string]string{sinkComponent + ".json": string(config) + "\n"}),
		ServiceAccount:      o.serviceAccount(&in.Sink.Spec.Template),
		PodDisruptionBudget: disruptionBudget(o),
		NetworkPolicy:       o.networkPolicy(),
		PodMonitor:          o.podMonitor(),
	}
	out.Deployment, err = deployment(in, o, hash, out.Replicas)
	return out, err
}

// SinkReplicas is how many sinks a topic of that many partitions gets: as many as are wanted, at most one per partition
// and maxReplicas, less those without which the sink with the most partitions has no more of them.
func SinkReplicas(spec *v1alpha1.HDFSSinkSpec, partitions int32) int32 {
	n := min(partitions, spec.MaxReplicas)
	if spec.Replicas != nil {
		n = min(n, *spec.Replicas)
	}
	if n <= 0 {
		return 0
	}
	most := (partitions + n - 1) / n
	return (partitions + most - 1) / most
}

// deployment never runs more sinks than it says, not even while it rolls: one more would have no partition, and two
// rebalances in place of one.
func deployment(in SinksInput, o owner, hash string, replicas int32) (*appsv1ac.DeploymentApplyConfiguration, error) {
	template, err := sinkPod(in, o, hash).build()
	if err != nil {
		return nil, err
	}
	return appsv1ac.Deployment(o.name, in.Sink.Namespace).
		WithLabels(o.labels()).
		WithOwnerReferences(ownedBy(in.Sink, o.kind)).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(replicas).
			WithRevisionHistoryLimit(3).
			WithSelector(labelSelector(o.component, in.Sink.Name)).
			WithStrategy(appsv1ac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
					WithMaxSurge(intstr.FromInt32(0)).WithMaxUnavailable(intstr.FromString("25%")))).
			WithTemplate(template)), nil
}

func sinkPod(in SinksInput, o owner, hash string) *pod {
	s := in.Sink
	p := &pod{
		component: o.component, instance: s.Name, hash: hash, template: &s.Spec.Template,
		image: in.Options.SinkImage, pullPolicy: in.Options.PullPolicy,
		serviceAccount: o.serviceAccountName(&s.Spec.Template),
		secrets:        secretNames(KafkaOf(s.Spec.Kafka, in.Topic)),
		resources:      sinkResources(&s.Spec),
		spread: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: selector(o.component, s.Name)},
		}},
		group: nonroot,
		grace: sinkGrace,
	}
	if ref := s.Spec.HDFS.ConfigMapRef; ref != nil {
		p.volumes = append(p.volumes,
			configMapVolume("hadoop", string(ref.Name), path.Join(configMapsDir, string(ref.Name))))
	}
	return p
}

func sinkResources(spec *v1alpha1.HDFSSinkSpec) corev1.ResourceRequirements {
	limit := sinkBase + 8*int64(spec.Fetch.MaxInFlight)*spec.Fetch.MaxBytes.Value()
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("160Mi"),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: *resource.NewQuantity(limit, resource.BinarySI)},
	}
}

// disruptionBudget lets nodes be drained one sink at a time, and always where a sink does not work anyway.
func disruptionBudget(o owner) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(o.name, o.object.GetNamespace()).
		WithLabels(o.labels()).
		WithOwnerReferences(ownedBy(o.object, o.kind)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(labelSelector(o.component, o.object.GetName())))
}
