package desired

import (
	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/internal/kafka"
)

// TopicSpec is what topic should be in Kafka.
func TopicSpec(topic *v1alpha1.Topic) kafka.TopicSpec {
	spec := kafka.TopicSpec{
		Name:              topic.NameInKafka(),
		Partitions:        topic.Spec.Partitions,
		ReplicationFactor: topic.Spec.ReplicationFactor,
	}
	for name, value := range topic.Spec.Config {
		if spec.Config == nil {
			spec.Config = make(map[string]string, len(topic.Spec.Config))
		}
		spec.Config[name] = string(value)
	}
	return spec
}
