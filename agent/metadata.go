package agent

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/record"
)

const (
	nodeLabelPrefix = "nodeLabel:"
	podLabelPrefix  = "podLabel:"
	knownFieldNames = "file, node, namespace, pod, podUID, container, stream, time, offset, " +
		"nodeLabel:<name> or podLabel:<name>"
)

func knownField(name string) bool {
	switch name {
	case record.FieldFile, record.FieldNode, record.FieldNamespace, record.FieldPod, record.FieldPodUID,
		record.FieldContainer, record.FieldStream, record.FieldTime, record.FieldOffset:
		return true
	}
	for _, prefix := range []string{nodeLabelPrefix, podLabelPrefix} {
		if label, ok := strings.CutPrefix(name, prefix); ok {
			return label != ""
		}
	}
	return false
}

// describer tells the origin of one file's records. What is the same for all of them is made once.
type describer struct {
	envelope  bool
	constant  []record.Field
	headers   []*sarama.RecordHeader
	perRecord []string
	fields    []record.Field
}

func newDescriber(m Metadata, node Node, from origin) *describer {
	d := &describer{envelope: m.As == MetadataEnvelope}
	for _, name := range m.Fields {
		switch name {
		case record.FieldStream, record.FieldTime, record.FieldOffset:
			d.perRecord = append(d.perRecord, name)
		default:
			if value := constantField(name, node, from); value != "" {
				d.constant = append(d.constant, record.Field{Name: name, Value: []byte(value)})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.AddFields)) {
		d.constant = append(d.constant, record.Field{Name: name, Value: []byte(m.AddFields[name])})
	}
	if !d.envelope {
		d.headers = headers(nil, d.constant)
	}
	return d
}

func constantField(name string, node Node, from origin) string {
	switch name {
	case record.FieldFile:
		return from.Path
	case record.FieldNode:
		return node.Name
	}
	if label, ok := strings.CutPrefix(name, nodeLabelPrefix); ok {
		return node.Labels[label]
	}
	if from.Pod == nil {
		return ""
	}
	switch name {
	case record.FieldNamespace:
		return from.Pod.Namespace
	case record.FieldPod:
		return from.Pod.Name
	case record.FieldPodUID:
		return from.Pod.UID
	case record.FieldContainer:
		return from.Pod.Container
	}
	return from.Labels[strings.TrimPrefix(name, podLabelPrefix)]
}

// describe returns the headers of rec; they are shared between records and never changed.
func (d *describer) describe(rec *decode.Record) []*sarama.RecordHeader {
	if d.envelope || len(d.perRecord) == 0 {
		return d.headers
	}
	return headers(slices.Clip(d.headers), d.varying(rec))
}

// appendEnvelope appends the JSON object that holds rec and its origin.
func (d *describer) appendEnvelope(dst []byte, rec *decode.Record) []byte {
	d.fields = append(d.fields[:0], d.constant...)
	d.fields = append(d.fields, d.varying(rec)...)
	return record.AppendEnvelope(dst, d.fields, rec.Value)
}

func (d *describer) varying(rec *decode.Record) []record.Field {
	var out []record.Field
	for _, name := range d.perRecord {
		var value string
		switch name {
		case record.FieldStream:
			value = streamName(rec.Stream)
		case record.FieldTime:
			if !rec.Time.IsZero() {
				value = rec.Time.UTC().Format(time.RFC3339Nano)
			}
		case record.FieldOffset:
			value = strconv.FormatInt(rec.Position.End, 10)
		}
		if value != "" {
			out = append(out, record.Field{Name: name, Value: []byte(value)})
		}
	}
	return out
}

func streamName(s decode.Stream) string {
	switch s {
	case decode.Stdout:
		return "stdout"
	case decode.Stderr:
		return "stderr"
	default:
		return ""
	}
}

func headers(dst []*sarama.RecordHeader, fields []record.Field) []*sarama.RecordHeader {
	for _, f := range fields {
		dst = append(dst, &sarama.RecordHeader{Key: []byte(f.Name), Value: f.Value})
	}
	return dst
}
