package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Input names files, or the logs of pods. Exactly one of the two is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.files) != has(self.pods)",message="set exactly one of files and pods; for both, write two inputs"
type Input struct {
	// Files are files on the node.
	//
	// +optional
	Files *FilesInput `json:"files,omitempty"`

	// Pods are the logs of the pods on the node, as the kubelet stores them.
	//
	// +optional
	Pods *PodsInput `json:"pods,omitempty"`
}

// PathPattern is an absolute glob pattern: * and ? stand for anything within one directory or file name, ** for any
// number of directories, [a-z] for one of these characters, {a,b} for one of these texts.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="write an absolute path: start it with /"
// +kubebuilder:validation:XValidation:rule="!self.contains('/../') && !self.endsWith('/..')",message="leave out '..': write the path that is meant"
type PathPattern string

// FilesInput names files by path.
type FilesInput struct {
	// Include are the patterns of the files that are read, such as /var/log/app/*.log.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Include []PathPattern `json:"include"`

	// Exclude are the patterns of files that are not read although include names them.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Exclude []PathPattern `json:"exclude,omitempty"`

	// IgnoreOlder leaves out files that had not been modified for so long when first seen. Default: none is left out.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s')",message="use a positive duration such as 24h"
	IgnoreOlder *metav1.Duration `json:"ignoreOlder,omitempty"`
}

// PodsInput selects pods and containers on the node. Everything that is set must match.
type PodsInput struct {
	// NamespaceSelector selects by namespace. Default: all namespaces.
	//
	// +optional
	NamespaceSelector *NamespaceSelector `json:"namespaceSelector,omitempty"`

	// PodSelector selects by the pods' labels. Default: all pods.
	//
	// +optional
	PodSelector *PodSelector `json:"podSelector,omitempty"`

	// Containers select by the container's name. Default: all containers.
	//
	// +optional
	Containers *ContainerSelector `json:"containers,omitempty"`

	// Stream reads Stdout or Stderr only. Default: both.
	//
	// +optional
	Stream Stream `json:"stream,omitempty"`

	// PodLogsDir is the kubelet's directory of that name. Default /var/log/pods.
	//
	// +optional
	// +kubebuilder:default="/var/log/pods"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.matches('/[.][.](/|$)')",message="write an absolute path without '..'"
	PodLogsDir string `json:"podLogsDir,omitempty"`
}

// NamespaceSelector selects namespaces by name.
type NamespaceSelector struct {
	// MatchNames are the names of the namespaces.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	MatchNames []NamespaceName `json:"matchNames"`
}

// NamespaceName is the name of a namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="use the name of a namespace: lower-case letters, digits and '-', with a letter or digit at both ends"
type NamespaceName string

// PodSelector selects pods by their labels.
type PodSelector struct {
	// MatchLabels are labels that a pod must all have.
	//
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	MatchLabels map[string]string `json:"matchLabels"`
}

// ContainerSelector selects containers by glob patterns on their names, such as app-*.
type ContainerSelector struct {
	// Include are the patterns of containers that are read. Default: all.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Include []NamePattern `json:"include,omitempty"`

	// Exclude are the patterns of containers that are not read although include names them.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Exclude []NamePattern `json:"exclude,omitempty"`
}

// NamePattern is a glob pattern on a name.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
type NamePattern string

// Stream is one of the two outputs of a container.
//
// +kubebuilder:validation:Enum=Stdout;Stderr
type Stream string

// The outputs of a container.
const (
	Stdout Stream = "Stdout"
	Stderr Stream = "Stderr"
)

// Rotation says how rotated files are treated.
type Rotation struct {
	// Compressed says whether a file that was compressed before it was read to its end is read on inside the compressed
	// file (Gzip), or given up and counted as lost (Ignore). Default Gzip.
	//
	// +optional
	// +kubebuilder:default=Gzip
	Compressed CompressedRotation `json:"compressed,omitempty"`
}

// CompressedRotation names how compressed files are treated.
//
// +kubebuilder:validation:Enum=Ignore;Gzip
type CompressedRotation string

// How compressed files are treated.
const (
	CompressedIgnore CompressedRotation = "Ignore"
	CompressedGzip   CompressedRotation = "Gzip"
)
