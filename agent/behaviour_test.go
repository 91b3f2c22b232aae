package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/internal/record"
)

// journalText collects what an agent logs.
type journalText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *journalText) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text.WriteString(args + "\n")
	}, funcr.Options{Verbosity: 1})
}

func (l *journalText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(deadline); !is(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", deadline, what)
		}
	}
}

// count is how many records are in the topic.
func (b *bench) count() int64 {
	b.t.Helper()
	topic, err := b.client.Topic(b.t.Context(), b.cfg.Topic)
	if err != nil {
		b.t.Fatal(err)
	}
	var sum int64
	for p := range topic.Partitions {
		_, end, err := b.client.Offsets(b.t.Context(), topic.Name, p)
		if err != nil {
			b.t.Fatal(err)
		}
		sum += end
	}
	return sum
}

// runLogged runs an agent and returns it and what it logs.
func (b *bench) runLogged() (*Agent, *journalText) {
	b.t.Helper()
	text := &journalText{}
	ctx, cancel := context.WithCancel(b.t.Context())
	a, err := newAgent(ctx, b.cfg, text.logger(), b.out)
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("agent: %v", err)
		}
		if b.t.Failed() {
			b.t.Logf("the agent's log:\n%s", text)
		}
	})
	return a, text
}

func TestFileKey(t *testing.T) {
	b := newBench(t)
	b.cfg.Inputs[0].Files.Include = []string{b.path("*.log")}
	b.cfg.PartitionKey = PartitionKey{Type: KeyFile}
	for i := range 8 {
		b.write(fmt.Sprintf("%d.log", i), b.path(fmt.Sprintf("%d.log", i))+"\n")
	}
	b.run()
	for _, r := range b.read(8) {
		if r.Key != r.Value || r.Partition != record.Partition([]byte(r.Key), 6) {
			t.Errorf("record %q has key %q and partition %d", r.Value, r.Key, r.Partition)
		}
	}
}

// TestFieldKeysKeepTheirOrder spreads one file over all partitions.
func TestFieldKeysKeepTheirOrder(t *testing.T) {
	const n, keys = 5_000, 40
	b := newBench(t)
	b.cfg.PartitionKey = PartitionKey{Type: KeyField, Field: "user.id"}
	b.cfg.Batch.MaxRecords = 100
	b.run()
	var text bytes.Buffer
	for i := range n {
		fmt.Fprintf(&text, `{"user": {"id": "u%d"}, "n": %d}`+"\n", i%keys, i)
	}
	b.write("app.log", text.String())
	next := map[string]int{}
	for _, r := range b.read(n) {
		var id, i int
		if _, err := fmt.Sscanf(r.Value, `{"user": {"id": "u%d"}, "n": %d}`, &id, &i); err != nil {
			t.Fatalf("record %q: %v", r.Value, err)
		}
		if want := fmt.Sprintf("u%d", id); r.Key != want || r.Partition != record.Partition([]byte(want), 6) {
			t.Fatalf("record %q has key %q and partition %d", r.Value, r.Key, r.Partition)
		}
		if want := id + keys*next[r.Key]; i != want {
			t.Fatalf("record %d of %s came where %d should", i, r.Key, want)
		}
		next[r.Key]++
	}
}

