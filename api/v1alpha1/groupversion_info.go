// Package v1alpha1 holds the resources of logpipe: LogSource, Topic and HDFSSink.
//
// +kubebuilder:object:generate=true
// +groupName=logpipe.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kinds of this group.
const (
	KindLogSource = "LogSource"
	KindTopic     = "Topic"
	KindHDFSSink  = "HDFSSink"
)

var (
	// GroupVersion is the group and version of the resources.
	GroupVersion = schema.GroupVersion{Group: "logpipe.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes the resources known to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&LogSource{}, &LogSourceList{}, &Topic{}, &TopicList{}, &HDFSSink{}, &HDFSSinkList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
