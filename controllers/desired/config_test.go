package desired

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	agentOptions = AgentOptions{
		StateDir: "/var/lib/logpipe", SecretsDir: "/etc/logpipe/secrets", Listen: ":8080",
		PodFactsFile:  "/etc/logpipe/pods.json",
		NodeFactsFile: "/etc/logpipe/nodes.json",
		Node: agent.Node{
			Name: "node-1", IP: "10.0.0.7", Labels: map[string]string{"topology.kubernetes.io/zone": "a"},
		},
	}
	sinkOptions = SinkOptions{
		SecretsDir: "/etc/logpipe/secrets", ConfigMapsDir: "/etc/logpipe/configmaps", Listen: ":8080",
	}
)

var testOptions = Options{AgentImage: "agent:1", SinkImage: "sink:1", PullPolicy: corev1.PullIfNotPresent}

// agents renders the objects of source.
func agents(t *testing.T, source *v1alpha1.LogSource, topic *v1alpha1.Topic) *Agents {
	t.Helper()
	paths, _ := HostPaths(source, []string{"/"})
	out, err := NewAgents(AgentsInput{Source: source, Topic: topic, HostPaths: paths, Options: testOptions})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sinks renders the objects of s.
func sinks(t *testing.T, s *v1alpha1.HDFSSink, topic *v1alpha1.Topic) *Sinks {
	t.Helper()
	topic = topic.DeepCopy()
	topic.Status.Partitions = 12
	out, err := NewSinks(SinksInput{Sink: s, Topic: topic, Options: testOptions})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The objects, without the configuration and its hash, which are looked at by themselves.
func agentObjects(t *testing.T, source *v1alpha1.LogSource, topic *v1alpha1.Topic) *Agents {
	t.Helper()
	out := agents(t, source, topic)
	out.ConfigHash, out.ConfigMap = "", nil
	delete(out.DaemonSet.Spec.Template.Annotations, ConfigHashAnnotation)
	return out
}

func sinkObjects(t *testing.T, s *v1alpha1.HDFSSink, topic *v1alpha1.Topic) *Sinks {
	t.Helper()
	out := sinks(t, s, topic)
	out.ConfigHash, out.ConfigMap = "", nil
	delete(out.Deployment.Spec.Template.Annotations, ConfigHashAnnotation)
	return out
}

// decided are the fields that the controllers decide by, and that nothing is rendered from.
var decided = map[string]bool{
	"topicRef.name":   true, // which chooses the Topic given here
	"managementState": true, "adoptionPolicy": true, "driftPolicy": true, "deletionPolicy": true, "deletionTimeout": true,
}

func renderSource(source *v1alpha1.LogSource, topic *v1alpha1.Topic) any {
	return AgentConfig(source, topic, agentOptions)
}

func renderSink(s *v1alpha1.HDFSSink, topic *v1alpha1.Topic) any {
	return SinkConfig(s, topic, sinkOptions)
}

func renderTopic(topic *v1alpha1.Topic) any { return TopicSpec(topic) }

// TestGolden compares what is made of a resource in which every field is set, one of each union.
func TestGolden(t *testing.T) {
	topic := read(t, "topic.yaml", &v1alpha1.Topic{})
	tests := map[string]any{
		"topic.json":  renderTopic(topic),
		"source.json": renderSource(read(t, "source.yaml", &v1alpha1.LogSource{}), topic),
		"sink.json":   renderSink(read(t, "sink.yaml", &v1alpha1.HDFSSink{}), topic),
	}
	objects := map[string]any{
		"agents.yaml": agents(t, read(t, "source.yaml", &v1alpha1.LogSource{}), topic),
		"sinks.yaml":  sinks(t, read(t, "sink.yaml", &v1alpha1.HDFSSink{}), topic),
	}
	for name, got := range objects {
		t.Run(name, func(t *testing.T) {
			data, err := yaml.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, name, data)
		})
	}
	for name, got := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compare(t, name, append(data, '\n'))
		})
	}
}

