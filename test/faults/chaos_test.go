package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// chaosWriters each have a log, an agent and a partition.
	chaosWriters = 2
	chaosSinks   = 2
	// healing bounds how long all lines may take to arrive after the last fault.
	healing = 5 * time.Minute
)

// TestChaos lets faults of all kinds come at once, in a random order: agents and sinks are killed, stopped for longer
// than Kafka waits for them, and restarted; brokers, the NameNode and DataNodes are killed; HDFS goes into safe mode.
// Meanwhile logs are written, rotated and compressed. In the end every line is in Kafka and in HDFS, once and in order.
//
// LOGPIPE_FAULTS_TIME is how long faults come; without it the test is skipped. LOGPIPE_FAULTS_SEED is what their order
// is drawn from.
func TestChaos(t *testing.T) {
	c := newChaos(t, duration(t, "LOGPIPE_FAULTS_TIME"))
	c.start()
	began := time.Now()
	c.faults(c.time)
	c.await("all lines to be in Kafka and HDFS", c.complete)
	for _, p := range c.processes() {
		p.kill()
	}
	t.Logf("%s of faults: %s", c.time, &c.counts)
	t.Logf("all lines had arrived %.1f s after the last fault", time.Since(began.Add(c.time)).Seconds())
	for what, checker := range map[string]*lines.Checker{"Kafka": c.readKafka(), "HDFS": c.readHDFS()} {
		verdict := checker.Verdict(c.written())
		t.Logf("%s: %s", what, verdict)
		if !verdict.Perfect() {
			t.Errorf("%s is not exactly once", what)
		}
	}
	if t.Failed() {
		c.explain()
	}
}

// explain tells where in Kafka another line comes than the next one.
func (c *chaos) explain() {
	c.Helper()
	for i := range c.writers {
		expected := uint64(0)
		eachRecord(c.T, c.client, c.topic, int32(i), func(offset int64, value []byte) {
			_, sequence, ok := lines.Parse(value)
			if !ok || sequence != expected {
				c.Logf("writer %d: at offset %d comes line %d, not %d", i, offset, sequence, expected)
			}
			expected = sequence + 1
		})
	}
}

// counts tells how often each fault came.
type counts struct {
	agentKills, sinkKills, agentStops, sinkStops, sinkRestarts      atomic.Int64
	brokerKills, nameNodeKills, dataNodeKills, safeModes, rotations atomic.Int64
}

func (c *counts) String() string {
	return fmt.Sprintf("agents killed %d times and stopped %d times, sinks killed %d, stopped %d and restarted %d times; "+
		"killed brokers %d, NameNodes %d, DataNodes %d times; safe mode %d times; %d rotations",
		c.agentKills.Load(), c.agentStops.Load(), c.sinkKills.Load(), c.sinkStops.Load(), c.sinkRestarts.Load(),
		c.brokerKills.Load(), c.nameNodeKills.Load(), c.dataNodeKills.Load(), c.safeModes.Load(), c.rotations.Load())
}

type chaos struct {
	*testing.T
	counts
	time    time.Duration
	seed    uint64
	topic   string
	brokers *servers.KafkaCluster
	hdfs    *servers.HDFSCluster
	client  *kafka.Client
	files   store.Store
	writers [chaosWriters]*chaosWriter
	sinks   [chaosSinks]*process
}

func newChaos(t *testing.T, faults time.Duration) *chaos {
	c := &chaos{
		T: t, time: faults, seed: seed(t), topic: servers.UniqueName(t),
		brokers: servers.PrivateKafka(t, 3), hdfs: servers.PrivateHDFS(t, 3),
	}
	settings := kafka.Config{BootstrapServers: c.brokers.Bootstrap}
	c.client = connect(t, settings)
	_, err := c.client.EnsureTopic(t.Context(), kafka.TopicSpec{
		Name: c.topic, Partitions: chaosWriters, ReplicationFactor: 3, Config: map[string]string{"min.insync.replicas": "2"},
	})
	c.check(err)
	for i := range chaosWriters {
		c.writers[i] = newChaosWriter(c, i, settings)
	}
	cfg := sink.Config{Name: "test/" + c.topic, Topic: c.topic, Path: "{topic}/p={partition}", Kafka: settings}
	cfg.Store.URL, cfg.Store.User = c.hdfs.URI("/"+c.topic), c.hdfs.User
	cfg.Roll = sink.Roll{MaxRecords: 20_000, Interval: conf.Duration(500 * time.Millisecond)}
	cfg.SessionTimeout = conf.Duration(6 * time.Second)
	cfg.Default()
	c.files, err = store.Open(t.Context(), cfg.Store)
	c.check(err)
	t.Cleanup(func() { _ = c.files.Close() })
	for i := range chaosSinks {
		c.sinks[i] = &process{program: newProgram(t, "sink")}
		c.sinks[i].program.configure(cfg)
	}
	return c
}

func (c *chaos) check(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *chaos) processes() []*process {
	var out []*process
	for _, w := range c.writers {
		out = append(out, &w.agent)
	}
	return append(out, c.sinks[:]...)
}

func (c *chaos) start() {
	c.Helper()
	for _, p := range c.processes() {
		p.start()
	}
}

