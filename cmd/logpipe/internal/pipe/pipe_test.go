package pipe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/cmd/logpipe/internal/manifest"
	"github.com/logpipe/logpipe/sink"
)

// load returns the set that text holds.
func load(t *testing.T, text string) *manifest.Set {
	t.Helper()
	set, problems, err := manifest.Load(t.Context(), []string{manifest.Stdin}, strings.NewReader(text))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return set
}

const secured = `
apiVersion: logpipe.dev/v1alpha1
kind: Topic
metadata: {name: t, namespace: shop}
spec:
  kafka:
    bootstrapServers: ["kafka:9093"]
    tls: {caSecretRef: {name: ca}}
    sasl: {mechanism: Plain, secretRef: {name: user}}
  partitions: 4
  replicationFactor: 3
  config: {min.insync.replicas: "2", retention.ms: "1000"}
---
apiVersion: logpipe.dev/v1alpha1
kind: LogSource
metadata: {name: s, namespace: shop}
spec:
  topicRef: {name: t}
  kafka: {bootstrapServers: ["other:9092"]}
  inputs: [{pods: {podSelector: {matchLabels: {a: b}}}}]
---
apiVersion: logpipe.dev/v1alpha1
kind: HDFSSink
metadata: {name: h, namespace: shop}
spec:
  topicRef: {name: t}
  hdfs: {url: "hdfs://ns/my logs", configMapRef: {name: hadoop}, user: u, replication: 2}
---
apiVersion: v1
kind: Secret
metadata: {name: user, namespace: shop}
data: {username: bWU=}
stringData: {password: secret}
`

func TestCheckRunnable(t *testing.T) {
	err := checkRunnable(load(t, secured))
	if err == nil {
		t.Fatal("it can't be run and that was not found")
	}
	want := []string{
		"Topic/t: spec.kafka: Secret/ca with key ca.crt is not in the given files: add it",
		"LogSource/s: spec.inputs[0].pods.podSelector: the labels of pods are known only in a cluster: " +
			"select by namespace and container, or run it there",
		"HDFSSink/h: spec.hdfs.configMapRef: ConfigMap/hadoop with key core-site.xml is not in the given files: add it",
		"HDFSSink/h: spec.hdfs.configMapRef: ConfigMap/hadoop with key hdfs-site.xml is not in the given files: add it",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestSecretsAreFilesOfThisUserOnly(t *testing.T) {
	dir := t.TempDir()
	files, err := writeSecrets(load(t, secured), dir)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"username": "me", "password": "secret"} {
		path := filepath.Join(files.secretsDir("shop"), "user", key)
		data, err := os.ReadFile(path)
		if err != nil || string(data) != want {
			t.Errorf("%s holds %q, %v; want %q", key, data, err, want)
		}
		for _, p := range []string{path, filepath.Dir(path)} {
			info, err := os.Stat(p)
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: mode %v, %v: others can read it", p, info.Mode(), err)
			}
		}
	}
	files.remove(logr.Discard())
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestEmbed(t *testing.T) {
	set := embed(load(t, secured), []string{"127.0.0.1:7"}, "/data/files", logr.Discard())
	kafka := v1alpha1.KafkaSpec{BootstrapServers: []v1alpha1.HostPort{"127.0.0.1:7"}}
	topic := set.Topics[0].Spec
	if diff := cmp.Diff(kafka, topic.Kafka); diff != "" {
		t.Errorf("Kafka of the topic (-want +got):\n%s", diff)
	}
	if topic.ReplicationFactor != 1 || len(topic.Config) != 1 || topic.Config["retention.ms"] != "1000" {
		t.Errorf("replication factor %d, config %v", topic.ReplicationFactor, topic.Config)
	}
	if set.Sources[0].Spec.Kafka != nil || set.Sinks[0].Spec.Kafka != nil {
		t.Error("a LogSource or HDFSSink does not take Kafka from the Topic")
	}
	got := set.Sinks[0].Spec.HDFS
	want := v1alpha1.HDFS{URL: "file:///data/files/my%20logs", BlockSize: got.BlockSize}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("store (-want +got):\n%s", diff)
	}
}

