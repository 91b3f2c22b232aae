// Package desired computes, from resources alone, what should exist: no client, no clock, no environment.
package desired

import (
	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

// AgentOptions is what a LogSource does not say: where things are on the machine of the agent.
type AgentOptions struct {
	// StateDir is where the agent keeps its journal.
	StateDir string
	// SecretsDir holds a directory for each Secret, named as the Secret, with a file for each key.
	SecretsDir string
	// Listen is the address of metrics and health; empty serves none.
	Listen string
	// Node is the machine of the agent.
	Node agent.Node
	// NodeFactsFile tells the labels of nodes, PodFactsFile those of pods; empty where no label is needed.
	NodeFactsFile, PodFactsFile string
}

// AgentConfig is the configuration of the agents of source, which write to topic.
func AgentConfig(source *v1alpha1.LogSource, topic *v1alpha1.Topic, o AgentOptions) agent.Config {
	spec := &source.Spec
	cfg := agent.Config{
		Name:          source.Namespace + "/" + source.Name,
		StateDir:      o.StateDir,
		Topic:         topic.NameInKafka(),
		Kafka:         KafkaConfig(KafkaOf(spec.Kafka, topic), o.SecretsDir),
		StartAt:       agent.StartAt(spec.StartAt),
		Compressed:    compressed(spec.Rotation),
		Decode:        decodeConfig(spec),
		Metadata:      metadata(spec.Metadata),
		Delivery:      agent.Delivery(spec.Delivery),
		PartitionKey:  partitionKey(spec.PartitionKey),
		Compression:   kafka.Compression(spec.Producer.Compression),
		RateLimit:     rateLimit(spec.RateLimit),
		BufferBytes:   int(spec.Buffer.MemoryLimit.Value()),
		Listen:        o.Listen,
		Node:          o.Node,
		NodeFactsFile: o.NodeFactsFile,
		PodFactsFile:  o.PodFactsFile,
		Batch: agent.Batch{
			MaxBytes:   int(spec.Batch.MaxBytes.Value()),
			MaxRecords: int(spec.Batch.MaxRecords),
			Interval:   conf.Duration(spec.Batch.Interval.Duration),
		},
	}
	cfg.Kafka.RequestTimeout = conf.Duration(spec.Producer.RequestTimeout.Duration)
	for i := range spec.Inputs {
		cfg.Inputs = append(cfg.Inputs, input(&spec.Inputs[i]))
	}
	for key, partitions := range spec.Assignment {
		if cfg.Assignment == nil {
			cfg.Assignment = make(map[string][]int32, len(spec.Assignment))
		}
		cfg.Assignment[key] = partitions
	}
	return cfg
}

func input(in *v1alpha1.Input) agent.Input {
	var out agent.Input
	if in.Files != nil {
		out.Files = &agent.FilesInput{Include: texts(in.Files.Include), Exclude: texts(in.Files.Exclude)}
		if in.Files.IgnoreOlder != nil {
			out.Files.IgnoreOlder = conf.Duration(in.Files.IgnoreOlder.Duration)
		}
	}
	if in.Pods != nil {
		out.Pods = pods(in.Pods)
	}
	return out
}

func pods(in *v1alpha1.PodsInput) *agent.PodsInput {
	out := &agent.PodsInput{Root: in.PodLogsDir, Stream: string(in.Stream)}
	if in.NamespaceSelector != nil {
		out.Namespaces = texts(in.NamespaceSelector.MatchNames)
	}
	if in.PodSelector != nil {
		out.MatchLabels = in.PodSelector.MatchLabels
	}
	if in.Containers != nil {
		out.Containers.Include = texts(in.Containers.Include)
		out.Containers.Exclude = texts(in.Containers.Exclude)
	}
	return out
}

func compressed(r v1alpha1.Rotation) *bool {
	if r.Compressed == "" {
		return nil
	}
	read := r.Compressed == v1alpha1.CompressedGzip
	return &read
}

func decodeConfig(spec *v1alpha1.LogSourceSpec) decode.Config {
	cfg := decode.Config{
		Format:         decode.Format(spec.Decode),
		MaxRecordBytes: int(spec.MaxRecordBytes.Value()),
		Oversize:       decode.OversizePolicy(spec.OversizePolicy),
	}
	if m := spec.Multiline; m != nil {
		cfg.Multiline = &decode.Multiline{
			StartPattern:    string(m.StartPattern),
			ContinuePattern: string(m.ContinuePattern),
			EndPattern:      string(m.EndPattern),
			Timeout:         conf.Duration(m.Timeout.Duration),
			MaxLines:        int(m.MaxLines),
		}
	}
	for _, f := range spec.Filters {
		var filter decode.Filter
		if f.Drop != nil {
			filter.Drop = &decode.Drop{Match: string(f.Drop.Match)}
		}
		if f.Redact != nil {
			filter.Redact = &decode.Redact{Pattern: string(f.Redact.Pattern), Replacement: f.Redact.Replacement}
		}
		cfg.Filters = append(cfg.Filters, filter)
	}
	return cfg
}

func metadata(m *v1alpha1.Metadata) agent.Metadata {
	if m == nil {
		return agent.Metadata{}
	}
	out := agent.Metadata{Fields: texts(m.Fields), AddFields: m.AddFields, As: agent.MetadataForm(m.As)}
	for _, label := range m.NodeLabels {
		out.Fields = append(out.Fields, "nodeLabel:"+string(label))
	}
	for _, label := range m.PodLabels {
		out.Fields = append(out.Fields, "podLabel:"+string(label))
	}
	return out
}

func partitionKey(k v1alpha1.PartitionKey) agent.PartitionKey {
	out := agent.PartitionKey{Fallback: k.Fallback}
	switch {
	case k.NodeField == v1alpha1.NodeFieldName:
		out.Type = agent.KeyNode
	case k.NodeLabel != "":
		out.Type, out.Label = agent.KeyNodeLabel, string(k.NodeLabel)
	case k.Subnet != nil:
		out.Type = agent.KeySubnet
		out.IPv4PrefixLength, out.IPv6PrefixLength = int(k.Subnet.IPv4PrefixLength), int(k.Subnet.IPv6PrefixLength)
	case k.PodField == v1alpha1.PodFieldNamespace:
		out.Type = agent.KeyNamespace
	case k.PodField == v1alpha1.PodFieldName:
		out.Type = agent.KeyPod
	case k.PodLabel != "":
		out.Type, out.Label = agent.KeyPodLabel, string(k.PodLabel)
	case k.File != nil:
		out.Type = agent.KeyFile
	case k.Field != "":
		out.Type, out.Field = agent.KeyField, k.Field
	case k.Static != "":
		out.Type, out.Value = agent.KeyStatic, k.Static
	case k.None != nil:
		out.Type = agent.KeyNone
	}
	return out
}

func rateLimit(r *v1alpha1.RateLimit) *agent.RateLimit {
	if r == nil {
		return nil
	}
	out := &agent.RateLimit{RecordsPerSecond: r.RecordsPerSecond, PerFile: r.Per == v1alpha1.RateLimitPerFile}
	if r.BytesPerSecond != nil {
		out.BytesPerSecond = r.BytesPerSecond.Value()
	}
	return out
}

func texts[T ~string](in []T) []string {
	var out []string
	for _, text := range in {
		out = append(out, string(text))
	}
	return out
}
