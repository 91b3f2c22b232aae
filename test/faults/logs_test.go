package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// writers each have a log and a partition.
	writers = 2
	// share is how many lines a writer adds before a life, and again during it: some 20 batches each.
	share = 1500
	// smallShare fills the journal beyond the size at which it is rewritten, with a batch for each line.
	smallShare = 3000
	// dropped begins the lines that the agent drops.
	dropped = "debug "
)

// logs are two logs that an agent follows into a topic of two partitions.
type logs struct {
	*testing.T
	agent   *program
	cfg     agent.Config
	topic   string
	client  *kafka.Client
	share   int
	sources [writers]*lines.Source
	// switched is true when lives have delivered in different ways.
	switched bool
	// extra counts lines that a control wrote twice, or did not write.
	extra   [writers]int64
	last    []byte
	rotated []rotated // and still there
	// rotations counts all of them, so that no name comes twice.
	rotations int
}

// rotated is a compressed log: it may be deleted when Kafka has all lines up to its last one.
type rotated struct {
	name   string
	writer int
	upTo   int64
}

func newLogs(t *testing.T, brokers []string, small bool) *logs {
	w := &logs{T: t, agent: newProgram(t, "agent"), topic: servers.UniqueName(t), share: share}
	cfg := agent.Config{
		Name: "test/faults", StateDir: filepath.Join(w.agent.dir, "state"), Topic: w.topic,
		Kafka: kafka.Config{BootstrapServers: brokers}, Node: agent.Node{Name: "n"},
		Decode: decode.Config{Format: decode.FormatRaw, MaxRecordBytes: 4 << 10,
			Filters: []decode.Filter{{Drop: &decode.Drop{Match: "^" + dropped}}}},
		Batch:        agent.Batch{MaxBytes: 16 << 10, Interval: conf.Duration(5 * time.Millisecond)},
		PartitionKey: agent.PartitionKey{Type: agent.KeyFile}, Assignment: map[string][]int32{},
		ScanInterval: conf.Duration(100 * time.Millisecond),
	}
	if small {
		cfg.Batch.MaxRecords, w.share = 1, smallShare
	}
	files := &agent.FilesInput{}
	for i := range writers {
		w.sources[i] = lines.NewSource(writerName(i), uint64(i))
		files.Include = append(files.Include, w.path(i)+"*") // those too that are rotated before an agent has seen them
		cfg.Assignment[w.path(i)] = []int32{int32(i)}
	}
	cfg.Inputs = []agent.Input{{Files: files}}
	w.cfg = cfg
	w.agent.configure(cfg)
	w.client = connect(t, cfg.Kafka)
	spec := kafka.TopicSpec{Name: w.topic, Partitions: writers, ReplicationFactor: int16(len(brokers))}
	_, err := w.client.EnsureTopic(t.Context(), spec)
	w.agent.check(err)
	return w
}

func connect(t *testing.T, cfg kafka.Config) *kafka.Client {
	t.Helper()
	client, err := kafka.Connect(t.Context(), cfg, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func writerName(i int) string { return fmt.Sprintf("w%d", i) }

func (w *logs) path(writer int) string {
	return filepath.Join(w.agent.dir, writerName(writer)+".log")
}

// next makes a writer's next line.
func (w *logs) next(writer int) []byte { return w.sources[writer].Next(time.Unix(1_800_000_000, 0)) }

func (w *logs) append(writer int, text []byte) {
	w.Helper()
	f, err := os.OpenFile(w.path(writer), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	w.agent.check(err)
	_, err = f.Write(text)
	w.agent.check(err)
	w.agent.check(f.Close())
}

// write appends a share of lines to each log, in pieces that end anywhere in a line, and lines that are dropped.
func (w *logs) write() {
	w.Helper()
	for writer := range writers {
		var text []byte
		for range w.share {
			w.last = append(w.last[:0], w.next(writer)...)
			if text = append(text, w.last...); len(text) > 5000 {
				w.append(writer, text[:5000])
				text = append(text[:0], text[5000:]...)
			}
		}
		w.append(writer, append(text, dropped+"not wanted\n"...))
	}
}

// rotate renames each log, makes a new one and compresses the old one, as logrotate does.
func (w *logs) rotate() {
	w.Helper()
	for writer := range writers {
		live := w.path(writer)
		w.rotations++
		plain := fmt.Sprintf("%s-20261123-%06d", live, w.rotations)
		w.agent.check(os.Rename(live, plain))
		w.append(writer, nil)
		w.agent.check(compress(plain))
		w.rotated = append(w.rotated, rotated{plain + ".gz", writer, int64(w.sources[writer].Count())})
	}
}

// clean deletes the oldest rotated logs of which Kafka has every line.
func (w *logs) clean() {
	w.Helper()
	for len(w.rotated) > writers && w.has(w.rotated[0].writer) >= w.rotated[0].upTo {
		w.agent.check(os.Remove(w.rotated[0].name))
		w.rotated = w.rotated[1:]
	}
}

// live lets an agent die at a step. Lines are written, and logs rotated, before it starts and while it lives.
func (w *logs) live(step failpoint.Name, order string) {
	w.Helper()
	w.write()
	w.rotate()
	w.clean()
	life := w.agent.start(order)
	w.awaitFound(life)
	w.write()
	w.rotate()
	w.write()
	life.wantDeath(step, func() {
		for writer := range writers {
			w.append(writer, []byte(dropped+"still not wanted\n"))
		}
		w.clean()
	})
}

// awaitFound waits until an agent knows the logs, or is dead: one that is renamed before an agent has seen it, at a
// moment when no other has its name yet, is another log to the agent.
func (w *logs) awaitFound(life *life) {
	w.Helper()
	for writer := range writers {
		found := fmt.Appendf(nil, "file=%s offset", w.path(writer))
		for deadline := time.Now().Add(patience); !bytes.Contains(life.read(), found) && !life.isDead(); {
			if time.Now().After(deadline) {
				w.Fatalf("life %d never found %s; its log ends:\n%s", w.agent.lives, w.path(writer), life.tail())
			}
		}
	}
}

// leader returns the broker that leads a writer's partition, and what it knows of producers.
func (w *logs) leader(writer int) (broker int, producers []sarama.ProducerState) {
	w.Helper()
	leader, err := w.client.Sarama().Leader(w.topic, int32(writer))
	w.agent.check(err)
	answer, err := leader.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: w.topic, PartitionIndexes: []int32{int32(writer)}}},
	})
	w.agent.check(err)
	return int(leader.ID()), answer.Topics[0].Partitions[0].ActiveProducers
}