// TestEveryFieldCounts sets one field at a time. A field that changes nothing would be accepted and ignored; one that
// changes something else than before shows in the golden file.
func TestEveryFieldCounts(t *testing.T) {
	topic := &v1alpha1.Topic{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "t"},
		Spec: v1alpha1.TopicSpec{
			Kafka: v1alpha1.KafkaSpec{BootstrapServers: []v1alpha1.HostPort{"k:9092"}}, Partitions: 1, ReplicationFactor: 1,
		},
	}
	meta := metav1.ObjectMeta{Namespace: "ns", Name: "n"}
	tests := map[string]struct {
		spec    reflect.Type
		changes map[string]string
		render  func(t *testing.T, change string) any
	}{
		"source_fields.txt": {
			spec: reflect.TypeFor[v1alpha1.LogSourceSpec](), changes: sourceChanges,
			render: func(t *testing.T, change string) any {
				source := &v1alpha1.LogSource{ObjectMeta: meta}
				merge(t, change, &source.Spec)
				return map[string]any{"config": renderSource(source, topic), "objects": agentObjects(t, source, topic)}
			},
		},
		"sink_fields.txt": {
			spec: reflect.TypeFor[v1alpha1.HDFSSinkSpec](), changes: sinkChanges,
			render: func(t *testing.T, change string) any {
				sink := &v1alpha1.HDFSSink{ObjectMeta: meta}
				sink.Spec.MaxReplicas = 100
				merge(t, change, &sink.Spec)
				return map[string]any{"config": renderSink(sink, topic), "objects": sinkObjects(t, sink, topic)}
			},
		},
		"topic_fields.txt": {
			spec: reflect.TypeFor[v1alpha1.TopicSpec](), changes: topicChanges,
			render: func(t *testing.T, change string) any {
				changed := topic.DeepCopy()
				merge(t, change, &changed.Spec)
				// What uses the topic is part of what is made of it.
				return []any{renderTopic(changed), renderSource(&v1alpha1.LogSource{ObjectMeta: meta}, changed)}
			},
		},
	}
	for golden, tc := range tests {
		t.Run(golden, func(t *testing.T) {
			paths := slices.Sorted(maps.Keys(tc.changes))
			if diff := cmp.Diff(leaves(tc.spec), paths); diff != "" {
				t.Fatalf("fields of the spec and fields that are tested (-spec +tested):\n%s", diff)
			}
			before := flatten(t, tc.render(t, "{}"))
			var report strings.Builder
			for _, path := range paths {
				after := flatten(t, tc.render(t, tc.changes[path]))
				differences := difference(before, after)
				if len(differences) == 0 && !decided[path] {
					t.Errorf("%s changes nothing", path)
				}
				fmt.Fprintf(&report, "%s\n", path)
				for _, d := range differences {
					fmt.Fprintf(&report, "    %s\n", d)
				}
			}
			compare(t, golden, []byte(report.String()))
		})
	}
}

var kafkaChanges = map[string]string{
	"kafka.bootstrapServers":             `{"kafka":{"bootstrapServers":["other:9092"]}}`,
	"kafka.tls.caSecretRef.name":         `{"kafka":{"tls":{"caSecretRef":{"name":"ca"}}}}`,
	"kafka.tls.clientCertSecretRef.name": `{"kafka":{"tls":{"clientCertSecretRef":{"name":"client"}}}}`,
	"kafka.tls.insecureSkipVerify":       `{"kafka":{"tls":{"insecureSkipVerify":true}}}`,
	"kafka.sasl.mechanism":               `{"kafka":{"sasl":{"mechanism":"Plain"}}}`,
	"kafka.sasl.secretRef.name":          `{"kafka":{"sasl":{"secretRef":{"name":"user"}}}}`,
}

