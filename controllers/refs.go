package controllers

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// topicOf returns the Topic that ref names, or why it can't be used.
func (b *base) topicOf(ctx context.Context, namespace string, ref v1alpha1.TopicRef) (
	*v1alpha1.Topic, *verdict, error,
) {
	topic := &v1alpha1.Topic{}
	err := b.Get(ctx, client.ObjectKey{Namespace: namespace, Name: string(ref.Name)}, topic)
	if apierrors.IsNotFound(err) {
		return nil, &verdict{v1alpha1.ReasonTopicNotFound, fmt.Sprintf("spec.topicRef.name: there is no Topic %q in "+
			"namespace %s: create it, or correct the name", ref.Name, namespace)}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get Topic %s: %w", ref.Name, err)
	}
	if conflict := meta.FindStatusCondition(topic.Status.Conditions, v1alpha1.ConditionConflict); conflict != nil &&
		conflict.Status == "True" {
		return nil, &verdict{v1alpha1.ReasonTopicNotReady, fmt.Sprintf("spec.topicRef.name: Topic %q does not own its "+
			"topic in Kafka: %s", ref.Name, conflict.Message)}, nil
	}
	return topic, nil, nil
}

// topicState repeats what the Topic says of itself.
func topicState(topic *v1alpha1.Topic) *verdict {
	ready := meta.FindStatusCondition(topic.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return &verdict{v1alpha1.ReasonPending, fmt.Sprintf("Topic %q was not compared with Kafka yet", topic.Name)}
	case ready.Status != "True":
		return &verdict{v1alpha1.ReasonTopicNotReady,
			fmt.Sprintf("Topic %q: %s: %s", topic.Name, ready.Reason, ready.Message)}
	default:
		return nil
	}
}

// secretFiles holds the content of Secrets by name and key.
type secretFiles map[string]map[string][]byte

// secrets reads the Secrets that spec refers to, with their versions.
func (b *base) secrets(ctx context.Context, namespace string, spec *v1alpha1.KafkaSpec) (
	secretFiles, []desired.ObjectVersion, *verdict, error,
) {
	files := secretFiles{}
	var versions []desired.ObjectVersion
	for _, want := range desired.KafkaSecretKeys(spec) {
		if _, ok := files[want.Secret]; !ok {
			secret := &corev1.Secret{}
			err := b.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: want.Secret}, secret)
			if apierrors.IsNotFound(err) {
				return nil, nil, &verdict{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("there is no Secret %q in namespace "+
					"%s, which spec.kafka refers to: create it with %s, or correct the name",
					want.Secret, namespace, keysOf(want.Secret, spec))}, nil
			}
			if err != nil {
				return nil, nil, nil, fmt.Errorf("get Secret %s: %w", want.Secret, err)
			}
			files[want.Secret] = secret.Data
			versions = append(versions, version(secret))
		}
		if len(files[want.Secret][want.Key]) == 0 {
			return nil, nil, &verdict{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("Secret %q in namespace %s has no key %s: "+
				"add it", want.Secret, namespace, want.Key)}, nil
		}
	}
	return files, versions, nil, nil
}

// keysOf lists the keys that spec wants of a Secret.
func keysOf(secret string, spec *v1alpha1.KafkaSpec) string {
	var keys []string
	for _, want := range desired.KafkaSecretKeys(spec) {
		if want.Secret == secret {
			keys = append(keys, want.Key)
		}
	}
	return strings.Join(keys, " and ")
}

func version(object client.Object) desired.ObjectVersion {
	return desired.ObjectVersion{
		Name: object.GetName(), UID: string(object.GetUID()), ResourceVersion: object.GetResourceVersion(),
	}
}

// hadoopConfig returns the version of the ConfigMap that spec takes the NameNodes from, if any.
func (b *base) hadoopConfig(ctx context.Context, s *v1alpha1.HDFSSink) ([]desired.ObjectVersion, *verdict, error) {
	ref := s.Spec.HDFS.ConfigMapRef
	if ref == nil {
		return nil, nil, nil
	}
	found := &corev1.ConfigMap{}
	err := b.live.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: string(ref.Name)}, found)
	if apierrors.IsNotFound(err) {
		return nil, &verdict{v1alpha1.ReasonConfigMapNotFound, fmt.Sprintf("spec.hdfs.configMapRef.name: there is no "+
			"ConfigMap %q in namespace %s: create it with the keys core-site.xml and hdfs-site.xml, or correct the name",
			ref.Name, s.Namespace)}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get ConfigMap %s: %w", ref.Name, err)
	}
	if found.Data["hdfs-site.xml"] == "" {
		return nil, &verdict{v1alpha1.ReasonConfigMapNotFound, fmt.Sprintf("spec.hdfs.configMapRef.name: ConfigMap %q in "+
			"namespace %s has no key hdfs-site.xml: add it", ref.Name, s.Namespace)}, nil
	}
	return []desired.ObjectVersion{version(found)}, nil, nil
}
