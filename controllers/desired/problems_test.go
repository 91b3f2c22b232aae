package desired

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/conf"
)

func TestProblems(t *testing.T) {
	tests := map[string]struct {
		problems func(error) []Problem
		err      error
		want     []Problem
	}{
		"nothing is wrong": {problems: SourceProblems},
		"a field with the same name": {
			problems: SourceProblems,
			err:      conf.Under("batch", conf.Invalid("maxBytes", 3, "use more")),
			want:     []Problem{{"spec.batch.maxBytes", "Invalid value: 3: use more"}},
		},
		"several fields with other names": {
			problems: SourceProblems,
			err: errors.Join(
				conf.Under("decode", errors.Join(conf.Invalid("format", "XML", "use Raw"),
					conf.Under("filters[0]", conf.Invalid("drop.match", "(", "close it: at once")))),
				conf.Invalid("bufferBytes", 1, "use more"),
				conf.Under("inputs[2]", conf.Invalid("pods.root", "x", "use /")),
			),
			want: []Problem{
				{"spec.decode", `Invalid value: "XML": use Raw`},
				{"spec.filters[0].drop.match", `Invalid value: "(": close it: at once`},
				{"spec.buffer.memoryLimit", "Invalid value: 1: use more"},
				{"spec.inputs[2].pods.podLogsDir", `Invalid value: "x": use /`},
			},
		},
		"a field of the store": {
			problems: SinkProblems,
			err:      conf.Under("store", errors.Join(conf.Invalid("url", "x", "y"), conf.Invalid("callTimeout", 1, "z"))),
			want: []Problem{
				{"spec.hdfs.url", `Invalid value: "x": y`},
				{"spec.timeouts.call", "Invalid value: 1: z"},
			},
		},
		"a field of Kafka": {
			problems: KafkaProblems,
			err:      conf.Invalid("bootstrapServers[0]", "x", "use host:port"),
			want:     []Problem{{"spec.kafka.bootstrapServers[0]", `Invalid value: "x": use host:port`}},
		},
		"a text below a field": {
			problems: SourceProblems,
			err:      conf.Under("decode.multiline", errors.New("exactly one of: a, b")),
			want:     []Problem{{"spec.multiline", "exactly one of: a, b"}},
		},
		"one word": {problems: SinkProblems, err: errors.New("EOF"), want: []Problem{{"spec", "EOF"}}},
		"an error without a field": {
			problems: SinkProblems,
			err:      errors.New("out of luck"),
			want:     []Problem{{"spec", "out of luck"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.problems(tc.err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
