package controllers

import (
	"strings"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/test/servers"
)

// TestTopicHasOneOwner: of two Topics that mean one topic in Kafka, the older has it. Neither changes that by an edit.
func TestTopicHasOneOwner(t *testing.T) {
	brokers := servers.Kafka(t, 1)
	w := newWorld(t)
	w.start()
	name := servers.UniqueName(t)
	first := create[v1alpha1.Topic](w, topicYAML(brokers.Bootstrap[0], name))
	ready(w, first, yes, v1alpha1.ReasonReady)
	second := create[v1alpha1.Topic](w, strings.Replace(
		topicYAML(brokers.Bootstrap[0], name, "  config: {retention.ms: '1234567'}"), "name: t", "name: second", 1))
	ready(w, second, no, v1alpha1.ReasonResourceConflict)
	source := create[v1alpha1.LogSource](w, strings.Replace(sourceYAML, "{name: t}", "{name: second}", 1))
	got := ready(w, source, no, v1alpha1.ReasonTopicNotReady)
	if !strings.Contains(got.Message, w.namespace+"/t") {
		t.Errorf("message %q does not name the owner", got.Message)
	}
	if w.has(brokers, name, "retention.ms", "1234567") {
		t.Error("the second Topic changed the topic")
	}
	w.check(w.Delete(w.Context(), first))
	w.gone(first)
	ready(w, second, yes, v1alpha1.ReasonReady)
}

// TestTopicDrift: what the spec lists is put right, or only shown; what it does not list is left alone.
func TestTopicDrift(t *testing.T) {
	brokers := servers.Kafka(t, 1)
	w := newWorld(t)
	w.start()
	name := servers.UniqueName(t)
	topic := create[v1alpha1.Topic](w, topicYAML(brokers.Bootstrap[0], name, "  config: {retention.ms: '1000000'}"))
	ready(w, topic, yes, v1alpha1.ReasonReady)

	w.set(brokers, name, map[string]string{"retention.ms": "2000000", "segment.bytes": "2097152"})
	w.await("retention.ms to be set again", func() bool { // segment.bytes tells that it was set to something else before
		return w.has(brokers, name, "segment.bytes", "2097152") && w.has(brokers, name, "retention.ms", "1000000")
	})
	if !w.has(brokers, name, "segment.bytes", "2097152") {
		t.Error("a configuration was changed that the spec does not list")
	}

	edit(w, topic, func() { topic.Spec.DriftPolicy = v1alpha1.DriftReport })
	ready(w, topic, yes, v1alpha1.ReasonReady)
	w.set(brokers, name, map[string]string{"retention.ms": "3000000"})
	got := ready(w, topic, no, v1alpha1.ReasonDrift)
	for _, part := range []string{"spec.config[retention.ms]", `"3000000"`, `"1000000"`, "Revert"} {
		if !strings.Contains(got.Message, part) {
			t.Errorf("message %q lacks %q", got.Message, part)
		}
	}
	want := v1alpha1.ConfigDrift{Key: "retention.ms", Want: "1000000", Got: "3000000"}
	if d := topic.Status.Drift; len(d) != 1 || d[0] != want {
		t.Errorf("status.drift is %+v, want %+v", d, want)
	}

	edit(w, topic, func() {
		topic.Spec.DriftPolicy, topic.Spec.ManagementState = v1alpha1.DriftRevert, v1alpha1.Unmanaged
		topic.Spec.Partitions = 12
	})
	until(w, topic, "seen", func(x *v1alpha1.Topic) bool { return x.Status.ObservedGeneration == x.Generation })
	ready(w, topic, no, v1alpha1.ReasonDrift)
	if topic.Status.Partitions != 6 {
		t.Errorf("an unmanaged topic has grown to %d partitions", topic.Status.Partitions)
	}
	edit(w, topic, func() { topic.Spec.ManagementState = v1alpha1.Managed })
	ready(w, topic, yes, v1alpha1.ReasonReady)
}

// TestTopicRefused: what Kafka can't do is told, and what the API can refuse never gets there.
func TestTopicRefused(t *testing.T) {
	brokers := servers.Kafka(t, 1)
	w := newWorld(t)
	w.start()
	name := servers.UniqueName(t)
	brokers.CLI("TopicCommand", "--create", "--topic", name, "--partitions", "8", "--replication-factor", "1")
	topic := create[v1alpha1.Topic](w, topicYAML(brokers.Bootstrap[0], name))
	got := ready(w, topic, no, v1alpha1.ReasonNotSupported)
	if !strings.Contains(got.Message, "specify 8") {
		t.Errorf("message %q does not say what to specify", got.Message)
	}
	edit(w, topic, func() { topic.Spec.Partitions = 8 })
	ready(w, topic, yes, v1alpha1.ReasonReady)
	shrunk := topic.DeepCopy()
	shrunk.Spec.Partitions = 4
	if err := w.Update(w.Context(), shrunk); err == nil || !strings.Contains(err.Error(), "can't be reduced") {
		t.Errorf("fewer partitions: %v", err)
	}
	wide := create[v1alpha1.Topic](w, strings.NewReplacer("name: t", "name: wide", "replicationFactor: 1",
		"replicationFactor: 3").Replace(topicYAML(brokers.Bootstrap[0], name+"-wide")))
	got = ready(w, wide, no, v1alpha1.ReasonKafkaError)
	if !strings.Contains(got.Message, "replication") {
		t.Errorf("message %q does not tell of the replication factor", got.Message)
	}
}

