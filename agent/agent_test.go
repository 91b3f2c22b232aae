package agent

import (
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/record"
)

const criTime = "2026-11-23T03:38:23.183036048Z "

// TestRecords writes files and expects records.
func TestRecords(t *testing.T) {
	long := strings.Repeat("0123456789", 1<<20)
	tests := map[string]struct {
		change func(b *bench)
		act    func(b *bench)
		want   []string
	}{
		"bytes are never altered": {
			act:  func(b *bench) { b.write("app.log", "a\xff\xfe\x00b\r\n\nc\n") },
			want: []string{"a\xff\xfe\x00b\r", "", "c"},
		},
		"a line is read when its newline comes": {
			act: func(b *bench) {
				b.write("app.log", "one\ntw")
				b.read(1)
				b.write("app.log", "o\n")
			},
			want: []string{"one", "two"},
		},
		"partial CRI lines are joined across a rotation": {
			act: func(b *bench) {
				b.write("app.log", criTime+"stdout F whole\n"+criTime+"stdout P be")
				b.write("app.log", "g\n")
				b.read(1)
				if err := os.Rename(b.path("app.log"), b.path("app.log.20261123-033823")); err != nil {
					b.t.Fatal(err)
				}
				b.write("app.log", criTime+"stderr F other\n"+criTime+"stdout F in\n")
			},
			want: []string{"whole", "other", "begin"},
		},
		"a multi-line record ends when nothing follows": {
			change: func(b *bench) {
				b.cfg.Decode.Multiline = &decode.Multiline{StartPattern: `^\S`, Timeout: conf.Duration(50 * time.Millisecond)}
			},
			act:  func(b *bench) { b.write("app.log", "Exception\n at a\n at b\n") },
			want: []string{"Exception\n at a\n at b"},
		},
		"a 10 MiB line is split and the file goes on": {
			act: func(b *bench) { b.write("app.log", "before\n"+long+"\nafter\n") },
			want: append(append([]string{"before"}, split(long, 256<<10)...),
				"after"),
		},
		"a 10 MiB line is truncated and the file goes on": {
			change: func(b *bench) { b.cfg.Decode.Oversize = decode.OversizeTruncate },
			act:    func(b *bench) { b.write("app.log", "before\n"+long+"\nafter\n") },
			want:   []string{"before", long[:256<<10], "after"},
		},
		"a 10 MiB line is dropped and the file goes on": {
			change: func(b *bench) { b.cfg.Decode.Oversize = decode.OversizeDrop },
			act:    func(b *bench) { b.write("app.log", "before\n"+long+"\nafter\n") },
			want:   []string{"before", "after"},
		},
		"filters drop and redact": {
			change: func(b *bench) {
				b.cfg.Decode.Filters = []decode.Filter{
					{Drop: &decode.Drop{Match: "noise"}}, {Redact: &decode.Redact{Pattern: `\d+`}},
				}
			},
			act:  func(b *bench) { b.write("app.log", "noise\ncard 1234\nnoise\n") },
			want: []string{"card ***"},
		},
		"excluded files are not read": {
			change: func(b *bench) {
				b.cfg.Inputs[0].Files = &FilesInput{
					Include: []string{b.path("*.log")}, Exclude: []string{b.path("secret*")}}
			},
			act: func(b *bench) {
				b.write("secret.log", "no\n")
				b.write("app.log", "yes\n")
			},
			want: []string{"yes"},
		},
		"an envelope holds the line and where it comes from": {
			change: func(b *bench) {
				b.cfg.Metadata = Metadata{
					As: MetadataEnvelope, Fields: []string{"node"}, AddFields: map[string]string{"env": "test"},
				}
			},
			act:  func(b *bench) { b.write("app.log", "a \"b\"\n") },
			want: []string{`{"node":"node-1","env":"test","message":"a \"b\""}`},
		},
		"a directory and a FIFO do not hold up other files": {
			change: func(b *bench) { b.cfg.Inputs[0].Files.Include = []string{b.path("*.log")} },
			act: func(b *bench) {
				if err := os.Mkdir(b.path("dir.log"), 0o755); err != nil {
					b.t.Fatal(err)
				}
				if err := unix.Mkfifo(b.path("fifo.log"), 0o644); err != nil {
					b.t.Fatal(err)
				}
				b.write("app.log", "one\n")
			},
			want: []string{"one"},
		},
		"a compressed file is read": {
			change: func(b *bench) { b.cfg.Inputs[0].Files.Include = []string{b.path("app.log*")} },
			act: func(b *bench) {
				f, err := os.Create(b.path("app.log.1.gz.tmp")) // whole when it gets its name, as the kubelet does it
				if err != nil {
					b.t.Fatal(err)
				}
				w := gzip.NewWriter(f)
				_, _ = w.Write([]byte("old\n"))
				if err := w.Close(); err != nil {
					b.t.Fatal(err)
				}
				if err := errors.Join(f.Close(), os.Rename(f.Name(), b.path("app.log.1.gz"))); err != nil {
					b.t.Fatal(err)
				}
				b.write("app.log", "new\n")
			},
			want: []string{"old", "new"},
		},
		"a rate limit delays and drops nothing": {
			change: func(b *bench) { b.cfg.RateLimit = &RateLimit{RecordsPerSecond: 500} },
			act:    func(b *bench) { b.write("app.log", strings.Repeat("x\n", 800)) },
			want:   strings.Split(strings.Repeat("x,", 799)+"x", ","),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if test.change != nil {
				test.change(b)
			}
			b.run()
			test.act(b)
			got := values(b.read(len(test.want)))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%.2000s", diff)
			}
		})
	}
}

