package desired

import "strings"

// Problem is what the Validate of a rendered configuration found, in terms of the resource it was rendered from.
type Problem struct {
	// Field of the resource, such as spec.batch.maxBytes.
	Field string
	// Message says what is wrong and what to do.
	Message string
}

// The fields of configurations that have another name in the resource. Of several that match, the first counts.
var (
	sourceFields = []renamed{
		{"topic", "topicRef.name"},
		{"decode.format", "decode"},
		{"decode.oversize", "oversizePolicy"},
		{"decode.", ""},
		{"bufferBytes", "buffer.memoryLimit"},
		{"compression", "producer.compression"},
		{"kafka.requestTimeout", "producer.requestTimeout"},
		{"partitionKey.label", "partitionKey"},
		{"partitionKey.value", "partitionKey.static"},
	}
	sinkFields = []renamed{
		{"topic", "topicRef.name"},
		{"store.callTimeout", "timeouts.call"},
		{"store.hadoopConfDir", "hdfs.configMapRef"},
		{"store.", "hdfs."},
		{"maxFetchesInFlight", "fetch.maxInFlight"},
		{"fetchBytes", "fetch.maxBytes"},
	}
	kafkaFields = []renamed{{"", "kafka."}}
	podFields   = strings.NewReplacer(
		".pods.root", ".pods.podLogsDir",
		".pods.namespaces", ".pods.namespaceSelector.matchNames",
		".pods.matchLabels", ".pods.podSelector.matchLabels",
	)
)

type renamed struct{ config, spec string }

// SourceProblems takes apart the error of a Validate of what AgentConfig returned.
func SourceProblems(err error) []Problem { return problems(err, sourceFields) }

// SinkProblems takes apart the error of a Validate of what SinkConfig returned.
func SinkProblems(err error) []Problem { return problems(err, sinkFields) }

// KafkaProblems takes apart the error of a Validate of what KafkaConfig returned.
func KafkaProblems(err error) []Problem { return problems(err, kafkaFields) }

func problems(err error, names []renamed) []Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []Problem
		for _, e := range joined.Unwrap() {
			out = append(out, problems(e, names)...)
		}
		return out
	}
	field, message := splitField(err.Error())
	for _, name := range names {
		if rest, ok := strings.CutPrefix(field, name.config); ok {
			field = name.spec + rest
			break
		}
	}
	field = podFields.Replace(field)
	if value, ok := strings.CutPrefix(message, "invalid value "); ok {
		message = "Invalid value: " + value
	}
	return []Problem{{Field: strings.TrimSuffix("spec."+field, "."), Message: message}}
}

// splitField cuts "a.b: text" behind the field. An error that names none may still be below one: "a.b.some text".
func splitField(text string) (field, message string) {
	end := strings.IndexByte(text, ' ')
	if end < 0 {
		return "", text
	}
	if text[end-1] == ':' {
		return text[:end-1], text[end+1:]
	}
	dot := strings.LastIndexByte(text[:end], '.')
	return text[:max(dot, 0)], text[dot+1:]
}