func TestEmbedLeavesLocalRootsWhereTheyAre(t *testing.T) {
	hdfs := v1alpha1.HDFS{URL: "file:///somewhere"}
	embedStore(&hdfs, "/data/files")
	if hdfs.URL != "file:///somewhere" {
		t.Errorf("moved to %s", hdfs.URL)
	}
}

func TestOneProgramFailsAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &pipe{o: Options{Log: logr.Discard(), Out: io.Discard}}
		var failures, restarts atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.supervise(ctx, &program{name: "LogSource/bad", run: func(context.Context, *program) error {
				failures.Add(1)
				return errors.New("disk on fire")
			}})
		}()
		go p.supervise(ctx, &program{name: "LogSource/good", run: func(ctx context.Context, _ *program) error {
			restarts.Add(1)
			<-ctx.Done()
			return errors.New("not in good order")
		}})
		time.Sleep(10 * time.Minute) // of synctest: no time passes
		synctest.Wait()
		// 1+2+4+...+32 s, then every minute.
		if got := failures.Load(); got < 14 || got > 16 {
			t.Errorf("started %d times in 10 minutes, want 15 or so", got)
		}
		if got := restarts.Load(); got != 1 {
			t.Errorf("the other one was started %d times", got)
		}
		cancel()
		<-done
		synctest.Wait()
		if len(p.errs) != 1 || !strings.Contains(p.errs[0].Error(), "stop LogSource/good: not in good order") {
			t.Errorf("errors at the end: %v", p.errs)
		}
	})
}

// TestKafkaAway makes sure that it is said which server does not answer, and that waiting ends with the context.
func TestKafkaAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := make(chan string, 100)
	log := funcr.New(func(_, args string) { said <- args }, funcr.Options{})
	set := load(t, strings.ReplaceAll(`
apiVersion: logpipe.dev/v1alpha1
kind: Topic
metadata: {name: t}
spec:
  kafka: {bootstrapServers: ["ADDRESS"]}
  partitions: 4
`, "ADDRESS", address))
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, set, Options{Dir: t.TempDir(), Progress: time.Hour, Out: io.Discard, Log: log})
	}()
	text := <-said
	for _, want := range []string{"Waiting for the topic, trying again", address, `"Topic"="default/t"`} {
		if !strings.Contains(text, want) {
			t.Errorf("log %s\ndoes not contain %s", text, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	first, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "another logpipe run uses it") {
		t.Errorf("a second pipe got the directory: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := lock(dir)
	if err != nil {
		t.Fatalf("the lock outlived its owner: %v", err)
	}
	defer second.Close()
}

func TestDescribe(t *testing.T) {
	tests := map[string]struct{ got, want string }{
		"an agent": {
			describeAgent(agent.Stats{Files: 3, Records: 10, AckedRecords: 8, LagBytes: 2048}),
			"3 files, 10 lines read, 8 sent, 2.0 KiB behind",
		},
		"an agent that lost lines and waits": {
			describeAgent(agent.Stats{LostRecords: 2, LostBytes: 100, Problem: "no broker"}),
			"0 files, 0 lines read, 0 sent, 0 B behind, LOST 2 lines, 100 B; no broker",
		},
		"a sink": {
			describeSink(sink.Stats{Records: 8, Files: 2, Uncommitted: 3, Lag: 5}),
			"8 lines committed in 2 files, 3 in open files, 5 not read yet",
		},
		"a sink with a gap": {
			describeSink(sink.Stats{GapRecords: 4, Problem: "safe mode"}),
			"0 lines committed in 0 files, 0 in open files, 0 not read yet, LOST 4 that Kafka had deleted; safe mode",
		},
		"many bytes": {size(3 << 40), "3.0 TiB"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
