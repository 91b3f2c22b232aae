package pipe

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-logr/logr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/cmd/logpipe/internal/manifest"
)

// understood are the topic configurations that the embedded broker takes and that make sense on one broker.
var understood = map[string]bool{
	"cleanup.policy": true, "compression.type": true, "max.message.bytes": true, "message.timestamp.type": true,
	"retention.bytes": true, "retention.ms": true, "segment.bytes": true, "segment.ms": true,
}

// startBroker starts a broker on loopback that keeps its data below dir, so that a pipe can be stopped and started.
func startBroker(dir string) (*kfake.Cluster, error) {
	data := filepath.Join(dir, "kafka")
	if err := os.MkdirAll(data, 0o750); err != nil {
		return nil, fmt.Errorf("make directory for the embedded broker: %w", err)
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(data))
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker on %s: %w", data, err)
	}
	return broker, nil
}

// embed returns a copy of set that uses brokers in place of Kafka and filesDir in place of HDFS.
func embed(set *manifest.Set, brokers []string, filesDir string, log logr.Logger) *manifest.Set {
	var kafka v1alpha1.KafkaSpec
	for _, address := range brokers {
		kafka.BootstrapServers = append(kafka.BootstrapServers, v1alpha1.HostPort(address))
	}
	out := &manifest.Set{}
	for _, topic := range set.Topics {
		topic = topic.DeepCopy()
		topic.Spec.Kafka = kafka
		topic.Spec.ReplicationFactor = 1
		for _, name := range slices.Sorted(maps.Keys(topic.Spec.Config)) {
			if !understood[name] {
				log.Info("Configuration of the topic is left out", "topic", topic.Name, "config", name,
					"reason", "the embedded broker does not have it")
				delete(topic.Spec.Config, name)
			}
		}
		out.Topics = append(out.Topics, topic)
	}
	for _, source := range set.Sources {
		source = source.DeepCopy()
		source.Spec.Kafka = nil
		out.Sources = append(out.Sources, source)
	}
	for _, sink := range set.Sinks {
		sink = sink.DeepCopy()
		sink.Spec.Kafka = nil
		embedStore(&sink.Spec.HDFS, filesDir)
		out.Sinks = append(out.Sinks, sink)
	}
	return out
}

// embedStore puts the root of an HDFS below dir. A local root stays where it is.
func embedStore(hdfs *v1alpha1.HDFS, dir string) {
	root, err := url.Parse(hdfs.URL)
	if err != nil || root.Scheme == "file" {
		return
	}
	local := url.URL{Scheme: "file", Path: filepath.Join(dir, root.Path)}
	*hdfs = v1alpha1.HDFS{URL: local.String(), BlockSize: hdfs.BlockSize}
}
