package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	kills          = 20
	linesPerWriter = 110_000
	// linesAhead bounds how far a writer is ahead of Kafka, so that every kill comes while lines are on their way.
	linesAhead  = 6_000
	longestFile = 9_000
	// patience bounds what a test waits for.
	patience = 30 * time.Second
)

// TestKillNineTwentyTimes kills the agent's process while it is at work and while logs are rotated and compressed.
func TestKillNineTwentyTimes(t *testing.T) {
	w := newKillWorld(t, servers.Kafka(t, 1).Bootstrap)
	writers := []*writer{
		{world: w, name: "w0", file: "shifted.log", perFile: longestFile, rotate: shift},
		{world: w, name: "w1", file: "dated.log", perFile: 7_000, rotate: date},
	}
	done := make(chan error, len(writers))
	for _, from := range writers {
		go func() { done <- from.run(t.Context()) }()
	}
	total := int64(linesPerWriter * len(writers))
	for i := range int64(kills) {
		process := w.start()
		w.await((i + 1) * total / (kills + 1))
		w.kill(process)
		if i == 2 || i == 7 || i == 12 {
			w.awaitRotations(int64(len(writers)))
		}
	}
	process := w.start()
	for range writers {
		w.awaitWriter(done)
	}
	w.await(total)
	w.kill(process)

	checker := w.readAll()
	written := map[string]uint64{"w0": linesPerWriter, "w1": linesPerWriter}
	verdict := checker.Verdict(written)
	resent, starts := w.recovered()
	t.Logf("%s; %d kills, %d batches sent again by %d starts", verdict, kills, resent, starts)
	if !verdict.Perfect() {
		t.Errorf("not exactly once: %s; first missing: %v, %v", verdict,
			checker.Missing("w0", linesPerWriter, 10), checker.Missing("w1", linesPerWriter, 10))
	}
	if resent == 0 {
		t.Error("no kill left batches to be sent again: the test shows nothing")
	}
	checker.Add(lines.NewSource("w0", 0).Next(writers[0].began))
	if got := checker.Verdict(written); got.Perfect() {
		t.Error("a planted duplicate was not seen")
	}
}

// killWorld is a topic and a directory of logs that a process of the agent follows.
type killWorld struct {
	t      *testing.T
	dir    string
	binary string
	topic  string
	client *kafka.Client
	logs   bytes.Buffer
	// delivered counts the lines that were last seen in Kafka, rotations those of all writers.
	delivered, rotations atomic.Int64
	// extra lets the writers go further ahead.
	extra atomic.Int64
}

func newKillWorld(t *testing.T, brokers []string) *killWorld {
	t.Helper()
	w := &killWorld{t: t, dir: t.TempDir(), topic: servers.UniqueName(t)}
	w.binary = filepath.Join(w.dir, "agent")
	if output, err := exec.Command("go", "build", "-o", w.binary, "../cmd/agent").CombinedOutput(); err != nil {
		t.Fatalf("build agent: %v\n%s", err, output)
	}
	cfg := kafka.Config{BootstrapServers: brokers}
	var err error
	if w.client, err = kafka.Connect(t.Context(), cfg, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.client.Close() })
	spec := kafka.TopicSpec{Name: w.topic, Partitions: 2, ReplicationFactor: 1}
	if _, err := w.client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	w.configure(cfg)
	return w
}

// configure makes batches small and many, so that some are always on their way.
func (w *killWorld) configure(cfg kafka.Config) {
	w.t.Helper()
	data, err := json.Marshal(agent.Config{
		Name: "test/kill", StateDir: filepath.Join(w.dir, "state"), Topic: w.topic, Kafka: cfg,
		Inputs: []agent.Input{{Files: &agent.FilesInput{
			Include: []string{w.path("shifted.log"), w.path("dated.log")},
		}}},
		Decode:       decode.Config{Format: decode.FormatRaw, MaxRecordBytes: 4 << 10},
		Batch:        agent.Batch{MaxBytes: 16 << 10, Interval: conf.Duration(5 * time.Millisecond)},
		PartitionKey: agent.PartitionKey{Type: agent.KeyFile},
		Assignment:   map[string][]int32{w.path("shifted.log"): {0}, w.path("dated.log"): {1}},
		ScanInterval: conf.Duration(100 * time.Millisecond),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path("agent.json"), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *killWorld) path(name string) string { return filepath.Join(w.dir, name) }

func (w *killWorld) start() *exec.Cmd {
	w.t.Helper()
	process := exec.CommandContext(w.t.Context(), w.binary, "--config", w.path("agent.json"), "--node", "n", "-v", "1")
	process.Stderr = &w.logs
	if err := process.Start(); err != nil {
		w.t.Fatal(err)
	}
	return process
}

// kill ends the process with SIGKILL; it must have been alive.
func (w *killWorld) kill(process *exec.Cmd) {
	w.t.Helper()
	if err := process.Process.Kill(); err != nil {
		w.t.Fatalf("kill agent: %v", err)
	}
	_ = process.Wait()
	if process.ProcessState.Exited() {
		w.t.Fatalf("the agent ended by itself: %s\n%s", process.ProcessState, w.logs.Bytes())
	}
}

// await waits until n lines are in Kafka, and tells the writers how many are.
func (w *killWorld) await(n int64) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var sum int64
		for partition := range int32(2) {
			_, end, err := w.client.Offsets(w.t.Context(), w.topic, partition)
			if err != nil {
				w.t.Fatal(err)
			}
			sum += end
		}
		if w.delivered.Store(sum); sum >= n {
			return
		}
		if time.Now().After(deadline) {
			checker := w.readAll()
			w.t.Fatalf("%d of %d lines arrived; first missing: %v, %v; the agent's log ends:\n%s", sum, n,
				checker.Missing("w0", linesPerWriter, 10), checker.Missing("w1", linesPerWriter, 10), end(w.logs.Bytes()))
		}
	}
}

