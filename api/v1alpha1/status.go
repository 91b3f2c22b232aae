package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// StatusConditions returns the conditions of the Topic.
func (t *Topic) StatusConditions() []metav1.Condition { return t.Status.Conditions }

// StatusConditions returns the conditions of the LogSource.
func (s *LogSource) StatusConditions() []metav1.Condition { return s.Status.Conditions }

// StatusConditions returns the conditions of the HDFSSink.
func (s *HDFSSink) StatusConditions() []metav1.Condition { return s.Status.Conditions }