var topicChanges = withKafka(map[string]string{
	"managementState":   `{"managementState":"Unmanaged"}`,
	"adoptionPolicy":    `{"adoptionPolicy":"MustNotExist"}`,
	"driftPolicy":       `{"driftPolicy":"Report"}`,
	"deletionPolicy":    `{"deletionPolicy":"Delete"}`,
	"deletionTimeout":   `{"deletionTimeout":"1m"}`,
	"topicName":         `{"topicName":"other"}`,
	"partitions":        `{"partitions":7}`,
	"replicationFactor": `{"replicationFactor":2}`,
	"config":            `{"config":{"retention.ms":"1000"}}`,
})

var sourceChanges = withTemplate(map[string]string{
	"managementState":                            `{"managementState":"Unmanaged"}`,
	"updateStrategy.maxUnavailable":              `{"updateStrategy":{"maxUnavailable":3}}`,
	"topicRef.name":                              `{"topicRef":{"name":"other"}}`,
	"inputs[].files.include":                     `{"inputs":[{"files":{"include":["/a"]}}]}`,
	"inputs[].files.exclude":                     `{"inputs":[{"files":{"exclude":["/b"]}}]}`,
	"inputs[].files.ignoreOlder":                 `{"inputs":[{"files":{"ignoreOlder":"1h"}}]}`,
	"inputs[].pods.namespaceSelector.matchNames": `{"inputs":[{"pods":{"namespaceSelector":{"matchNames":["a"]}}}]}`,
	"inputs[].pods.podSelector.matchLabels":      `{"inputs":[{"pods":{"podSelector":{"matchLabels":{"a":"b"}}}}]}`,
	"inputs[].pods.containers.include":           `{"inputs":[{"pods":{"containers":{"include":["a"]}}}]}`,
	"inputs[].pods.containers.exclude":           `{"inputs":[{"pods":{"containers":{"exclude":["a"]}}}]}`,
	"inputs[].pods.stream":                       `{"inputs":[{"pods":{"stream":"Stdout"}}]}`,
	"inputs[].pods.podLogsDir":                   `{"inputs":[{"pods":{"podLogsDir":"/logs"}}]}`,
	"startAt":                                    `{"startAt":"End"}`,
	"delivery":                                   `{"delivery":"AtLeastOnce"}`,
	"rotation.compressed":                        `{"rotation":{"compressed":"Ignore"}}`,
	"decode":                                     `{"decode":"CRI"}`,
	"multiline.startPattern":                     `{"multiline":{"startPattern":"a"}}`,
	"multiline.continuePattern":                  `{"multiline":{"continuePattern":"a"}}`,
	"multiline.endPattern":                       `{"multiline":{"endPattern":"a"}}`,
	"multiline.timeout":                          `{"multiline":{"timeout":"1s"}}`,
	"multiline.maxLines":                         `{"multiline":{"maxLines":7}}`,
	"maxRecordBytes":                             `{"maxRecordBytes":"1Ki"}`,
	"oversizePolicy":                             `{"oversizePolicy":"Drop"}`,
	"filters[].drop.match":                       `{"filters":[{"drop":{"match":"a"}}]}`,
	"filters[].redact.pattern":                   `{"filters":[{"redact":{"pattern":"a"}}]}`,
	"filters[].redact.replacement":               `{"filters":[{"redact":{"replacement":"a"}}]}`,
	"metadata.fields":                            `{"metadata":{"fields":["file"]}}`,
	"metadata.nodeLabels":                        `{"metadata":{"nodeLabels":["zone"]}}`,
	"metadata.podLabels":                         `{"metadata":{"podLabels":["app"]}}`,
	"metadata.addFields":                         `{"metadata":{"addFields":{"a":"b"}}}`,
	"metadata.as":                                `{"metadata":{"as":"Envelope"}}`,
	"batch.maxBytes":                             `{"batch":{"maxBytes":"1Ki"}}`,
	"batch.maxRecords":                           `{"batch":{"maxRecords":7}}`,
	"batch.interval":                             `{"batch":{"interval":"1s"}}`,
	"partitionKey.nodeField":                     `{"partitionKey":{"nodeField":"Name"}}`,
	"partitionKey.nodeLabel":                     `{"partitionKey":{"nodeLabel":"region"}}`,
	"partitionKey.subnet.ipv4PrefixLength":       `{"partitionKey":{"subnet":{"ipv4PrefixLength":16}}}`,
	"partitionKey.subnet.ipv6PrefixLength":       `{"partitionKey":{"subnet":{"ipv6PrefixLength":48}}}`,
	"partitionKey.podField":                      `{"partitionKey":{"podField":"Namespace"}}`,
	"partitionKey.podLabel":                      `{"partitionKey":{"podLabel":"app"}}`,
	"partitionKey.file":                          `{"partitionKey":{"file":{}}}`,
	"partitionKey.field":                         `{"partitionKey":{"field":"user.id"}}`,
	"partitionKey.static":                        `{"partitionKey":{"static":"a"}}`,
	"partitionKey.none":                          `{"partitionKey":{"none":{}}}`,
	"partitionKey.fallback":                      `{"partitionKey":{"fallback":"a"}}`,
	"assignment":                                 `{"assignment":{"a":[1,2]}}`,
	"producer.compression":                       `{"producer":{"compression":"Zstd"}}`,
	"producer.requestTimeout":                    `{"producer":{"requestTimeout":"5s"}}`,
	"buffer.memoryLimit":                         `{"buffer":{"memoryLimit":"1Mi"}}`,
	"rateLimit.recordsPerSecond":                 `{"rateLimit":{"recordsPerSecond":7}}`,
	"rateLimit.bytesPerSecond":                   `{"rateLimit":{"bytesPerSecond":"1Ki"}}`,
	"rateLimit.per":                              `{"rateLimit":{"per":"File"}}`,
})

