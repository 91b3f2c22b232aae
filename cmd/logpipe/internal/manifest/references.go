package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// Where an installed agent or sink finds things. Validation needs some place; it does not look there.
const (
	stateDir      = "/var/lib/logpipe"
	secretsDir    = "/etc/logpipe/secrets"
	configMapsDir = "/etc/logpipe/configmaps"
	podFactsFile  = "/etc/logpipe/pods.json"
)

const (
	maxMessageKey = "max.message.bytes"
	// defaultMaxMessage is what Kafka takes if the topic does not say.
	defaultMaxMessage = 1048588
	// recordOverhead leaves room for what a batch and a record have besides the line: headers, key, metadata.
	recordOverhead = 1024
)

// checkReferences checks objects against each other, and with that what is rendered from them.
func (l *loader) checkReferences() {
	for i, topic := range l.set.Topics {
		l.checkTopic(topic, l.set.Topics[:i])
	}
	for _, source := range l.set.Sources {
		if topic := l.resolve(source, source.Spec.TopicRef); topic != nil {
			l.checkSource(source, topic)
		}
	}
	for i, sink := range l.set.Sinks {
		if topic := l.resolve(sink, sink.Spec.TopicRef); topic != nil {
			l.checkSink(sink, topic, l.set.Sinks[:i])
		}
	}
}

// resolve returns nil if there is no Topic to go on with.
func (l *loader) resolve(object metav1.Object, ref v1alpha1.TopicRef) *v1alpha1.Topic {
	if topic := l.set.Topic(object.GetNamespace(), ref.Name); topic != nil {
		return topic
	}
	var names []string
	for _, topic := range l.set.Topics {
		if topic.Namespace == object.GetNamespace() {
			names = append(names, topic.Name)
		}
	}
	for _, d := range l.broken {
		if d.kind() != v1alpha1.KindTopic || namespaceOf(d) != object.GetNamespace() {
			continue
		}
		if d.name() == string(ref.Name) {
			return nil // its own problems are reported
		}
		names = append(names, d.name())
	}
	remedy := "add it, or correct the name"
	if near := nearest(string(ref.Name), names); near != "" {
		remedy = fmt.Sprintf("did you mean %s?", near)
	}
	l.report(object, "spec.topicRef.name", fmt.Sprintf("Not found: %q: no such Topic in namespace %s of these files: %s",
		ref.Name, object.GetNamespace(), remedy))
	return nil
}

func (l *loader) checkTopic(topic *v1alpha1.Topic, before []*v1alpha1.Topic) {
	cfg := desired.KafkaConfig(&topic.Spec.Kafka, secretsDir)
	cfg.Default()
	for _, problem := range desired.KafkaProblems(cfg.Validate()) {
		l.report(topic, problem.Field, problem.Message)
	}
	for _, other := range before {
		if other.NameInKafka() == topic.NameInKafka() &&
			slices.Equal(other.Spec.Kafka.BootstrapServers, topic.Spec.Kafka.BootstrapServers) {
			l.report(topic, "spec.topicName", fmt.Sprintf("Duplicate value: %q: Topic/%s is the same topic in Kafka: "+
				"use that one, or choose another topicName", topic.NameInKafka(), other.Name))
		}
	}
}

func (l *loader) checkSource(source *v1alpha1.LogSource, topic *v1alpha1.Topic) {
	cfg := desired.AgentConfig(source, topic, desired.AgentOptions{
		StateDir: stateDir, SecretsDir: secretsDir, PodFactsFile: podFactsFile,
	})
	cfg.Default()
	for _, problem := range desired.SourceProblems(cfg.Validate()) {
		if source.Spec.Kafka != nil || !strings.HasPrefix(problem.Field, "spec.kafka") {
			l.report(source, problem.Field, problem.Message)
		}
	}
	if most, where := maxMessage(topic); cfg.Decode.MaxRecordBytes > most-recordOverhead {
		l.report(source, "spec.maxRecordBytes", fmt.Sprintf("Invalid value: %q: Topic/%s takes %d bytes at most (%s): "+
			"use %d or less, or raise %s there", source.Spec.MaxRecordBytes.String(), topic.Name, most, where,
			max(0, most-recordOverhead), maxMessageKey))
	}
	for key, partitions := range source.Spec.Assignment {
		for i, partition := range partitions {
			if partition >= topic.Spec.Partitions {
				l.report(source, fmt.Sprintf("spec.assignment[%s][%d]", key, i),
					fmt.Sprintf("Invalid value: %d: Topic/%s has %d partitions: use 0 to %d",
						partition, topic.Name, topic.Spec.Partitions, topic.Spec.Partitions-1))
			}
		}
	}
}

// maxMessage returns how large a batch the topic takes, and why.
func maxMessage(topic *v1alpha1.Topic) (bytes int, where string) {
	value, ok := topic.Spec.Config[maxMessageKey]
	if !ok {
		return defaultMaxMessage, "Kafka's default"
	}
	bytes, err := strconv.Atoi(string(value))
	if err != nil {
		return defaultMaxMessage, "Kafka's default"
	}
	return bytes, "its " + maxMessageKey
}

func (l *loader) checkSink(sink *v1alpha1.HDFSSink, topic *v1alpha1.Topic, before []*v1alpha1.HDFSSink) {
	cfg := desired.SinkConfig(sink, topic, desired.SinkOptions{SecretsDir: secretsDir, ConfigMapsDir: configMapsDir})
	cfg.Default()
	for _, problem := range desired.SinkProblems(cfg.Validate()) {
		if sink.Spec.Kafka != nil || !strings.HasPrefix(problem.Field, "spec.kafka") {
			l.report(sink, problem.Field, problem.Message)
		}
	}
	for _, other := range before {
		otherTopic := l.set.Topic(other.Namespace, other.Spec.TopicRef.Name)
		if otherTopic == nil {
			continue
		}
		otherCfg := desired.SinkConfig(other, otherTopic, desired.SinkOptions{})
		otherCfg.Default()
		if otherCfg.ConsumerGroup == cfg.ConsumerGroup && otherCfg.Topic == cfg.Topic {
			l.report(sink, "spec.consumerGroup", fmt.Sprintf("Duplicate value: %q: HDFSSink/%s reads the same topic in the "+
				"same group, so that each would get a part of it: choose another name", cfg.ConsumerGroup, other.Name))
		}
	}
}
