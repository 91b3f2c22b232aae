package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// PodTemplate is what can be changed about the pods of agents and sinks. What is left out is as the manager has it.
type PodTemplate struct {
	// Metadata adds labels and annotations to the pods.
	//
	// +optional
	Metadata PodMetadata `json:"metadata,omitempty"`

	// Image replaces the manager's choice, as registry/name:tag or registry/name@sha256:digest.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// ImagePullPolicy of the image. Default: the manager's.
	//
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// ImagePullSecrets name Secrets for the registry.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	ImagePullSecrets []SecretRef `json:"imagePullSecrets,omitempty"`

	// Resources of the container. Default: a request of CPU and memory and a limit of memory that fit the settings; no
	// limit of CPU.
	//
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// NodeSelector selects the nodes by their labels.
	//
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations of the pods. Default: agents tolerate every taint, sinks none.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Affinity of the pods.
	//
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// TopologySpreadConstraints of the sinks' pods. Default: over nodes, where that is possible.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// PriorityClassName of the pods.
	//
	// +optional
	PriorityClassName ObjectName `json:"priorityClassName,omitempty"`

	// ServiceAccountName of the pods, which get no token of it. Default: one of their own, without any right.
	//
	// +optional
	ServiceAccountName ObjectName `json:"serviceAccountName,omitempty"`

	// SecurityContext says as whom the pods run.
	//
	// +optional
	SecurityContext *PodSecurity `json:"securityContext,omitempty"`

	// TerminationGracePeriodSeconds is how long a pod may take to send or commit what it has. Default 30 for agents, 60
	// for sinks.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
}

// PodMetadata is added to pods.
type PodMetadata struct {
	// Labels to add. Those of the manager can't be replaced.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations to add.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PodSecurity says as whom pods run. Everything else is as the Pod Security level "restricted" wants it.
type PodSecurity struct {
	// RunAsUser is the user id. Default 65532. An agent that runs as 0 also gets the capability DAC_READ_SEARCH and no
	// other, to read files that only root may read.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	RunAsUser *int64 `json:"runAsUser,omitempty"`

	// RunAsGroup is the group id. Default 0 for agents, because the kubelet lets that group read the logs of pods, and
	// 65532 for sinks.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	RunAsGroup *int64 `json:"runAsGroup,omitempty"`

	// SupplementalGroups are further groups, such as 4 (adm), which reads /var/log on Debian.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=set
	SupplementalGroups []int64 `json:"supplementalGroups,omitempty"`

	// SELinuxOptions of the pods.
	//
	// +optional
	SELinuxOptions *corev1.SELinuxOptions `json:"seLinuxOptions,omitempty"`
}
