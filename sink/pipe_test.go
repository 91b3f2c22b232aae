package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/internal/logging"
	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/test/servers"
)

// configVariable names the configuration of a sink that the test binary is to run in place of its tests.
const configVariable = "LOGPIPE_TEST_SINK"

func TestMain(m *testing.M) {
	if file := os.Getenv(configVariable); file != "" {
		var cfg Config
		err := conf.Load(file, &cfg)
		if err == nil {
			LimitMemory()
			err = Run(context.Background(), cfg, logging.New(os.Stderr, 1, false))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// pipe is a topic with a writer of lines for each partition, and the sinks that read it.
type pipe struct {
	*testing.T
	cfg     Config
	client  *kafka.Client
	files   store.Store
	sources []*lines.Source
}

// newPipe makes a topic and a root of its own on real servers.
func newPipe(t *testing.T, brokers *servers.KafkaCluster, hdfs *servers.HDFSCluster, partitions int) *pipe {
	name := strings.ToLower(servers.UniqueName(t))
	cfg := Config{Name: "test/" + name, Topic: name, Path: "{topic}/{partition}",
		Kafka: kafka.Config{BootstrapServers: brokers.Bootstrap}}
	cfg.Store.URL, cfg.Store.User = hdfs.URI("/"+name), hdfs.User
	cfg.Store.CallTimeout = conf.Duration(5 * time.Second)
	cfg.Roll.Interval = conf.Duration(300 * time.Millisecond)
	cfg.Roll.MaxBytes = 1 << 20
	cfg.Default()
	p := &pipe{T: t, cfg: cfg}
	var err error
	if p.client, err = kafka.Connect(t.Context(), cfg.Kafka, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.client.Close() })
	spec := kafka.TopicSpec{Name: name, Partitions: int32(partitions), ReplicationFactor: 1}
	if _, err = p.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if p.files, err = store.Open(t.Context(), cfg.Store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.files.Close() })
	for i := range partitions {
		p.sources = append(p.sources, lines.NewSource(fmt.Sprintf("w%d", i), uint64(i)))
	}
	return p
}

// produce appends count lines to each partition.
func (p *pipe) produce(count int) {
	for i := range p.sources {
		p.produceTo(i, count)
	}
}

func (p *pipe) produceTo(partition, count int) {
	p.Helper()
	for count > 0 {
		n := min(count, 2000)
		p.send(partition, n)
		count -= n
	}
}

func (p *pipe) send(partition, count int) {
	p.Helper()
	now := time.Now().Truncate(time.Millisecond)
	batch := &sarama.RecordBatch{Version: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		FirstTimestamp: now, MaxTimestamp: now, LastOffsetDelta: int32(count - 1), PartitionLeaderEpoch: -1}
	for i := range count {
		line := p.sources[partition].Next(now)
		batch.Records = append(batch.Records, &sarama.Record{OffsetDelta: int64(i), Value: slices.Clone(line[:len(line)-1])})
	}
	request := &sarama.ProduceRequest{Version: 9, RequiredAcks: sarama.WaitForAll, Timeout: 10_000}
	request.AddBatch(p.cfg.Topic, int32(partition), batch)
	err := sarama.ErrNotLeaderForPartition
	for err == sarama.ErrNotLeaderForPartition { // right after the topic was made; nothing was stored
		leader, findErr := p.client.Sarama().Leader(p.cfg.Topic, int32(partition))
		if findErr != nil {
			p.Fatal(findErr)
		}
		answer, sendErr := leader.Produce(request)
		if sendErr != nil {
			p.Fatal(sendErr)
		}
		if err = answer.GetBlock(p.cfg.Topic, int32(partition)).Err; err != sarama.ErrNoError {
			_ = p.client.Sarama().RefreshMetadata(p.cfg.Topic)
		}
	}
	if err != sarama.ErrNoError {
		p.Fatalf("produce: %v", err)
	}
}

// visible lists the data files that readers see.
func (p *pipe) visible() (names []string) {
	p.Helper()
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := p.files.ReadDir(dir)
		if err != nil {
			p.Fatal(err)
		}
		for _, entry := range entries {
			switch name := path.Join(dir, entry.Name()); {
			case entry.Name() == controlDir:
			case entry.IsDir():
				walk(name)
			default:
				names = append(names, name)
			}
		}
	}
	walk(".")
	slices.Sort(names)
	return names
}