func split(text string, size int) []string {
	var out []string
	for len(text) > size {
		out, text = append(out, text[:size]), text[size:]
	}
	return append(out, text)
}

func TestPartitionKeys(t *testing.T) {
	pods := "pods/shop_cart-1_uid-1/app/0.log"
	tests := map[string]struct {
		key     PartitionKey
		node    Node
		assign  map[string][]int32
		want    string
		wantAll []int32
	}{
		"node":            {key: PartitionKey{Type: KeyNode}, want: "node-1"},
		"zone by default": {want: "zone-a"},
		"node label": {key: PartitionKey{Type: KeyNodeLabel, Label: "rack"},
			node: Node{Labels: map[string]string{"rack": "r7"}}, want: "r7"},
		"missing label": {key: PartitionKey{Type: KeyNodeLabel, Label: "rack"}, want: "node-1"},
		"IPv4 subnet":   {key: PartitionKey{Type: KeySubnet}, want: "10.1.2.0/24"},
		"IPv6 subnet": {key: PartitionKey{Type: KeySubnet},
			node: Node{IP: "2001:db8:1:2:3::4"}, want: "2001:db8:1:2::/64"},
		"wider subnet":  {key: PartitionKey{Type: KeySubnet, IPv4PrefixLength: 8}, want: "10.0.0.0/8"},
		"namespace":     {key: PartitionKey{Type: KeyNamespace}, want: "shop"},
		"pod":           {key: PartitionKey{Type: KeyPod}, want: "shop/cart-1"},
		"pod label":     {key: PartitionKey{Type: KeyPodLabel, Label: "team"}, want: "blue"},
		"static":        {key: PartitionKey{Type: KeyStatic, Value: "all"}, want: "all"},
		"field":         {key: PartitionKey{Type: KeyField, Field: "user.id"}, want: "u1"},
		"missing field": {key: PartitionKey{Type: KeyField, Field: "nope", Fallback: "none"}, want: "none"},
		"assigned": {key: PartitionKey{Type: KeyStatic, Value: "a"},
			assign: map[string][]int32{"a": {4}}, want: "a", wantAll: []int32{4}},
		"none uses any one": {key: PartitionKey{Type: KeyNone}, wantAll: []int32{0, 1, 2, 3, 4, 5}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Inputs = []Input{{Pods: &PodsInput{Root: b.path("pods")}}}
			b.cfg.PartitionKey, b.cfg.Assignment = test.key, test.assign
			b.cfg.PodFactsFile = b.path("facts.json")
			b.write("facts.json", `{"uid-1": {"team": "blue"}}`)
			if test.node.IP != "" {
				b.cfg.Node.IP = test.node.IP
			}
			maps.Copy(b.cfg.Node.Labels, test.node.Labels)
			b.write(pods, criTime+`stdout F {"user": {"id": "u1"}}`+"\n")
			b.run()
			got := b.read(1)[0]
			if got.Key != test.want {
				t.Errorf("key %q, want %q", got.Key, test.want)
			}
			want := test.wantAll
			if want == nil {
				want = []int32{record.Partition([]byte(test.want), 6)}
			}
			ok := false
			for _, p := range want {
				ok = ok || p == got.Partition
			}
			if !ok {
				t.Errorf("partition %d, want one of %v", got.Partition, want)
			}
		})
	}
}

