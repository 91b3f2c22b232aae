package manifest

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// checkReferences checks objects against each other, and with that what is rendered from them.
func (l *loader) checkReferences() {
	for i, topic := range l.set.Topics {
		l.checkTopic(topic, l.set.Topics[:i])
	}
	for _, source := range l.set.Sources {
		if topic := l.resolve(source, source.Spec.TopicRef); topic != nil {
			l.reportAll(source, desired.CheckSource(source, topic))
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
	l.reportAll(topic, desired.CheckTopic(topic))
	for _, other := range before {
		if other.NameInKafka() == topic.NameInKafka() &&
			slices.Equal(other.Spec.Kafka.BootstrapServers, topic.Spec.Kafka.BootstrapServers) {
			l.report(topic, "spec.topicName", fmt.Sprintf("Duplicate value: %q: Topic/%s is the same topic in Kafka: "+
				"use that one, or choose another topicName", topic.NameInKafka(), other.Name))
		}
	}
}

func (l *loader) reportAll(object metav1.Object, problems []desired.Problem) {
	for _, problem := range problems {
		l.report(object, problem.Field, problem.Message)
	}
}

func (l *loader) checkSink(sink *v1alpha1.HDFSSink, topic *v1alpha1.Topic, before []*v1alpha1.HDFSSink) {
	l.reportAll(sink, desired.CheckSink(sink, topic))
	cfg := desired.PodSinkConfig(sink, topic)
	cfg.Default()
	for _, other := range before {
		otherTopic := l.set.Topic(other.Namespace, other.Spec.TopicRef.Name)
		if otherTopic == nil {
			continue
		}
		otherCfg := desired.PodSinkConfig(other, otherTopic)
		otherCfg.Default()
		if otherCfg.ConsumerGroup == cfg.ConsumerGroup && otherCfg.Topic == cfg.Topic {
			l.report(sink, "spec.consumerGroup", fmt.Sprintf("Duplicate value: %q: HDFSSink/%s reads the same topic in the "+
				"same group, so that each would get a part of it: choose another name", cfg.ConsumerGroup, other.Name))
		}
	}
}