// faults lets faults come and lines be written, heals all, and lets the writers end.
func (c *chaos) faults(how time.Duration) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), how)
	defer cancel()
	var group sync.WaitGroup
	for i, w := range c.writers {
		group.Go(func() { w.write(ctx) })
		group.Go(func() { c.agentFaults(ctx, &w.agent, c.random(10+i)) })
	}
	for i, p := range c.sinks {
		group.Go(func() { c.sinkFaults(ctx, p, c.random(20+i)) })
	}
	// A server that does not start again makes the test fail, but ends it only once all others are healed.
	group.Go(func() { c.brokerFaults(ctx, c.random(30)) })
	group.Go(func() { c.hdfsFaults(ctx, c.random(31)) })
	group.Wait()
}

func (c *chaos) random(stream int) *rand.Rand { return rand.New(rand.NewPCG(c.seed, uint64(stream))) }

func (c *chaos) agentFaults(ctx context.Context, p *process, random *rand.Rand) {
	for sleep(ctx, random, 2*time.Second) {
		if random.IntN(5) == 0 {
			c.agentStops.Add(1)
			p.stopFor(ctx, random, 3*time.Second)
			continue
		}
		c.agentKills.Add(1)
		p.kill()
		sleep(ctx, random, time.Second)
		p.start()
	}
}

func (c *chaos) sinkFaults(ctx context.Context, p *process, random *rand.Rand) {
	for sleep(ctx, random, 5*time.Second) {
		switch random.IntN(6) {
		case 0:
			c.sinkStops.Add(1)
			p.stopFor(ctx, random, 15*time.Second) // Kafka gives it up after 6 s: then it is a zombie
		case 1:
			c.sinkRestarts.Add(1)
			p.terminate()
			p.start()
		default:
			c.sinkKills.Add(1)
			p.kill()
			sleep(ctx, random, time.Second)
			p.start()
		}
	}
}

// sleep waits for a random time up to most, and returns false when ctx is done.
func sleep(ctx context.Context, random *rand.Rand, most time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(random.Int64N(int64(most)))):
		return true
	}
}

// process is a program that is killed and started again; what it last was is its life.
type process struct {
	program *program
	life    *life
}

func (p *process) start() { p.life = p.program.start("") }

func (p *process) kill() {
	p.mustLive()
	p.life.kill()
}

// mustLive reports a process that ended by itself: none may, whatever happens to the servers.
func (p *process) mustLive() {
	select {
	case <-p.life.ended:
		p.program.Errorf("the %s ended by itself: %s; its log ends:\n%s", p.program.name, p.life.process.ProcessState,
			p.life.tail())
	default:
	}
}

// terminate lets it end as Kubernetes would.
func (p *process) terminate() {
	p.mustLive()
	_ = p.life.process.Process.Signal(syscall.SIGTERM)
	<-p.life.ended
}

// stopFor stops it and lets it go on: it knows nothing of the time between.
func (p *process) stopFor(ctx context.Context, random *rand.Rand, most time.Duration) {
	_ = p.life.process.Process.Signal(syscall.SIGSTOP)
	sleep(ctx, random, most)
	_ = p.life.process.Process.Signal(syscall.SIGCONT)
}

// complete tells whether every line that was written is in Kafka and in a visible file.
func (c *chaos) complete() bool {
	c.Helper()
	last := map[string]int64{}
	for _, name := range storetest.Visible(c.T, c.files) {
		last[path.Dir(name)] = max(last[path.Dir(name)], lastOffset(c.T, name)+1)
	}
	for i, w := range c.writers {
		count := int64(w.source.Count())
		if c.end(i) < count || last[fmt.Sprintf("%s/p=%d", c.topic, i)] < count {
			return false
		}
	}
	return true
}

func (c *chaos) await(what string, so func() bool) {
	c.Helper()
	for deadline := time.Now().Add(healing); !so(); time.Sleep(200 * time.Millisecond) {
		for _, p := range c.processes() {
			p.mustLive()
		}
		if time.Now().Before(deadline) && !c.Failed() {
			continue
		}
		checker := c.readKafka()
		for i, w := range c.writers {
			c.Logf("writer %d: wrote %d, Kafka has %d, first missing %v", i, w.source.Count(), c.end(i),
				checker.Missing(writerName(i), w.source.Count(), 3))
		}
		for _, p := range c.processes() {
			c.Logf("the log of %s ends:\n%s", p.program.name, p.life.tail())
		}
		c.Fatalf("wait for %s", what)
	}
}

func (c *chaos) end(partition int) int64 {
	c.Helper()
	_, end, err := c.client.Offsets(c.Context(), c.topic, int32(partition))
	c.check(err)
	return end
}

func (c *chaos) written() map[string]uint64 {
	out := map[string]uint64{}
	for i, w := range c.writers {
		out[writerName(i)] = w.source.Count()
	}
	return out
}

func (c *chaos) readKafka() *lines.Checker {
	c.Helper()
	checker := lines.NewChecker()
	for i := range c.writers {
		readPartition(c.T, c.client, c.topic, int32(i), checker)
	}
	return checker
}

func (c *chaos) readHDFS() *lines.Checker {
	c.Helper()
	checker := lines.NewChecker()
	for _, name := range storetest.Visible(c.T, c.files) {
		readFile(c.T, c.files, name, checker)
	}
	return checker
}

// duration reads a duration from the environment; without it the test is skipped.
func duration(t *testing.T, name string) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		t.Skipf("%s is not set: run make faults", name)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s: %q is not a duration such as 10m", name, text)
	}
	return d
}

// seed returns that of the environment, or a new one, which the log names.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if text := os.Getenv("LOGPIPE_FAULTS_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &s); err != nil {
			t.Fatalf("LOGPIPE_FAULTS_SEED: %q is not a number", text)
		}
	}
	t.Logf("LOGPIPE_FAULTS_SEED=%d", s)
	return s
}