func TestPodSelection(t *testing.T) {
	b := newBench(t)
	in := &PodsInput{Root: b.path("pods"), Namespaces: []string{"shop"}, MatchLabels: map[string]string{"team": "blue"}}
	in.Containers.Exclude = []string{"istio-*"}
	b.cfg.Inputs = []Input{{Pods: in}}
	b.cfg.PodFactsFile = b.path("facts.json")
	b.cfg.Metadata.Fields = []string{"namespace", "pod", "podUID", "container", "stream", "time", "podLabel:team"}
	b.write("facts.json", `{"u1": {"team": "blue"}, "u2": {"team": "red"}}`)
	for _, file := range []string{
		"shop_a_u1/app", "shop_a_u1/istio-proxy", "shop_b_u2/app", "shop_c_u3/app", "other_a_u4/app",
	} {
		b.write("pods/"+file+"/0.log", criTime+"stderr F "+file+"\n")
	}
	b.run()
	got := b.read(1)[0]
	want := map[string]string{
		"namespace": "shop", "pod": "a", "podUID": "u1", "container": "app", "stream": "stderr",
		"time": "2026-11-23T03:38:23.183036048Z", "podLabel:team": "blue",
	}
	if diff := cmp.Diff(want, got.Headers); diff != "" || got.Value != "shop_a_u1/app" {
		t.Errorf("record %q, headers (-want +got):\n%s", got.Value, diff)
	}
}

func TestEveryCompression(t *testing.T) {
	for _, c := range []kafka.Compression{
		kafka.CompressionNone, kafka.CompressionGzip, kafka.CompressionSnappy, kafka.CompressionLz4, kafka.CompressionZstd,
	} {
		t.Run(string(c), func(t *testing.T) {
			b := newBench(t)
			b.cfg.Compression = c
			b.write("app.log", strings.Repeat("the same line\n", 1000))
			b.run()
			b.read(1000)
		})
	}
}

// TestBatchBounds writes many tiny lines: a batch must stay within its records, and nothing be lost at its bounds.
func TestBatchBounds(t *testing.T) {
	b := newBench(t)
	b.cfg.Batch.MaxRecords, b.cfg.Batch.MaxBytes = 100, 300<<10
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "%d\n", i)
	}
	b.write("app.log", text.String())
	b.run()
	for i, r := range b.read(20_000) {
		if r.Value != fmt.Sprint(i) {
			t.Fatalf("record %d is %q", i, r.Value)
		}
	}
}

