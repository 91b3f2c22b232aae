package agent

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
)

const invalidRecord = 87 // INVALID_RECORD, after which a producer has to start afresh

// TestInterruptedSessions refuses batches in the middle of a file. What was in flight is then built again from files,
// numbered as it was, and sent again: in every way that bytes become records it has to be the same.
func TestInterruptedSessions(t *testing.T) {
	tests := map[string]struct {
		change func(cfg *Config)
		// text is written into the log, of line numbers from 0 on.
		text func(i int) string
		// want is the record of the same number, "" if there is none.
		want func(i int) string
	}{
		"lines":               {text: line, want: line},
		"lines without a key": {change: func(c *Config) { c.PartitionKey.Type = KeyNone }, text: line, want: line},
		"lines with keys of their own": {
			change: func(c *Config) { c.PartitionKey = PartitionKey{Type: KeyField, Field: "k"} },
			text:   func(i int) string { return fmt.Sprintf(`{"k": %d, "n": %d}`, i%17, i) },
			want:   func(i int) string { return fmt.Sprintf(`{"k": %d, "n": %d}`, i%17, i) },
		},
		"envelopes": {
			change: func(c *Config) {
				c.Metadata = Metadata{As: MetadataEnvelope, AddFields: map[string]string{"env": "t"}}
			},
			text: line,
			want: func(i int) string { return fmt.Sprintf(`{"env":"t","message":"line %d"}`, i) },
		},
		"records of several lines": {
			change: func(c *Config) {
				c.Decode.Multiline = &decode.Multiline{EndPattern: `end$`, Timeout: conf.Duration(time.Minute)}
			},
			text: func(i int) string { return fmt.Sprintf("begin %d\n\nend", i) },
			want: func(i int) string { return fmt.Sprintf("begin %d\n\nend", i) },
		},
		"joined CRI lines of two streams": {
			change: func(c *Config) { c.Decode.Format = decode.FormatCRI },
			text: func(i int) string {
				return fmt.Sprintf("%sstdout P be%d\n%sstderr F other%d\n%sstdout F gin%d", criTime, i, criTime, i, criTime, i)
			},
			want: func(i int) string { return fmt.Sprintf("other%d\x00be%dgin%d", i, i, i) },
		},
		"filtered and redacted lines": {
			change: func(c *Config) {
				c.Decode.Filters = []decode.Filter{
					{Drop: &decode.Drop{Match: "^noise"}}, {Redact: &decode.Redact{Pattern: "secret"}},
				}
			},
			text: func(i int) string { return fmt.Sprintf("noise\nsecret %d\nnoise", i) },
			want: func(i int) string { return fmt.Sprintf("*** %d", i) },
		},
		"lines that are split": {
			change: func(c *Config) { c.Decode.MaxRecordBytes = 256 },
			text:   func(i int) string { return strings.Repeat(fmt.Sprintf("%04d", i), 100) },
			want: func(i int) string {
				return strings.Repeat(fmt.Sprintf("%04d", i), 64) + "\x00" + strings.Repeat(fmt.Sprintf("%04d", i), 36)
			},
		},
		"long lines of Docker behind dropped ones": {
			change: func(c *Config) {
				c.Decode.Format, c.Decode.MaxRecordBytes, c.Batch.MaxBytes = decode.FormatDocker, 32<<10, 64<<10
				c.Decode.Filters = []decode.Filter{{Drop: &decode.Drop{Match: "^noise"}}}
			},
			text: func(i int) string {
				return strings.Repeat(docker("noise")+"\n", i%25/24*(2000+i)) + docker(strings.Repeat(line(i), 1+i%25/24*3000))
			},
			want: func(i int) string { return strings.Repeat(line(i), 1+i%25/24*3000) },
		},
		"lines longer than what is read at once": {
			change: func(c *Config) { c.Decode.MaxRecordBytes = 256 },
			text:   giant,
			want:   func(i int) string { return strings.Join(split(giant(i), 256), "\x00") },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newFake(t)
			b := benchOn(t, cluster.ListenAddrs(), 6)
			b.cfg.Batch.MaxRecords, b.cfg.Decode.Format = 50, decode.FormatRaw
			if test.change != nil {
				test.change(&b.cfg)
			}
			refused := refuse(cluster, 4, 9)
			want := interrupt(b, test.text, test.want)
			got := values(b.read(len(want)))
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-want +got):\n%.3000s", diff)
			}
			if refused.Load() != 2 {
				t.Errorf("%d batches were refused, not 2: the test shows nothing", refused.Load())
			}
		})
	}
}

