package agent

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/record"
)

// The defaults of a Config, and the bounds of what can be asked for.
const (
	defaultBatchBytes   = 512 << 10
	defaultBatchRecords = 10_000
	defaultBuffer       = 16 << 20
	defaultPodsRoot     = "/var/log/pods"
	zoneLabel           = "topology.kubernetes.io/zone"

	minBatchBytes = 1 << 10
	maxBatchBytes = 16 << 20
	maxBatchCount = 1_000_000
)

// Default fills in what is not set.
func (c *Config) Default() {
	c.Kafka.Default()
	c.Decode.Default()
	setDefault(&c.StartAt, StartAtBeginning)
	if c.Compressed == nil {
		yes := true
		c.Compressed = &yes
	}
	setDefault(&c.Delivery, ExactlyOnce)
	setDefault(&c.Batch.MaxBytes, defaultBatchBytes)
	setDefault(&c.Batch.MaxRecords, defaultBatchRecords)
	setDefault(&c.Batch.Interval, conf.Duration(200*time.Millisecond))
	setDefault(&c.BufferBytes, defaultBuffer)
	setDefault(&c.ScanInterval, conf.Duration(2*time.Second))
	setDefault(&c.Compression, kafka.CompressionLz4)
	setDefault(&c.Metadata.As, MetadataHeaders)
	setDefault(&c.PartitionKey.Type, KeyNodeLabel)
	if c.PartitionKey.Type == KeyNodeLabel {
		setDefault(&c.PartitionKey.Label, zoneLabel)
	}
	if c.PartitionKey.Type == KeySubnet {
		setDefault(&c.PartitionKey.IPv4PrefixLength, 24)
		setDefault(&c.PartitionKey.IPv6PrefixLength, 64)
	}
	setDefault(&c.PartitionKey.Fallback, c.Node.Name)
	for i := range c.Inputs {
		if pods := c.Inputs[i].Pods; pods != nil {
			setDefault(&pods.Root, defaultPodsRoot)
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate returns everything that is wrong with c, each error naming the field, its value and what to do.
func (c Config) Validate() error {
	var errs []error
	require := func(field, value string) {
		if value == "" {
			errs = append(errs, conf.Invalid(field, value, "it is required"))
		}
	}
	require("name", c.Name)
	require("stateDir", c.StateDir)
	require("topic", c.Topic)
	errs = append(errs,
		conf.Under("kafka", c.Kafka.Validate()),
		conf.Under("decode", c.Decode.Validate()),
		c.validateInputs(),
		oneOf("startAt", c.StartAt, StartAtBeginning, StartAtEnd),
		oneOf("delivery", c.Delivery, ExactlyOnce, AtLeastOnce),
		conf.Under("batch", c.validateBatch()),
		conf.Under("metadata", c.Metadata.validate()),
		conf.Under("partitionKey", c.PartitionKey.validate()),
		c.validateAssignment(),
		c.RateLimit.validate(),
	)
	if _, ok := c.Compression.Codec(); !ok {
		errs = append(errs, conf.Invalid("compression", c.Compression, "use None, Gzip, Snappy, Lz4 or Zstd"))
	}
	if c.BufferBytes < 2*c.Batch.MaxBytes {
		errs = append(errs, conf.Invalid("bufferBytes", c.BufferBytes,
			fmt.Sprintf("use at least twice batch.maxBytes (%d)", 2*c.Batch.MaxBytes)))
	}
	if c.Decode.MaxRecordBytes > c.Batch.MaxBytes {
		errs = append(errs, conf.Invalid("decode.maxRecordBytes", c.Decode.MaxRecordBytes,
			fmt.Sprintf("use at most batch.maxBytes (%d): a record must fit in a batch", c.Batch.MaxBytes)))
	}
	if c.ScanInterval.Std() < 10*time.Millisecond {
		errs = append(errs, conf.Invalid("scanInterval", c.ScanInterval, "use at least 10ms"))
	}
	return errors.Join(errs...)
}

func oneOf[T ~string](field string, value T, allowed ...T) error {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == a {
			return nil
		}
		names[i] = string(a)
	}
	return conf.Invalid(field, string(value), "use "+strings.Join(names, ", "))
}

func (c Config) validateBatch() error {
	var errs []error
	if b := c.Batch.MaxBytes; b < minBatchBytes || b > maxBatchBytes {
		errs = append(errs, conf.Invalid("maxBytes", b, "use 1024 to 16777216"))
	}
	if n := c.Batch.MaxRecords; n < 1 || n > maxBatchCount {
		errs = append(errs, conf.Invalid("maxRecords", n, "use 1 to 1000000"))
	}
	if d := c.Batch.Interval.Std(); d < time.Millisecond || d > time.Minute {
		errs = append(errs, conf.Invalid("interval", c.Batch.Interval, "use 1ms to 1m"))
	}
	return errors.Join(errs...)
}

func (c Config) validateInputs() error {
	if len(c.Inputs) == 0 {
		return conf.Invalid("inputs", "[]", "name at least one input, files or pods")
	}
	var errs []error
	for i, input := range c.Inputs {
		errs = append(errs, conf.Under(fmt.Sprintf("inputs[%d]", i), input.validate(c.PodFactsFile)))
	}
	return errors.Join(errs...)
}

func (in Input) validate(podFacts string) error {
	switch {
	case in.Files == nil && in.Pods == nil, in.Files != nil && in.Pods != nil:
		return errors.New("exactly one of files and pods must be set")
	case in.Files != nil:
		return conf.Under("files", in.Files.validate())
	}
	var errs []error
	if !path.IsAbs(in.Pods.Root) {
		errs = append(errs, conf.Invalid("pods.root", in.Pods.Root, "use an absolute path"))
	}
	if len(in.Pods.MatchLabels) > 0 && podFacts == "" {
		errs = append(errs, conf.Invalid("pods.matchLabels", in.Pods.MatchLabels,
			"set podFactsFile: labels of pods are known from it alone"))
	}
	if in.Pods.Stream != "" {
		errs = append(errs, oneOf("pods.stream", in.Pods.Stream, "Stdout", "Stderr"))
	}
	for _, pattern := range append(in.Pods.Containers.Include, in.Pods.Containers.Exclude...) {
		if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, conf.Invalid("pods.containers", pattern, "use a glob pattern such as app-*"))
		}
	}
	return errors.Join(errs...)
}