// verdict compares all visible lines with all that were produced.
func (p *pipe) verdict() lines.Verdict {
	p.Helper()
	checker := lines.NewChecker()
	for _, name := range p.visible() {
		file, err := p.files.Open(name)
		if err != nil {
			p.Fatal(err)
		}
		if err := errors.Join(checker.AddAll(file), file.Close()); err != nil {
			p.Fatal(err)
		}
	}
	written := map[string]uint64{}
	for i, source := range p.sources {
		written[fmt.Sprintf("w%d", i)] = source.Count()
	}
	return checker.Verdict(written)
}

// wantAllOnce waits until everything is committed, and checks it.
func (p *pipe) wantAllOnce() {
	p.Helper()
	p.until("everything is visible", func() bool { return p.committed() == p.produced() && p.published() })
	if verdict := p.verdict(); !verdict.Perfect() {
		p.Errorf("%s", verdict)
	} else {
		p.Logf("%s, in %d files", verdict, len(p.visible()))
	}
}

func (p *pipe) produced() (n int64) {
	for _, source := range p.sources {
		n += int64(source.Count())
	}
	return n
}

// committed adds up the positions in the store.
func (p *pipe) committed() (n int64) {
	for i := range p.sources {
		n += p.position(i)
	}
	return n
}

// published tells whether no commit holds a file that is still to become visible.
func (p *pipe) published() bool {
	for i := range p.sources {
		l := layout{sink: p.cfg.Name, topic: p.cfg.Topic, partition: int32(i)}
		commits, err := p.files.ReadDir(l.commits())
		if err != nil {
			return false
		}
		for _, commit := range commits {
			files, err := p.files.ReadDir(path.Join(l.commits(), commit.Name()))
			if err != nil || len(files) > 1 {
				return false
			}
		}
	}
	return true
}

func (p *pipe) position(partition int) int64 {
	l := layout{sink: p.cfg.Name, topic: p.cfg.Topic, partition: int32(partition)}
	entries, err := p.files.ReadDir(l.commits())
	if err != nil || len(entries) == 0 {
		return 0
	}
	name := slices.MaxFunc(entries, func(a, b os.FileInfo) int { return strings.Compare(a.Name(), b.Name()) }).Name()
	data, err := p.files.ReadFile(path.Join(l.commits(), name, manifestName), maxManifestBytes)
	if err != nil {
		return 0 // pruned meanwhile
	}
	m, err := parseManifest(data, l)
	if err != nil {
		p.Fatal(err)
	}
	return m.Last + 1
}

// until polls the servers, which have no way to tell when something has happened there.
func (p *pipe) until(what string, done func() bool) {
	p.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			p.Fatalf("waited too long until %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// runningSink is a sink in this process.
type runningSink struct {
	*Sink
	stop func()
}

// start runs a sink until it is stopped, at the latest by the end of the test.
func (p *pipe) start() *runningSink {
	p.Helper()
	s, err := New(p.cfg, logging.New(testWriter{p.T}, 0, false))
	if err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			p.Errorf("run: %v", err)
		}
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	p.Cleanup(stop)
	return &runningSink{Sink: s, stop: stop}
}

func (s *runningSink) claims() (numbers []int32) {
	for _, one := range s.Stats().Partitions {
		numbers = append(numbers, one.Partition)
	}
	return numbers
}

type testWriter struct{ *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// spawn runs a sink in a process of its own.
func (p *pipe) spawn(cfg Config) *exec.Cmd {
	p.Helper()
	data, err := json.Marshal(cfg)
	if err != nil {
		p.Fatal(err)
	}
	dir := p.TempDir()
	file := filepath.Join(dir, "sink.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		p.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "sink.log"))
	if err != nil {
		p.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), configVariable+"="+file)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	_ = out.Close()
	p.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if log, err := os.ReadFile(out.Name()); err == nil && p.Failed() {
			p.Logf("the sink's log:\n%s", log)
		}
	})
	return cmd
}