var sinkChanges = withTemplate(map[string]string{
	"managementState":        `{"managementState":"Unmanaged"}`,
	"replicas":               `{"replicas":3}`,
	"maxReplicas":            `{"maxReplicas":2}`,
	"topicRef.name":          `{"topicRef":{"name":"other"}}`,
	"consumerGroup":          `{"consumerGroup":"g"}`,
	"initialOffset":          `{"initialOffset":"Latest"}`,
	"hdfs.url":               `{"hdfs":{"url":"hdfs://a/b"}}`,
	"hdfs.nameNodes":         `{"hdfs":{"nameNodes":["a:8020","b:8020"]}}`,
	"hdfs.configMapRef.name": `{"hdfs":{"configMapRef":{"name":"hadoop"}}}`,
	"hdfs.user":              `{"hdfs":{"user":"u"}}`,
	"hdfs.replication":       `{"hdfs":{"replication":2}}`,
	"hdfs.blockSize":         `{"hdfs":{"blockSize":"1Mi"}}`,
	"path":                   `{"path":"{topic}"}`,
	"timeZone":               `{"timeZone":"Europe/Berlin"}`,
	"file.format":            `{"file":{"format":"JSONLines"}}`,
	"file.compression":       `{"file":{"compression":"Gzip"}}`,
	"file.level":             `{"file":{"level":2}}`,
	"roll.maxBytes":          `{"roll":{"maxBytes":"1Mi"}}`,
	"roll.maxRecords":        `{"roll":{"maxRecords":7}}`,
	"roll.interval":          `{"roll":{"interval":"1m"}}`,
	"roll.idleTimeout":       `{"roll":{"idleTimeout":"1s"}}`,
	"maxOpenFiles":           `{"maxOpenFiles":7}`,
	"fetch.maxInFlight":      `{"fetch":{"maxInFlight":3}}`,
	"fetch.maxBytes":         `{"fetch":{"maxBytes":"8Ki"}}`,
	"timeouts.call":          `{"timeouts":{"call":"3s"}}`,
})

const preferred = `{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":7}]}`