func docker(text string) string {
	return `{"log":"` + text + `\n","stream":"stdout","time":"2026-11-23T03:38:23Z"}`
}

// giant is a line that now and then fills several batches.
func giant(i int) string {
	if i%500 != 0 {
		return line(i)
	}
	return strings.Repeat(fmt.Sprintf("%07d ", i), 50_000)
}

func line(i int) string { return fmt.Sprintf("line %d", i) }

// interrupt writes a log with a rotation in the middle while an agent runs, and returns the records that are expected.
func interrupt(b *bench, text, want func(i int) string) []string {
	const n = 1500
	b.run()
	var expected []string
	for i := range n {
		b.write("app.log", text(i)+"\n")
		expected = append(expected, strings.Split(want(i), "\x00")...)
		if i == n/2 {
			await(b.t, "the log is found", func() bool { return b.count() > 0 })
			if err := os.Rename(b.path("app.log"), b.path("app.log.1")); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	return expected
}

func newFake(t *testing.T) *kfake.Cluster {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// refuse makes the cluster refuse the produce requests with these numbers. It returns how many it refused.
func refuse(cluster *kfake.Cluster, numbers ...int) *atomic.Int32 {
	var refused atomic.Int32
	seen := 0
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if seen++; !slices.Contains(numbers, seen) {
			return nil, nil, false
		}
		refused.Add(1)
		produce := request.(*kmsg.ProduceRequest)
		response := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			answer := kmsg.ProduceResponseTopic{Topic: topic.Topic, TopicID: topic.TopicID}
			for _, partition := range topic.Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = partition.Partition, invalidRecord
				answer.Partitions = append(answer.Partitions, p)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response, nil, true
	})
	return &refused
}

// TestRecordAcrossRotation refuses the batch with a record that began in one file and ended in the next. To build it
// again, decoding has to start in the first.
func TestRecordAcrossRotation(t *testing.T) {
	tests := map[string]struct {
		change            func(cfg *Config)
		first, begin, end string
		want              []string
	}{
		"lines joined by a pattern": {
			change: func(c *Config) { c.Decode.Multiline = &decode.Multiline{EndPattern: `end$`} },
			first:  "first end\n", begin: "begin\n", end: "end\nlast end\n",
			want: []string{"first end", "begin\nend", "last end"},
		},
		"parts of CRI": {
			change: func(c *Config) { c.Decode.Format = decode.FormatCRI },
			first:  criTime + "stdout F first\n",
			begin:  criTime + "stdout P be\n",
			end:    criTime + "stderr F other\n" + criTime + "stdout P gi\n" + criTime + "stdout F n\n",
			want:   []string{"first", "other", "begin"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newFake(t)
			b := benchOn(t, cluster.ListenAddrs(), 1)
			b.cfg.Decode.Format = decode.FormatRaw
			test.change(&b.cfg)
			refused := refuse(cluster, 2)
			stop := b.run()
			b.write("app.log", test.first)
			b.read(1)
			b.write("app.log", test.begin)
			if err := os.Rename(b.path("app.log"), b.path("app.log.1")); err != nil {
				t.Fatal(err)
			}
			b.write("app.log", test.end)
			if diff := cmp.Diff(test.want, values(b.read(len(test.want)))); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if refused.Load() != 1 {
				t.Errorf("%d batches were refused, not 1: the test shows nothing", refused.Load())
			}
			stop()
			b.run() // what is finished is not begun again
			b.write("app.log", test.first)
			b.read(len(test.want) + 1)
		})
	}
}
