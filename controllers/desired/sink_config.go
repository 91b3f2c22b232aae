package desired

import (
	"path/filepath"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

// SinkOptions is what an HDFSSink does not say: where things are on the machine of the sink.
type SinkOptions struct {
	// SecretsDir and ConfigMapsDir hold a directory for each Secret and ConfigMap, named as that, with a file for each
	// key.
	SecretsDir    string
	ConfigMapsDir string
	// Listen is the address of metrics and health; empty serves none.
	Listen string
}

// SinkConfig is the configuration of the sinks of s, which read topic.
func SinkConfig(s *v1alpha1.HDFSSink, topic *v1alpha1.Topic, o SinkOptions) sink.Config {
	spec := &s.Spec
	cfg := sink.Config{
		Name:               s.Namespace + "/" + s.Name,
		Topic:              topic.NameInKafka(),
		Kafka:              KafkaConfig(KafkaOf(spec.Kafka, topic), o.SecretsDir),
		ConsumerGroup:      spec.ConsumerGroup,
		InitialOffset:      sink.InitialOffset(spec.InitialOffset),
		Store:              storeConfig(spec, o.ConfigMapsDir),
		Path:               spec.Path,
		TimeZone:           spec.TimeZone,
		MaxOpenFiles:       int(spec.MaxOpenFiles),
		MaxFetchesInFlight: int(spec.Fetch.MaxInFlight),
		FetchBytes:         int(spec.Fetch.MaxBytes.Value()),
		Listen:             o.Listen,
		File: format.Config{
			Format:      format.Encoding(spec.File.Format),
			Compression: format.Compression(spec.File.Compression),
			Level:       int(spec.File.Level),
		},
		Roll: sink.Roll{
			MaxBytes:   spec.Roll.MaxBytes.Value(),
			MaxRecords: spec.Roll.MaxRecords,
			Interval:   conf.Duration(spec.Roll.Interval.Duration),
		},
	}
	if spec.Roll.IdleTimeout != nil {
		cfg.Roll.IdleTimeout = conf.Duration(spec.Roll.IdleTimeout.Duration)
	}
	return cfg
}

func storeConfig(spec *v1alpha1.HDFSSinkSpec, configMapsDir string) store.Config {
	hdfs := &spec.HDFS
	cfg := store.Config{
		URL:         hdfs.URL,
		NameNodes:   texts(hdfs.NameNodes),
		User:        hdfs.User,
		Replication: int(hdfs.Replication),
		BlockSize:   hdfs.BlockSize.Value(),
		CallTimeout: conf.Duration(spec.Timeouts.Call.Duration),
	}
	if hdfs.ConfigMapRef != nil {
		cfg.HadoopConfDir = filepath.Join(configMapsDir, string(hdfs.ConfigMapRef.Name))
	}
	return cfg
}
