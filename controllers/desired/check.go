package desired

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

const (
	maxMessageKey = "max.message.bytes"
	// defaultMaxMessage is what Kafka takes if the topic does not say.
	defaultMaxMessage = 1048588
	// recordOverhead leaves room for what a batch and a record have besides the line: headers, key, metadata.
	recordOverhead = 1024
)

// CheckTopic returns what is wrong with a Topic and shows only when it is rendered.
func CheckTopic(topic *v1alpha1.Topic) []Problem {
	cfg := KafkaConfig(&topic.Spec.Kafka, secretsDir)
	cfg.Default()
	return KafkaProblems(cfg.Validate())
}

// CheckSource returns what is wrong with a LogSource and shows only when it is rendered, or beside its Topic.
func CheckSource(source *v1alpha1.LogSource, topic *v1alpha1.Topic) []Problem {
	cfg := PodAgentConfig(source, topic)
	cfg.Default()
	out := own(source.Spec.Kafka, SourceProblems(cfg.Validate()))
	if most, where := maxMessage(topic); cfg.Decode.MaxRecordBytes > most-recordOverhead {
		out = append(out, Problem{"spec.maxRecordBytes", fmt.Sprintf("Invalid value: %q: Topic/%s takes %d bytes at most "+
			"(%s): use %d or less, or raise %s there", source.Spec.MaxRecordBytes.String(), topic.Name, most, where,
			max(0, most-recordOverhead), maxMessageKey)})
	}
	for _, key := range slices.Sorted(maps.Keys(source.Spec.Assignment)) { // one order: each other one is another status
		for i, partition := range source.Spec.Assignment[key] {
			if partition >= topic.Spec.Partitions {
				out = append(out, Problem{fmt.Sprintf("spec.assignment[%s][%d]", key, i),
					fmt.Sprintf("Invalid value: %d: Topic/%s has %d partitions: use 0 to %d",
						partition, topic.Name, topic.Spec.Partitions, topic.Spec.Partitions-1)})
			}
		}
	}
	return out
}

// CheckSink returns what is wrong with an HDFSSink and shows only when it is rendered.
func CheckSink(s *v1alpha1.HDFSSink, topic *v1alpha1.Topic) []Problem {
	cfg := PodSinkConfig(s, topic)
	cfg.Default()
	return own(s.Spec.Kafka, SinkProblems(cfg.Validate()))
}

// CheckSinkPod returns what works on one machine and not in a pod.
func CheckSinkPod(s *v1alpha1.HDFSSink) []Problem {
	if !strings.HasPrefix(s.Spec.HDFS.URL, "file:") {
		return nil
	}
	return []Problem{{"spec.hdfs.url", fmt.Sprintf("Invalid value: %q: the disk of a pod goes with it: use hdfs://; "+
		"file:// is for logpipe run", s.Spec.HDFS.URL)}}
}

// own leaves out what is wrong with the Kafka of the Topic: that is shown there.
func own(kafka *v1alpha1.KafkaSpec, problems []Problem) []Problem {
	if kafka != nil {
		return problems
	}
	var out []Problem
	for _, problem := range problems {
		if !strings.HasPrefix(problem.Field, "spec.kafka") {
			out = append(out, problem)
		}
	}
	return out
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
