package cost

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// patience bounds what a run waits for.
	patience = 5 * time.Minute
	// poll is how often the end of the topic is asked for: often enough for a run of seconds.
	poll = 5 * time.Millisecond
)

// bench runs the agent on some brokers.
type bench struct {
	*testing.T
	binary  string
	brokers []string
}

// run is one agent with a topic of one partition and a state of its own.
type run struct {
	*testing.T
	client  *kafka.Client
	topic   string
	process *exec.Cmd
	log     string
	ended   chan struct{}
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// start starts an agent that reads file into a topic.
func (b *bench) start(d agent.Delivery, file string, interval conf.Duration) *run {
	b.Helper()
	dir := b.TempDir()
	r := &run{T: b.T, topic: servers.UniqueName(b.T), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	cfg := agent.Config{
		Name: "test/cost", StateDir: filepath.Join(dir, "state"), Topic: r.topic, Delivery: d,
		Kafka: kafka.Config{BootstrapServers: b.brokers}, Node: agent.Node{Name: "n"},
		Inputs:       []agent.Input{{Files: &agent.FilesInput{Include: []string{file}}}},
		Decode:       decode.Config{Format: decode.FormatRaw},
		Batch:        agent.Batch{Interval: interval},
		PartitionKey: agent.PartitionKey{Type: agent.KeyNode},
	}
	var err error
	r.client, err = kafka.Connect(b.Context(), cfg.Kafka, logr.Discard())
	b.check(err)
	b.Cleanup(func() { _ = r.client.Close() })
	spec := kafka.TopicSpec{Name: r.topic, Partitions: 1, ReplicationFactor: int16(len(b.brokers))}
	_, err = r.client.EnsureTopic(b.Context(), spec)
	b.check(err)
	data, err := json.Marshal(cfg)
	b.check(err)
	config := filepath.Join(dir, "agent.json")
	b.check(os.WriteFile(config, data, 0o600))
	out, err := os.Create(r.log)
	b.check(err)
	r.process = exec.Command(b.binary, "--config", config)
	r.process.Stderr = out
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	b.check(r.process.Start())
	b.check(out.Close())
	go func() {
		_ = r.process.Wait()
		close(r.ended)
	}()
	b.Cleanup(func() { _ = r.process.Process.Kill(); <-r.ended })
	return r
}

// stop ends the agent in good order and returns the CPU time that it took in its life.
func (r *run) stop() time.Duration {
	r.Helper()
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
		r.Fatal(err)
	}
	<-r.ended
	state := r.process.ProcessState
	if !state.Success() {
		text, _ := os.ReadFile(r.log)
		r.Fatalf("the agent ended: %s\n%s", state, text[max(0, len(text)-2000):])
	}
	return state.UserTime() + state.SystemTime()
}

// end waits until the topic has more than so many records, and returns how many.
func (r *run) end(more int64) int64 {
	r.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(poll) {
		_, end, err := r.client.Offsets(r.Context(), r.topic, 0)
		if err != nil {
			r.Fatal(err)
		}
		if end > more {
			return end
		}
		if time.Now().After(deadline) {
			r.Fatalf("the topic has %d records, and does not get more than %d", end, more)
		}
	}
}

// drain has the agent send a file that is there. Its rate is from when the first lines are visible to when all are.
func (b *bench) drain(d agent.Delivery, file string) measured {
	b.Helper()
	r := b.start(d, file, 0)
	first := r.end(0)
	began := time.Now()
	last := r.end(int64(*count) - 1)
	took := time.Since(began)
	cpu := r.stop()
	if last != int64(*count) {
		b.Fatalf("the topic has %d records of %d lines", last, *count)
	}
	return measured{
		linesPerSecond: float64(last-first) / took.Seconds(),
		cpuPerMillion:  cpu.Seconds() / float64(last) * 1e6,
	}
}