func TestStopAndStart(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		stop := b.run()
		b.write("app.log", fmt.Sprintf("line %d\n", i))
		b.read(i + 1)
		stop()
	}
	if diff := cmp.Diff([]string{"line 0", "line 1", "line 2", "line 3", "line 4"}, values(b.read(5))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecondAgentWaitsForTheDirectory(t *testing.T) {
	b := newBench(t)
	stop := b.run()
	b.write("app.log", "one\n")
	b.read(1)
	_, second := b.runWaiting()
	if len(second) > 0 {
		t.Fatal("the second agent did not wait")
	}
	b.write("app.log", "two\n")
	b.read(2)
	stop()
	<-second
	b.write("app.log", "three\n")
	b.read(3)
}

func TestStartAtEnd(t *testing.T) {
	b := newBench(t)
	b.cfg.StartAt = StartAtEnd
	b.cfg.Inputs[0].Files.Include = []string{b.path("*.log")}
	b.write("app.log", "old\n")
	stop := b.run()
	b.write("new.log", "all of a new file\n")
	b.read(1)
	b.write("app.log", "later\n")
	b.read(2)
	stop()
}

func TestTopicGrows(t *testing.T) {
	interval := topicInterval
	t.Cleanup(func() { topicInterval = interval }) // when the agent has ended
	topicInterval = 10 * time.Millisecond
	b := newBench(t)
	b.cfg.PartitionKey = PartitionKey{Type: KeyField, Field: "k"}
	b.run()
	for i := range 50 {
		b.write("app.log", fmt.Sprintf(`{"k": "%d"}`+"\n", i))
	}
	b.read(50)
	spec := kafka.TopicSpec{Name: b.cfg.Topic, Partitions: 12, ReplicationFactor: 1}
	if _, err := b.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	used := map[int32]bool{}
	for n := 50; len(used) <= 6; n += 50 {
		if n > 5000 {
			t.Fatal("new partitions are not used")
		}
		for i := range 50 {
			b.write("app.log", fmt.Sprintf(`{"k": "%d"}`+"\n", i))
		}
		for _, r := range b.read(n + 50) {
			used[r.Partition] = true
		}
	}
}

func TestParsePodLog(t *testing.T) {
	tests := map[string]struct {
		path string
		want podLog
		ok   bool
	}{
		"a container's log": {"/var/log/pods/ns_pod-1_uid/app/3.log", podLog{"ns", "pod-1", "uid", "app"}, true},
		"another directory": {"/var/log/other/ns_pod_uid/app/0.log", podLog{}, false},
		"too deep":          {"/var/log/pods/ns_pod_uid/app/x/0.log", podLog{}, false},
		"no pod's name":     {"/var/log/pods/ns__uid/app/0.log", podLog{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := parsePodLog("/var/log/pods", test.path)
			if ok != test.ok || got != test.want {
				t.Errorf("got %+v, %v", got, ok)
			}
		})
	}
}

func TestInvalidConfig(t *testing.T) {
	valid := func() Config {
		return Config{
			Name: "a/b", StateDir: "/state", Topic: "t", Kafka: kafka.Config{BootstrapServers: []string{"k:9092"}},
			Inputs: []Input{{Files: &FilesInput{Include: []string{"/var/log/*.log"}}}},
		}
	}
	tests := map[string]struct {
		change func(c *Config)
		want   string
	}{
		"no topic": {func(c *Config) { c.Topic = "" }, `topic: invalid value "": it is required`},
		"no input": {
			func(c *Config) { c.Inputs = nil },
			`inputs: invalid value "[]": name at least one input, files or pods`},
		"relative glob": {
			func(c *Config) { c.Inputs[0].Files.Include[0] = "x" },
			`inputs[0].files.include[0]: invalid value "x": it must be absolute, such as /var/log/app/*.log`},
		"both inputs": {
			func(c *Config) { c.Inputs[0].Pods = &PodsInput{} },
			`inputs[0].exactly one of files and pods must be set`},
		"tiny batch": {
			func(c *Config) { c.Batch.MaxBytes = 10; c.Decode.MaxRecordBytes = 0 },
			`batch.maxBytes: invalid value 10: use 1024 to 16777216`},
		"unknown delivery": {
			func(c *Config) { c.Delivery = "AtMostOnce" },
			`delivery: invalid value "AtMostOnce": use ExactlyOnce, AtLeastOnce`},
		"unknown codec": {
			func(c *Config) { c.Compression = "Rar" },
			`compression: invalid value "Rar": use None, Gzip, Snappy, Lz4 or Zstd`},
		"unknown field": {
			func(c *Config) { c.Metadata.Fields = []string{"x"} },
			`metadata.fields[0]: invalid value "x": use ` + knownFieldNames},
		"unknown key": {
			func(c *Config) { c.PartitionKey.Type = "Moon" },
			`partitionKey.type: invalid value "Moon": use Node, NodeLabel, Subnet, Namespace, Pod, ` +
				`PodLabel, File, Static, Field or None`},
		"static without": {
			func(c *Config) { c.PartitionKey.Type = KeyStatic },
			`partitionKey.value: invalid value "": it is required for type Static`},
		"prefix": {
			func(c *Config) { c.PartitionKey = PartitionKey{Type: KeySubnet, IPv4PrefixLength: 33} },
			`partitionKey.ipv4PrefixLength: invalid value 33: use 1 to 32`},
		"empty list": {
			func(c *Config) { c.Assignment = map[string][]int32{"a": nil} },
			`assignment[a]: invalid value "[]": list at least one partition`},
		"labels unknown": {func(c *Config) {
			c.Inputs = []Input{{Pods: &PodsInput{MatchLabels: map[string]string{"a": "b"}}}}
		}, `inputs[0].pods.matchLabels: invalid value map[a:b]: set podFactsFile: labels of pods are known from it alone`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := valid()
			test.change(&c)
			c.Default()
			err := c.Validate()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	c := valid()
	c.Default()
	if err := c.Validate(); err != nil {
		t.Errorf("a valid configuration is refused: %v", err)
	}
}

func TestOneStreamOnly(t *testing.T) {
	b := newBench(t)
	b.cfg.Inputs = []Input{{Pods: &PodsInput{Root: b.path("pods"), Stream: "Stderr"}}}
	b.write("pods/ns_p_u/app/0.log", criTime+"stdout F no\n"+criTime+"stderr F yes\n"+criTime+"stdout F no\n")
	b.run()
	if diff := cmp.Diff([]string{"yes"}, values(b.read(1))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