var templateChanges = map[string]string{
	"template.metadata.labels":                    `{"template":{"metadata":{"labels":{"team":"a"}}}}`,
	"template.metadata.annotations":               `{"template":{"metadata":{"annotations":{"note":"a"}}}}`,
	"template.image":                              `{"template":{"image":"mine:2"}}`,
	"template.imagePullPolicy":                    `{"template":{"imagePullPolicy":"Always"}}`,
	"template.imagePullSecrets[].name":            `{"template":{"imagePullSecrets":[{"name":"registry"}]}}`,
	"template.resources":                          `{"template":{"resources":{"limits":{"cpu":"2"}}}}`,
	"template.nodeSelector":                       `{"template":{"nodeSelector":{"disk":"ssd"}}}`,
	"template.tolerations":                        `{"template":{"tolerations":[{"key":"a","operator":"Exists"}]}}`,
	"template.affinity":                           `{"template":{"affinity":{"podAffinity":` + preferred + `}}}`,
	"template.topologySpreadConstraints":          `{"template":{"topologySpreadConstraints":[{"topologyKey":"zone"}]}}`,
	"template.priorityClassName":                  `{"template":{"priorityClassName":"high"}}`,
	"template.serviceAccountName":                 `{"template":{"serviceAccountName":"mine"}}`,
	"template.securityContext.runAsUser":          `{"template":{"securityContext":{"runAsUser":0}}}`,
	"template.securityContext.runAsGroup":         `{"template":{"securityContext":{"runAsGroup":7}}}`,
	"template.securityContext.supplementalGroups": `{"template":{"securityContext":{"supplementalGroups":[4]}}}`,
	"template.securityContext.seLinuxOptions":     `{"template":{"securityContext":{"seLinuxOptions":{"type":"a"}}}}`,
	"template.terminationGracePeriodSeconds":      `{"template":{"terminationGracePeriodSeconds":90}}`,
}

func withTemplate(changes map[string]string) map[string]string {
	maps.Copy(changes, templateChanges)
	return withKafka(changes)
}

func withKafka(changes map[string]string) map[string]string {
	maps.Copy(changes, kafkaChanges)
	return changes
}

func read[T any](t *testing.T, name string, object T) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, object); err != nil {
		t.Fatalf("parse %s: %v", name, err)
	}
	return object
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func merge(t *testing.T, change string, spec any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(change), spec); err != nil {
		t.Fatalf("change %s: %v", change, err)
	}
}

// leaves lists the paths of the fields that hold a value, by their JSON names.
func leaves(spec reflect.Type) []string {
	var out []string
	var visit func(reflect.Type, string)
	visit = func(typ reflect.Type, path string) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		ours := func() bool { return strings.HasPrefix(typ.Elem().PkgPath(), "github.com/logpipe/") }
		if typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct && ours() {
			typ, path = typ.Elem(), path+"[]"
		}
		scalar := typ == reflect.TypeFor[resource.Quantity]() || typ == reflect.TypeFor[metav1.Duration]() ||
			typ == reflect.TypeFor[intstr.IntOrString]() || strings.HasPrefix(typ.PkgPath(), "k8s.io/api/")
		if typ.Kind() != reflect.Struct || scalar || typ.NumField() == 0 {
			out = append(out, path)
			return
		}
		for field := range typ.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			visit(field.Type, strings.TrimPrefix(path+"."+name, "."))
		}
	}
	visit(spec, "")
	slices.Sort(out)
	return out
}

// flatten lists the values of config by their paths.
func flatten(t *testing.T, config any) map[string]string {
	t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var visit func(any, string)
	visit = func(value any, path string) {
		switch v := value.(type) {
		case map[string]any:
			for key, child := range v {
				visit(child, strings.TrimPrefix(path+"."+key, "."))
			}
		case []any:
			for i, child := range v {
				visit(child, fmt.Sprintf("%s[%d]", path, i))
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	visit(tree, "")
	return out
}

func difference(before, after map[string]string) []string {
	var out []string
	for path, value := range after {
		if old, ok := before[path]; !ok || old != value {
			out = append(out, path+" = "+value)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			out = append(out, path+" is left out")
		}
	}
	slices.Sort(out)
	return out
}
