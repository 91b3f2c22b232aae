package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/controllers/desired"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/sink/store"
)

const minimal = `
apiVersion: logpipe.dev/v1alpha1
kind: Topic
metadata: {name: t}
spec:
  kafka: {bootstrapServers: ["localhost:9092"]}
  partitions: 4
---
apiVersion: logpipe.dev/v1alpha1
kind: LogSource
metadata: {name: s}
spec:
  topicRef: {name: t}
  inputs:
    - files: {include: [/var/log/a.log]}
    - pods: {}
---
apiVersion: logpipe.dev/v1alpha1
kind: HDFSSink
metadata: {name: h}
spec:
  topicRef: {name: t}
  hdfs: {url: "hdfs://namenode:8020/logs"}
`

// TestDefaultsAgree makes sure that the defaults of the definitions are those of the programs: a resource shows what an
// agent or a sink really does.
func TestDefaultsAgree(t *testing.T) {
	set, problems, err := Load(t.Context(), []string{Stdin}, strings.NewReader(minimal))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	server := kafka.Config{BootstrapServers: []string{"localhost:9092"}}

	wantAgent := agent.Config{
		Name: "default/s", StateDir: "/state", Topic: "t", Kafka: server,
		Inputs: []agent.Input{
			{Files: &agent.FilesInput{Include: []string{"/var/log/a.log"}}},
			{Pods: &agent.PodsInput{}},
		},
	}
	wantAgent.Default()
	gotAgent := desired.AgentConfig(set.Sources[0], set.Topics[0], desired.AgentOptions{StateDir: "/state"})
	gotAgent.Default()
	if diff := cmp.Diff(wantAgent, gotAgent); diff != "" {
		t.Errorf("agent (-its defaults +those of LogSource):\n%s", diff)
	}

	wantSink := sink.Config{
		Name: "default/h", Topic: "t", Kafka: server, Store: store.Config{URL: "hdfs://namenode:8020/logs"},
	}
	wantSink.Default()
	gotSink := desired.SinkConfig(set.Sinks[0], set.Topics[0], desired.SinkOptions{})
	gotSink.Default()
	if diff := cmp.Diff(wantSink, gotSink); diff != "" {
		t.Errorf("sink (-its defaults +those of HDFSSink):\n%s", diff)
	}
}