// awaitForgotten waits until the broker, which has no other clients, knows no producer of the topic any more.
func (w *logs) awaitForgotten() {
	w.Helper()
	for deadline := time.Now().Add(patience); ; {
		known := 0
		for writer := range writers {
			_, producers := w.leader(writer)
			known += len(producers)
		}
		if known == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("the broker still knows %d producers", known)
		}
	}
}

// deliver lets an agent work until Kafka has as many lines as were written.
func (w *logs) deliver() {
	w.Helper()
	w.write()
	w.catchUp()
}

// catchUp is deliver without writing more.
func (w *logs) catchUp() {
	w.Helper()
	life := w.agent.start("")
	defer w.explain()
	life.until("all lines are in Kafka", w.delivered)
	life.kill()
}

// delivered tells whether Kafka has as many lines as were written.
func (w *logs) delivered() bool {
	w.Helper()
	for writer := range writers {
		if w.has(writer) < int64(w.sources[writer].Count())+w.extra[writer] {
			return false
		}
	}
	return true
}

// explain tells of a test that failed what is missing in Kafka.
func (w *logs) explain() {
	w.Helper()
	if !w.Failed() {
		return
	}
	checker, _ := w.readAll()
	for writer := range writers {
		name, count := writerName(writer), w.sources[writer].Count()
		w.Logf("%s: wrote %d, Kafka has %d, first missing %v", name, count, w.end(writer), checker.Missing(name, count, 3))
	}
}

// has is how many of a writer's lines Kafka has.
func (w *logs) has(writer int) int64 {
	w.Helper()
	if w.cfg.Delivery == agent.AtLeastOnce || w.switched {
		return int64(newest(w.T, w.client, w.topic, int32(writer))) // some of them more than once
	}
	return w.end(writer)
}

// deliverAs lets the lives to come deliver in another way.
func (w *logs) deliverAs(delivery agent.Delivery) {
	w.Helper()
	w.switched = w.switched || delivery != w.cfg.Delivery && w.agent.lives > 0
	w.cfg.Delivery = delivery
	w.agent.configure(w.cfg)
}

func (w *logs) end(writer int) int64 {
	w.Helper()
	_, end, err := w.client.Offsets(w.Context(), w.topic, int32(writer))
	w.agent.check(err)
	return end
}

// verdict compares what is in Kafka with what was written.
func (w *logs) verdict() lines.Verdict {
	w.Helper()
	checker, written := w.readAll()
	return checker.Verdict(written)
}

func (w *logs) readAll() (checker *lines.Checker, written map[string]uint64) {
	w.Helper()
	checker, written = lines.NewChecker(), map[string]uint64{}
	for writer := range writers {
		written[writerName(writer)] = w.sources[writer].Count()
		readPartition(w.T, w.client, w.topic, int32(writer), checker)
	}
	return checker, written
}

// readPartition shows all records of a partition to checker.
func readPartition(t *testing.T, client *kafka.Client, topic string, partition int32, checker *lines.Checker) {
	t.Helper()
	eachRecord(t, client, topic, partition, func(_ int64, value []byte) { checker.Add(value) })
}

// eachRecord calls each with all records of a partition.
func eachRecord(
	t *testing.T, client *kafka.Client, topic string, partition int32, each func(offset int64, value []byte),
) {
	t.Helper()
	_, end, err := client.Offsets(t.Context(), topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	fetcher := kafka.NewFetcher(client, topic, partition, logr.Discard())
	defer fetcher.Close()
	for offset := int64(0); offset < end; {
		fetched, err := fetcher.Fetch(t.Context(), offset, 4<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range fetched.Records {
			each(r.Offset, r.Value)
		}
		offset = fetched.Next
	}
}