// TestTopicRecreated: a topic that was deleted and made again behind the operator's back is not taken for the same.
func TestTopicRecreated(t *testing.T) {
	brokers := servers.Kafka(t, 1)
	w := newWorld(t)
	w.start()
	name := servers.UniqueName(t)
	topic := create[v1alpha1.Topic](w, topicYAML(brokers.Bootstrap[0], name))
	ready(w, topic, yes, v1alpha1.ReasonReady)
	before := topic.Status.TopicID
	brokers.CLI("TopicCommand", "--delete", "--topic", name)
	topic = until(w, topic, "a new topic", func(x *v1alpha1.Topic) bool {
		return meta.IsStatusConditionTrue(x.Status.Conditions, v1alpha1.ConditionRecreated)
	})
	if topic.Status.PreviousTopicID != before || topic.Status.TopicID == before {
		t.Errorf("ids %s and %s, before %s", topic.Status.PreviousTopicID, topic.Status.TopicID, before)
	}
}

// TestKafkaAway: resources wait for Kafka, what runs goes on, and a deletion never hangs.
func TestKafkaAway(t *testing.T) {
	brokers := servers.PrivateKafka(t, 1)
	w := newWorld(t)
	w.start()
	topic := create[v1alpha1.Topic](w, topicYAML(brokers.Bootstrap[0], servers.UniqueName(t),
		"  deletionPolicy: Delete", "  deletionTimeout: 15s"))
	ready(w, topic, yes, v1alpha1.ReasonReady)
	source := create[v1alpha1.LogSource](w, sourceYAML)
	set := w.daemonSet()

	brokers.Kill(1)
	got := ready(w, topic, no, v1alpha1.ReasonBrokerUnreachable)
	if !strings.Contains(got.Message, brokers.Bootstrap[0]) {
		t.Errorf("message %q does not name the broker", got.Message)
	}
	ready(w, source, no, v1alpha1.ReasonTopicNotReady)
	if now := w.daemonSet(); now.Generation != set.Generation {
		t.Error("agents changed because Kafka is away")
	}
	edit(w, source, func() { source.Spec.Batch.MaxRecords = 55 })
	until(w, set, "a change while Kafka is away", func(*appsv1.DaemonSet) bool { return set.Generation > 1 })

	brokers.Start(1)
	ready(w, topic, yes, v1alpha1.ReasonReady)
	w.check(w.Delete(w.Context(), source))
	w.gone(source)

	brokers.Kill(1)
	ready(w, topic, no, v1alpha1.ReasonBrokerUnreachable)
	w.check(w.Delete(w.Context(), topic))
	got = ready(w, topic, no, v1alpha1.ReasonDeleting)
	if !strings.Contains(got.Message, "spec.deletionTimeout (15s)") {
		t.Errorf("message %q does not say how long", got.Message)
	}
	w.gone(topic)
}

// cli is an administrator's way to Kafka, beside the manager's.
func (w *world) cli(servers *servers.KafkaCluster, do func(*kafka.Client) error) {
	w.Helper()
	client, err := kafka.Connect(w.Context(), kafka.Config{BootstrapServers: servers.Bootstrap}, logr.Discard())
	w.check(err)
	defer func() { w.check(client.Close()) }()
	w.check(do(client))
}

// set sets configurations of a topic.
func (w *world) set(servers *servers.KafkaCluster, topic string, config map[string]string) {
	w.Helper()
	w.cli(servers, func(k *kafka.Client) error {
		_, err := k.EnsureTopic(w.Context(), kafka.TopicSpec{Name: topic, Partitions: 6, Config: config})
		return err
	})
}

// has tells whether a topic has a configuration.
func (w *world) has(servers *servers.KafkaCluster, topic, key, value string) (yes bool) {
	w.Helper()
	w.cli(servers, func(k *kafka.Client) error {
		found, err := k.InspectTopic(w.Context(), kafka.TopicSpec{Name: topic, Config: map[string]string{key: value}})
		yes = len(found.Drift) == 0
		return err
	})
	return yes
}
