package controllers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
	"github.com/logpipe/logpipe/internal/kafka"
)

// errUnreachable means that no broker answered.
var errUnreachable = errors.New("no broker answers")

// withKafka calls use with a client, or with why there is none. Secrets are files while that lasts, as they are for
// agents and sinks; the manager's temporary directory is memory.
func withKafka(
	ctx context.Context, spec *v1alpha1.KafkaSpec, secrets secretFiles, use func(*kafka.Client, error) error,
) (err error) {
	dir, err := os.MkdirTemp("", "logpipe-secrets-")
	if err != nil {
		return fmt.Errorf("make a place for Secrets: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, keys := range secrets {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("make a place for Secrets: %w", err)
		}
		for key, content := range keys {
			if err := os.WriteFile(filepath.Join(dir, name, key), content, 0o600); err != nil {
				return fmt.Errorf("make a place for Secrets: %w", err)
			}
		}
	}
	connected, err := kafka.Connect(ctx, desired.KafkaConfig(spec, dir), log.FromContext(ctx))
	if err != nil {
		return use(nil, fmt.Errorf("%w: %w", errUnreachable, err))
	}
	return errors.Join(use(connected, nil), connected.Close())
}

// kafkaVerdict words what Kafka did not do.
func kafkaVerdict(err error) *verdict {
	reason := v1alpha1.ReasonKafkaError
	switch {
	case errors.Is(err, kafka.ErrNotAuthorized):
		reason = v1alpha1.ReasonUnauthorized
	case errors.Is(err, kafka.ErrNotSupported):
		reason = v1alpha1.ReasonNotSupported
	case errors.Is(err, errUnreachable), errors.Is(err, context.DeadlineExceeded):
		reason = v1alpha1.ReasonBrokerUnreachable
	}
	return &verdict{reason, stable(err)}
}

// change is what has to be done to a topic.
type change struct {
	spec                kafka.TopicSpec
	create, grow, reset bool
}

func (c change) needed() bool { return c.create || c.grow || c.reset }

// topicChange decides what has to be done. What can't be done (fewer partitions, another replication factor) is not
// part of it: it is shown.
func topicChange(topic *v1alpha1.Topic, found kafka.TopicStatus, exists bool) change {
	c := change{spec: desired.TopicSpec(topic)}
	if !exists {
		c.create = true
		return c
	}
	c.grow = found.Partitions < c.spec.Partitions
	c.reset = len(found.Drift) > 0 && topic.Spec.DriftPolicy != v1alpha1.DriftReport
	if !c.reset {
		c.spec.Config = nil
	}
	c.spec.Partitions = max(c.spec.Partitions, found.Partitions)
	return c
}

// take keeps what was found, and what of it is not as the spec says.
func (s *topicScope) take(topic *v1alpha1.Topic, found kafka.TopicStatus, exists bool) {
	name, spec := topic.NameInKafka(), &topic.Spec
	if !exists {
		s.unsynced = &verdict{v1alpha1.ReasonTopicNotFound,
			fmt.Sprintf("topic %s is not in Kafka, and is not created now", name)}
		return
	}
	s.found = &found
	switch {
	case found.Partitions > spec.Partitions:
		s.unsynced = &verdict{v1alpha1.ReasonNotSupported, fmt.Sprintf("spec.partitions: topic %s has %d partitions in "+
			"Kafka, %d are specified, and Kafka can't merge partitions: specify %d", name, found.Partitions, spec.Partitions,
			found.Partitions)}
	case found.Partitions < spec.Partitions:
		s.unsynced = &verdict{v1alpha1.ReasonDrift, fmt.Sprintf("topic %s has %d of %d partitions",
			name, found.Partitions, spec.Partitions)}
	case found.ReplicationFactor != spec.ReplicationFactor:
		s.unsynced = &verdict{v1alpha1.ReasonNotSupported, fmt.Sprintf("spec.replicationFactor: topic %s has a replication "+
			"factor of %d in Kafka, %d is specified: change it there with kafka-reassign-partitions, or specify %d",
			name, found.ReplicationFactor, spec.ReplicationFactor, found.ReplicationFactor)}
	case len(found.Drift) > 0:
		d := found.Drift[0]
		s.unsynced = &verdict{v1alpha1.ReasonDrift, fmt.Sprintf("spec.config[%s]: it is %q in Kafka, %q is specified (%d "+
			"differ, see status.drift): set it there, specify what is there, or set driftPolicy: Revert",
			d.Key, d.Got, d.Want, len(found.Drift))}
	}
}

// rival returns who else has the topic in Kafka: a Topic of the same name in the same cluster that was first.
func (r *TopicReconciler) rival(ctx context.Context, topic *v1alpha1.Topic) (*verdict, error) {
	var all v1alpha1.TopicList
	if err := r.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("list Topics: %w", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID != topic.UID && sameTopic(other, topic) && first(other, topic) {
			return &verdict{v1alpha1.ReasonResourceConflict, fmt.Sprintf("topic %s in Kafka belongs to Topic %s/%s, which was "+
				"first: use that one, or choose another spec.topicName", topic.NameInKafka(), other.Namespace, other.Name)}, nil
		}
	}
	return nil, nil
}

// sameTopic tells whether two Topics mean one topic: by the cluster's id, or by a common address while that is unknown.
func sameTopic(a, b *v1alpha1.Topic) bool {
	if a.NameInKafka() != b.NameInKafka() {
		return false
	}
	if a.Status.ClusterID != "" && b.Status.ClusterID != "" {
		return a.Status.ClusterID == b.Status.ClusterID
	}
	return slices.ContainsFunc(a.Spec.Kafka.BootstrapServers, func(server v1alpha1.HostPort) bool {
		return slices.Contains(b.Spec.Kafka.BootstrapServers, server)
	})
}

// first tells which of two Topics was first: of two from the same second, the one that made the topic.
func first(a, b *v1alpha1.Topic) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) && a.Status.Claimed != b.Status.Claimed {
		return a.Status.Claimed
	}
	return older(a, b)
}

func older(a, b client.Object) bool {
	first, second := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !first.Equal(&second) {
		return first.Before(&second)
	}
	return a.GetUID() < b.GetUID()
}

func notAdopted(topic *v1alpha1.Topic) *verdict {
	return &verdict{v1alpha1.ReasonTopicExists, fmt.Sprintf("topic %s was in Kafka before this Topic: set "+
		"spec.adoptionPolicy: Adopt to take it over, or choose another spec.topicName", topic.NameInKafka())}
}
