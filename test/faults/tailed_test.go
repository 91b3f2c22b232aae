package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

// slow bounds what a test waits for while its agent is killed all the time.
const slow = 2 * patience

// tailed is a log that an agent follows into a topic of one partition.
type tailed struct {
	*testing.T
	agent  process
	dir    string // of logs
	live   string
	topic  string
	client *kafka.Client
	source *lines.Source
	random *rand.Rand
	seed   uint64
	lives  atomic.Int64
	// rotated are the logs that have lost the live name and are still there, old to new.
	rotated   []rotated
	rotations int
}

// newTailed has an agent, which is not started yet; change adapts its configuration.
func newTailed(t *testing.T, brokers []string, change func(w *tailed, cfg *agent.Config)) *tailed {
	p := newProgram(t, "agent")
	w := &tailed{
		T: t, agent: process{program: p}, dir: filepath.Join(p.dir, "logs"), topic: servers.UniqueName(t), seed: seed(t),
	}
	w.live = filepath.Join(w.dir, "app.log")
	w.source, w.random = lines.NewSource(writerName(0), w.seed), rand.New(rand.NewPCG(w.seed, 1))
	p.check(os.Mkdir(w.dir, 0o700))
	cfg := agent.Config{
		Name: "test/faults", StateDir: filepath.Join(p.dir, "state"), Topic: w.topic,
		Kafka: kafka.Config{BootstrapServers: brokers}, Node: agent.Node{Name: "n"},
		Inputs: []agent.Input{{Files: &agent.FilesInput{Include: []string{w.live}}}},
		Decode: decode.Config{Format: decode.FormatRaw, MaxRecordBytes: 4 << 10,
			Filters: []decode.Filter{{Drop: &decode.Drop{Match: "^" + dropped}}}},
		Batch:        agent.Batch{MaxBytes: 16 << 10, Interval: conf.Duration(5 * time.Millisecond)},
		PartitionKey: agent.PartitionKey{Type: agent.KeyStatic, Value: "k"},
		ScanInterval: conf.Duration(100 * time.Millisecond),
	}
	if change != nil {
		change(w, &cfg)
	}
	p.configure(cfg)
	w.client = connect(t, cfg.Kafka)
	_, err := w.client.EnsureTopic(t.Context(), kafka.TopicSpec{Name: w.topic, Partitions: 1, ReplicationFactor: 1})
	p.check(err)
	return w
}

func (w *tailed) check(err error) {
	w.Helper()
	w.agent.program.check(err)
}

func (w *tailed) start() {
	w.Helper()
	w.lives.Add(1)
	w.agent.start()
}

// killing kills the agent again and again and leaves it dead for a while, until ctx is done. In the end it lives.
func (w *tailed) killing(ctx context.Context) {
	random := rand.New(rand.NewPCG(w.seed, 2))
	for sleep(ctx, random, 1500*time.Millisecond) {
		w.agent.kill()
		sleep(ctx, random, 500*time.Millisecond)
		w.start()
	}
}

// write appends lines to the live log, in pieces that end anywhere; the last line is whole.
func (w *tailed) write(count int) {
	w.Helper()
	w.writeTo(w.live, w.source, count)
}

func (w *tailed) writeTo(path string, source *lines.Source, count int) {
	w.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	w.check(err)
	var text []byte
	for range count {
		text = append(text, source.Next(time.Unix(1_800_000_000, 0))...)
	}
	for len(text) > 0 {
		n := 1 + w.random.IntN(len(text))
		_, err := f.Write(text[:n])
		w.check(err)
		text = text[n:]
	}
	w.check(f.Close())
}

// end is how many records Kafka has.
func (w *tailed) end() int64 {
	w.Helper()
	_, end, err := w.client.Offsets(w.Context(), w.topic, 0)
	w.check(err)
	return end
}

// await polls until something is so.
func (w *tailed) await(what string, done func() bool) {
	w.Helper()
	for deadline := time.Now().Add(slow); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited too long until %s; Kafka has %d records, %d lines were written; the log of life %d ends:\n%s",
				what, w.end(), w.source.Count(), w.agent.program.lives, w.agent.life.tail())
		}
	}
}

// awaitAll waits until Kafka has as many records as lines were written.
func (w *tailed) awaitAll() {
	w.Helper()
	w.await("all lines are in Kafka", func() bool { return w.end() >= int64(w.source.Count()) })
}

// rotatedName is the next name of a log that is rotated now, as the kubelet chooses it.
func (w *tailed) rotatedName() string {
	w.rotations++
	at := time.Unix(1_800_000_000+int64(w.rotations), 0).UTC()
	return fmt.Sprintf("%s.%s", w.live, at.Format("20060102-150405"))
}

// judge compares what is in Kafka with what the sources wrote.
func (w *tailed) judge(sources ...*lines.Source) (*lines.Checker, lines.Verdict) {
	w.Helper()
	checker, written := lines.NewChecker(), map[string]uint64{}
	for i, source := range sources {
		written[writerName(i)] = source.Count()
	}
	readPartition(w.T, w.client, w.topic, 0, checker)
	return checker, checker.Verdict(written)
}