func TestHeadersOfEachRecord(t *testing.T) {
	b := newBench(t)
	b.cfg.Metadata = Metadata{
		Fields:    []string{"file", "node", "offset", "nodeLabel:" + zoneLabel, "pod"},
		AddFields: map[string]string{"team": "a"},
	}
	b.write("app.log", "one\ntwo!\n")
	b.run()
	want := func(offset string) map[string]string {
		return map[string]string{
			"file": b.path("app.log"), "node": "node-1", "offset": offset, "nodeLabel:" + zoneLabel: "zone-a", "team": "a",
		}
	}
	got := b.read(2)
	headers := []map[string]string{got[0].Headers, got[1].Headers}
	if diff := cmp.Diff([]map[string]string{want("4"), want("9")}, headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestRateLimitDelays(t *testing.T) {
	for name, limit := range map[string]RateLimit{
		"records":  {RecordsPerSecond: 1000},
		"bytes":    {BytesPerSecond: 100_000},
		"per file": {RecordsPerSecond: 1000, PerFile: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.cfg.RateLimit, b.cfg.Batch.MaxRecords = &limit, 50
			for range 20 { // in pieces: one read is not cut
				b.write("app.log", strings.Repeat(strings.Repeat("x", 99)+"\n", 100))
			}
			b.cfg.BufferBytes, b.cfg.Batch.MaxBytes = 64<<10, 32<<10
			b.cfg.Decode.MaxRecordBytes = 1 << 10
			began := time.Now()
			b.run()
			b.read(2000)
			if took := time.Since(began); took < 500*time.Millisecond {
				t.Errorf("2000 records took %s: nothing was delayed", took)
			}
		})
	}
}

// TestUnreadableNamesAreReported puts things at matching names that are no files.
func TestUnreadableNamesAreReported(t *testing.T) {
	b := newBench(t)
	b.cfg.Inputs[0].Files.Include = []string{b.path("*.log")}
	for _, err := range []error{
		os.Mkdir(b.path("dir.log"), 0o755), unix.Mkfifo(b.path("fifo.log"), 0o644),
		os.Symlink(b.path("fifo.log"), b.path("link.log")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b.write("app.log", "one\n")
	_, text := b.runLogged()
	b.read(1)
	for _, want := range []string{
		"dir.log is a directory, not a regular file", "fifo.log is a FIFO, not a regular file",
		"link.log is a symbolic link, not a regular file",
	} {
		await(t, want, func() bool { return strings.Contains(text.String(), want) })
	}
	if n := strings.Count(text.String(), "fifo.log is"); n != 1 {
		t.Errorf("the FIFO was reported %d times", n)
	}
}

// TestBatchesOfTinyLines reads a million lines of one byte and looks at the batches as they are on the wire.
func TestBatchesOfTinyLines(t *testing.T) {
	const n, maxRecords, maxBytes = 1_000_000, 4_000, 100 << 10
	cluster := newFake(t)
	b := benchOn(t, cluster.ListenAddrs(), 1)
	b.cfg.Batch = Batch{MaxRecords: maxRecords, MaxBytes: maxBytes, Interval: conf.Duration(20 * time.Millisecond)}
	b.cfg.Compression, b.cfg.Decode.MaxRecordBytes = kafka.CompressionNone, 1<<10
	var records, largest int
	watch(t, cluster, func(batch *kmsg.RecordBatch) {
		records += int(batch.NumRecords)
		largest = max(largest, int(batch.NumRecords))
		if batch.NumRecords > maxRecords || batch.Length > maxBytes {
			t.Errorf("a batch has %d records in %d bytes", batch.NumRecords, batch.Length)
		}
	})
	b.write("app.log", strings.Repeat("x\n", n))
	a, _ := b.runLogged()
	await(t, "all records acknowledged", func() bool { return a.Stats().AckedRecords >= n })
	if records != n || largest < maxBytes/(recordOverhead+len("zone-a")+1)-1 {
		t.Errorf("%d records of %d were sent, %d in the largest batch", records, n, largest)
	}
}

// watch shows each batch that is produced.
func watch(t *testing.T, cluster *kfake.Cluster, show func(*kmsg.RecordBatch)) {
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		for _, topic := range request.(*kmsg.ProduceRequest).Topics {
			for _, partition := range topic.Partitions {
				var batch kmsg.RecordBatch
				if err := batch.ReadFrom(partition.Records); err != nil {
					t.Errorf("read batch: %v", err)
				}
				show(&batch)
			}
		}
		return nil, nil, false
	})
}

func TestTopicIsMissing(t *testing.T) {
	b := newBench(t)
	spec := kafka.TopicSpec{Name: b.cfg.Topic + "-later", Partitions: 2, ReplicationFactor: 1}
	b.cfg.Topic = spec.Name
	b.write("app.log", "one\n")
	a, _ := b.runLogged()
	await(t, "the problem is told", func() bool {
		return strings.Contains(a.Stats().Problem, spec.Name) && strings.Contains(a.Stats().Problem, "not found")
	})
	if _, err := b.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	b.read(1)
	await(t, "the problem is gone", func() bool { return a.Stats().Problem == "" })
}

func TestTopicIsMadeAnew(t *testing.T) {
	interval := topicInterval
	t.Cleanup(func() { topicInterval = interval }) // when the agent has ended
	topicInterval = 10 * time.Millisecond
	b := newBench(t)
	_, text := b.runLogged()
	b.write("app.log", "old\n")
	b.read(1)
	if err := b.client.DeleteTopic(t.Context(), b.cfg.Topic); err != nil {
		t.Fatal(err)
	}
	spec := kafka.TopicSpec{Name: b.cfg.Topic, Partitions: 3, ReplicationFactor: 1}
	if _, err := b.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	b.write("app.log", "new\n")
	if diff := cmp.Diff([]string{"new"}, values(b.read(1))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	log := text.String()
	if strings.Count(log, "Took a producer id") != 2 || !strings.Contains(log, "This is another topic than before") {
		t.Errorf("the log does not tell of the new topic:\n%s", log)
	}
}

// TestGracefulRestarts stops the agent again and again while three logs are written.
func TestGracefulRestarts(t *testing.T) {
	const each = 8_000
	b := newBench(t)
	b.cfg.Inputs[0].Files.Include = []string{b.path("*.log")}
	b.cfg.PartitionKey, b.cfg.Batch.MaxRecords = PartitionKey{Type: KeyFile}, 200
	written := map[string]uint64{}
	var sources []*lines.Source
	for i := range 3 {
		name := fmt.Sprintf("w%d", i)
		written[name], sources = each, append(sources, lines.NewSource(name, uint64(i)))
	}
	for stop := func() {}; sources[0].Count() < each; {
		stop()
		stop = b.run()
		for i, s := range sources {
			var text []byte
			for range each / 10 {
				text = append(text, s.Next(time.Unix(0, 0))...)
			}
			b.write(fmt.Sprintf("%d.log", i), string(text))
		}
	}
	checker := lines.NewChecker()
	for _, r := range b.read(3 * each) {
		checker.Add([]byte(r.Value))
	}
	if verdict := checker.Verdict(written); !verdict.Perfect() {
		t.Errorf("not exactly once: %s", verdict)
	}
}

// TestAssignmentBeyondTheTopic names a partition that is not there: nothing may be sent elsewhere.
func TestAssignmentBeyondTheTopic(t *testing.T) {
	b := newBench(t)
	b.cfg.PartitionKey = PartitionKey{Type: KeyStatic, Value: "a"}
	b.cfg.Assignment = map[string][]int32{"a": {6}}
	b.write("app.log", "one\n")
	a, _ := b.runLogged()
	want := fmt.Sprintf("assignment[a]: partition 6 does not exist: topic %s has 6 partitions", b.cfg.Topic)
	await(t, want, func() bool { return a.Stats().Problem == want })
	b.read(0)
}

func TestAssignmentSpreadsKeys(t *testing.T) {
	b := newBench(t)
	b.cfg.PartitionKey = PartitionKey{Type: KeyField, Field: "k"}
	b.cfg.Assignment = map[string][]int32{"a": {1, 4}, "b": {5}}
	b.write("app.log", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"c\"}\n")
	b.run()
	got := map[string]int32{}
	for _, r := range b.read(3) {
		got[r.Key] = r.Partition
	}
	want := map[string]int32{
		"a": []int32{1, 4}[record.Partition([]byte("a"), 2)], "b": 5, "c": record.Partition([]byte("c"), 6),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
}

func TestRunRefusesABadConfiguration(t *testing.T) {
	err := Run(t.Context(), Config{}, logr.Discard())
	if err == nil || !strings.HasPrefix(err.Error(), "invalid configuration: ") {
		t.Errorf("got %v", err)
	}
	b := newBench(t)
	b.cfg.StateDir = b.path("file")
	b.write("file", "no directory")
	if err := Run(t.Context(), b.cfg, logr.Discard()); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("got %v, want %v", err, unix.ENOTDIR)
	}
}

// TestTwoRootsOfPods reads each root by its own selection; see also TestPodSelection.
func TestTwoRootsOfPods(t *testing.T) {
	b := newBench(t)
	selected := &PodsInput{Root: b.path("two")}
	selected.Containers.Include = []string{"app-*"}
	b.cfg.Inputs = []Input{{Pods: &PodsInput{Root: b.path("one"), Namespaces: []string{"a"}}}, {Pods: selected}}
	b.cfg.Metadata.Fields = []string{"namespace", "container", "stream"}
	for _, file := range []string{"one/a_p_u1/c", "one/b_p_u2/c", "two/b_p_u3/app-1", "two/b_p_u4/web"} {
		b.write(file+"/0.log", criTime+"stdout F "+file+"\n")
	}
	b.run()
	got := map[string]string{}
	for _, r := range b.read(2) {
		got[r.Value] = strings.Join(slices.Sorted(maps.Values(r.Headers)), " ")
	}
	want := map[string]string{"one/a_p_u1/c": "a c stdout", "two/b_p_u3/app-1": "app-1 b stdout"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