// awaitRotations lets each writer fill and rotate a file while no agent runs, n files in all.
func (w *killWorld) awaitRotations(n int64) {
	w.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	w.extra.Add(longestFile)
	for goal, deadline := w.rotations.Load()+n, time.Now().Add(patience); w.rotations.Load() < goal; <-ticker.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("%d rotations are done, not %d", w.rotations.Load(), goal)
		}
	}
}

func end(log []byte) []byte { return log[max(0, len(log)-8000):] }

// awaitWriter waits for a writer while the others may go on.
func (w *killWorld) awaitWriter(done <-chan error) {
	w.t.Helper()
	for {
		select {
		case err := <-done:
			if err != nil {
				w.t.Fatal(err)
			}
			return
		default:
			w.await(w.delivered.Load())
		}
	}
}

func (w *killWorld) readAll() *lines.Checker {
	w.t.Helper()
	checker := lines.NewChecker()
	for partition := range int32(2) {
		_, end, err := w.client.Offsets(w.t.Context(), w.topic, partition)
		if err != nil {
			w.t.Fatal(err)
		}
		fetcher := kafka.NewFetcher(w.client, w.topic, partition, logr.Discard())
		defer fetcher.Close()
		for offset := int64(0); offset < end; {
			fetched, err := fetcher.Fetch(w.t.Context(), offset, 4<<20)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, r := range fetched.Records {
				checker.Add(r.Value)
			}
			offset = fetched.Next
		}
	}
	return checker
}

var sentAgain = regexp.MustCompile(`msg="Sent again what was pending" batches=(\d+)`)

// recovered returns how many batches were sent again, and by how many starts of the agent.
func (w *killWorld) recovered() (batches, starts int) {
	w.t.Helper()
	for _, match := range sentAgain.FindAllSubmatch(w.logs.Bytes(), -1) {
		n, err := strconv.Atoi(string(match[1]))
		if err != nil {
			w.t.Fatal(err)
		}
		batches, starts = batches+n, starts+1
	}
	return batches, starts
}

// writer writes numbered lines into a log and rotates it.
type writer struct {
	world   *killWorld
	name    string
	file    string
	perFile int
	rotate  func(live string, n int) error
	began   time.Time
}

func (w *writer) run(ctx context.Context) error {
	source := lines.NewSource(w.name, 0)
	w.began = time.Unix(1_800_000_000, 0)
	for n := 0; source.Count() < linesPerWriter; n++ {
		if err := w.fill(ctx, source); err != nil {
			return err
		}
		if source.Count() == linesPerWriter {
			return nil
		}
		if err := w.rotate(w.world.path(w.file), n); err != nil {
			return fmt.Errorf("rotate %s: %w", w.file, err)
		}
		w.world.rotations.Add(1)
	}
	return nil
}

// fill writes one file in pieces that end anywhere in a line.
func (w *writer) fill(ctx context.Context, source *lines.Source) error {
	f, err := os.OpenFile(w.world.path(w.file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var buf []byte
	for range min(w.perFile, linesPerWriter-int(source.Count())) {
		buf = append(buf, source.Next(w.began)...)
		if len(buf) > 5000 {
			if err := w.wait(ctx, source); err != nil {
				return err
			}
			if _, err := f.Write(buf[:5000]); err != nil {
				return err
			}
			buf = append(buf[:0], buf[5000:]...)
		}
	}
	if _, err := f.Write(buf); err != nil {
		return err
	}
	return f.Close()
}

// wait holds the writer while it is too far ahead of Kafka.
func (w *writer) wait(ctx context.Context, source *lines.Source) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for int64(source.Count())*2 > w.world.delivered.Load()+2*(linesAhead+w.world.extra.Load()) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// shift renames as logrotate does: x.2.gz to x.3.gz, x.1.gz to x.2.gz, x to x.1, and compresses that.
func shift(live string, n int) error {
	for i := n; i > 0; i-- {
		from, to := fmt.Sprintf("%s.%d.gz", live, i), fmt.Sprintf("%s.%d.gz", live, i+1)
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	return renameAndCompress(live, live+".1")
}

// date renames as logrotate does with dateext.
func date(live string, n int) error {
	return renameAndCompress(live, fmt.Sprintf("%s-20261123-%06d", live, n))
}

func renameAndCompress(live, rotated string) error {
	if err := os.Rename(live, rotated); err != nil {
		return err
	}
	if output, err := exec.Command("gzip", rotated).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