func (in FilesInput) validate() error {
	var errs []error
	if len(in.Include) == 0 {
		errs = append(errs, conf.Invalid("include", "[]", "name at least one pattern"))
	}
	errs = append(errs, checkPatterns("include", in.Include), checkPatterns("exclude", in.Exclude))
	if in.IgnoreOlder < 0 {
		errs = append(errs, conf.Invalid("ignoreOlder", in.IgnoreOlder, "use a positive duration"))
	}
	return errors.Join(errs...)
}

func (m Metadata) validate() error {
	errs := []error{oneOf("as", m.As, MetadataHeaders, MetadataEnvelope)}
	for i, name := range m.Fields {
		if !knownField(name) {
			errs = append(errs, conf.Invalid(fmt.Sprintf("fields[%d]", i), name, "use "+knownFieldNames))
		}
	}
	if _, ok := m.AddFields[record.FieldMessage]; ok && m.As == MetadataEnvelope {
		errs = append(errs, conf.Invalid("addFields", record.FieldMessage, "use another name: the line itself has this one"))
	}
	return errors.Join(errs...)
}

func (k PartitionKey) validate() error {
	switch k.Type {
	case KeyNode, KeyNamespace, KeyPod, KeyFile, KeyNone:
		return nil
	case KeyNodeLabel, KeyPodLabel:
		return requireFor(k.Type, "label", k.Label)
	case KeyStatic:
		return requireFor(k.Type, "value", k.Value)
	case KeyField:
		return requireFor(k.Type, "field", k.Field)
	case KeySubnet:
		return errors.Join(prefixLength("ipv4PrefixLength", k.IPv4PrefixLength, 32),
			prefixLength("ipv6PrefixLength", k.IPv6PrefixLength, 128))
	default:
		return conf.Invalid("type", string(k.Type),
			"use Node, NodeLabel, Subnet, Namespace, Pod, PodLabel, File, Static, Field or None")
	}
}

func requireFor(key KeyType, field, value string) error {
	if value == "" {
		return conf.Invalid(field, value, "it is required for type "+string(key))
	}
	return nil
}

func prefixLength(field string, bits, most int) error {
	if bits < 1 || bits > most {
		return conf.Invalid(field, bits, fmt.Sprintf("use 1 to %d", most))
	}
	return nil
}

func (c Config) validateAssignment() error {
	var errs []error
	for key, partitions := range c.Assignment {
		field := "assignment[" + key + "]"
		if len(partitions) == 0 {
			errs = append(errs, conf.Invalid(field, "[]", "list at least one partition"))
		}
		for _, p := range partitions {
			if p < 0 {
				errs = append(errs, conf.Invalid(field, p, "partitions count from 0"))
			}
		}
	}
	return errors.Join(errs...)
}

func (r *RateLimit) validate() error {
	if r == nil {
		return nil
	}
	if r.BytesPerSecond < 0 || r.RecordsPerSecond < 0 || r.BytesPerSecond+r.RecordsPerSecond == 0 {
		return conf.Invalid("rateLimit", *r, "set bytesPerSecond or recordsPerSecond above 0")
	}
	return nil
}

// checkPatterns returns an error for each glob pattern that can't be used.
func checkPatterns(field string, patterns []string) error {
	var errs []error
	for i, pattern := range patterns {
		if err := tail.CheckPattern(pattern); err != nil {
			errs = append(errs, conf.Invalid(fmt.Sprintf("%s[%d]", field, i), pattern, err.Error()))
		}
	}
	return errors.Join(errs...)
}
