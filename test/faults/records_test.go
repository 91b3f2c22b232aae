package faults

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// rollRecords is how many records a roll has.
	rollRecords = 100
	// produced is how many records are added before a life: enough for five rolls, more than the commits that are kept.
	produced = 5 * rollRecords
)

// records are a topic of one partition, with two keys, that a sink writes into HDFS: a roll has a file for each key.
type records struct {
	*testing.T
	sink     *program
	cfg      sink.Config
	files    store.Store
	producer sarama.SyncProducer
	sources  [writers]*lines.Source
	last     *sarama.ProducerMessage
	end      int64
}

func newRecords(t *testing.T, brokers *servers.KafkaCluster, hdfs *servers.HDFSCluster) *records {
	name := servers.UniqueName(t)
	w := &records{T: t, sink: newProgram(t, "sink")}
	w.cfg = sink.Config{Name: "test/" + name, Topic: name, Path: "{topic}/key={key}",
		Kafka: kafka.Config{BootstrapServers: brokers.Bootstrap}}
	w.cfg.Store.URL, w.cfg.Store.User = hdfs.URI("/"+name), hdfs.User
	w.cfg.Roll = sink.Roll{MaxRecords: rollRecords, Interval: conf.Duration(500 * time.Millisecond)}
	w.cfg.Default()
	client := connect(t, w.cfg.Kafka)
	_, err := client.EnsureTopic(t.Context(), kafka.TopicSpec{Name: name, Partitions: 1, ReplicationFactor: 1})
	w.sink.check(err)
	settings, err := w.cfg.Kafka.Sarama()
	w.sink.check(err)
	settings.Producer.Return.Successes = true
	w.producer, err = sarama.NewSyncProducer(brokers.Bootstrap, settings)
	w.sink.check(err)
	t.Cleanup(func() { _ = w.producer.Close() })
	w.files, err = store.Open(t.Context(), w.cfg.Store)
	w.sink.check(err)
	t.Cleanup(func() { _ = w.files.Close() })
	for i := range writers {
		w.sources[i] = lines.NewSource(writerName(i), uint64(i))
	}
	return w
}

// next makes a writer's next record.
func (w *records) next(writer int) *sarama.ProducerMessage {
	line := w.sources[writer].Next(time.Unix(1_800_000_000, 0))
	return &sarama.ProducerMessage{Topic: w.cfg.Topic, Key: sarama.StringEncoder(writerName(writer)),
		Value: sarama.ByteEncoder(slices.Clone(line[:len(line)-1]))}
}

func (w *records) produce() {
	w.Helper()
	var messages []*sarama.ProducerMessage
	for i := range produced {
		messages = append(messages, w.next(i%writers))
	}
	w.send(messages...)
}

func (w *records) send(messages ...*sarama.ProducerMessage) {
	w.Helper()
	copies := make([]*sarama.ProducerMessage, len(messages))
	for i, m := range messages {
		copies[i] = &sarama.ProducerMessage{Topic: m.Topic, Key: m.Key, Value: m.Value}
	}
	w.sink.check(w.producer.SendMessages(copies))
	w.last = messages[len(messages)-1]
	w.end = copies[len(copies)-1].Offset + 1
}

// start starts a sink in a consumer group of its own, so that it need not wait until Kafka has given up the one before:
// the group's offsets are not what a sink goes on from.
func (w *records) start(order string) *life {
	w.Helper()
	cfg := w.cfg
	cfg.ConsumerGroup = fmt.Sprintf("%s-%d", cfg.ConsumerGroup, w.sink.lives)
	w.sink.configure(cfg)
	return w.sink.start(order)
}

// startWorking starts a sink and waits until it has its partition.
func (w *records) startWorking() *life {
	w.Helper()
	life := w.start("")
	life.until("the sink has its partition", func() bool {
		return bytes.Contains(life.read(), []byte("Acquired partition"))
	})
	return life
}

// live lets a sink die at a step.
func (w *records) live(step failpoint.Name, order string) {
	w.Helper()
	w.produce()
	w.start(order).wantDeath(step, func() {})
}

// work lets a sink write all that was produced, and kills it.
func (w *records) work() {
	w.Helper()
	life := w.start("")
	w.awaitVisible(life)
	life.kill()
}

func (w *records) awaitVisible(life *life) {
	w.Helper()
	life.until("all records are visible", func() bool {
		names := w.visible()
		count := map[string]int64{} // last offset + 1 by directory
		for _, name := range names {
			count[path.Dir(name)] = max(count[path.Dir(name)], lastOffset(w.T, name)+1)
		}
		for _, end := range count {
			if end != w.end {
				return false
			}
		}
		return len(count) == writers
	})
}

// deliver lets a sink write everything, and checks it.
func (w *records) deliver() {
	w.Helper()
	w.produce()
	w.work()
	if verdict := w.verdict(); !verdict.Perfect() {
		w.Fatalf("not exactly once: %s", verdict)
	}
}

var offsets = regexp.MustCompile(`-(\d{20})-(\d{20})\.`)

func lastOffset(t *testing.T, name string) int64 {
	t.Helper()
	match := offsets.FindStringSubmatch(path.Base(name))
	if match == nil {
		t.Fatalf("%s is not the name of a data file", name)
	}
	last, err := strconv.ParseInt(match[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func (w *records) visible() []string {
	w.Helper()
	return storetest.Visible(w.T, w.files)
}

// readFile shows the lines of a data file to checker.
func readFile(t *testing.T, files store.Store, name string, checker *lines.Checker) {
	t.Helper()
	file, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(checker.AddAll(file), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// verdict compares all visible records with all that were produced.
func (w *records) verdict() lines.Verdict {
	w.Helper()
	checker, written := lines.NewChecker(), map[string]uint64{}
	for _, name := range w.visible() {
		readFile(w.T, w.files, name, checker)
	}
	for i, source := range w.sources {
		written[writerName(i)] = source.Count()
	}
	return checker.Verdict(written)
}
