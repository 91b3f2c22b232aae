package peers

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	ownSink = "logpipe-hdfs"
	// drainKills is how often a peer is killed, each time after it has taken drainPart more records: more than Flume's
	// channel holds.
	drainKills, drainPart = 5, 160_000
)

var records = flag.Int("records", 2_000_000, "how many records are produced for HDFS")

// drained is what became of the records.
type drained struct {
	peer, version string
	// all counts every file, closed only those that the peer has given their final name.
	all, closed lines.Verdict
	// left are the files that never got it.
	left int
}

func TestPeersHDFS(t *testing.T) {
	names := asked(t, true)
	kafka, hdfs := servers.Kafka(t, 1), servers.HDFS(t, 1)
	var results []drained
	for _, name := range names {
		version := install(t, name)
		t.Run(name+"/"+fmt.Sprintf("%d kill -9", drainKills), func(t *testing.T) {
			d := newDrain(t, kafka, hdfs, name)
			d.kill()
			result := d.finish()
			result.version = version
			t.Logf("%s; %d files left, without these: %s", result.all, result.left, result.closed)
			if v := result.all; name == ownSink && v.Lost+v.Duplicated+v.Corrupt+uint64(result.left) > 0 {
				t.Errorf("not exactly once: %s", result.all)
			}
			results = append(results, result)
		})
	}
	fmt.Print(drainTable(results))
}

// drain is a peer that writes a topic to HDFS.
type drain struct {
	*peer
	topic    string
	kafka    sarama.ClusterAdmin
	hdfs     *servers.HDFSCluster
	files    store.Store
	source   *lines.Source
	produced chan error
}

// newDrain starts a peer, and begins to fill the topic.
func newDrain(t *testing.T, kafka *servers.KafkaCluster, cluster *servers.HDFSCluster, name string) *drain {
	d := &drain{peer: newPeer(t, name), topic: servers.UniqueName(t), hdfs: cluster, produced: make(chan error, 1)}
	newTopic(t, kafka.Bootstrap, d.topic)
	var err error
	d.kafka, err = sarama.NewClusterAdmin(kafka.Bootstrap, sarama.NewConfig())
	d.check(err)
	t.Cleanup(func() { _ = d.kafka.Close() })
	d.files, err = store.Open(t.Context(), store.Config{URL: cluster.URI(d.root()), User: cluster.User})
	d.check(err)
	t.Cleanup(func() { _ = d.files.Close() })
	d.source = lines.NewSource(writerName, 1)
	go func() { d.produced <- d.produce(kafka.Bootstrap) }()
	d.start(cluster.URI(d.root()), cluster.Conf, kafka.Bootstrap[0], d.topic)
	return d
}

func (d *drain) root() string { return "/" + d.topic }

// produce fills the topic, at most rate records in a second, each partition with every fourth.
func (d *drain) produce(brokers []string) error {
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Compression = sarama.CompressionLZ4
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(brokers, cfg)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(time.Second / 10)
	defer ticker.Stop()
	for done := 0; done < *records && err == nil; <-ticker.C {
		messages := make([]*sarama.ProducerMessage, min(*rate/10, *records-done))
		for i := range messages {
			line := bytes.Clone(bytes.TrimSuffix(d.source.Next(time.Now()), []byte("\n")))
			messages[i] = &sarama.ProducerMessage{
				Topic: d.topic, Partition: int32((done + i) % partitions), Value: sarama.ByteEncoder(line),
			}
		}
		err = producer.SendMessages(messages)
		done += len(messages)
	}
	return errors.Join(err, producer.Close())
}

// committed is the sum of the offsets of the peer's group: what it says that it needs no more.
func (d *drain) committed() (sum int64) {
	d.Helper()
	var all []int32
	for p := range int32(partitions) {
		all = append(all, p)
	}
	response, err := d.kafka.ListConsumerGroupOffsets(d.topic, map[string][]int32{d.topic: all})
	d.check(err)
	for _, block := range response.Blocks[d.topic] {
		sum += max(block.Offset, 0)
	}
	return sum
}

// kill kills the peer each time it has taken another part of the records; it is started again at once.
func (d *drain) kill() {
	d.Helper()
	for range drainKills {
		before := d.committed()
		d.await("it is time to kill", func() bool { return d.committed() >= before+drainPart })
		d.stop(syscall.SIGKILL)
		d.restart()
	}
	d.check(<-d.produced)
}

// finish waits until all records are taken, stops the peer in good order and reads the files.
func (d *drain) finish() drained {
	d.Helper()
	d.await("all records are taken", func() bool { return d.committed() == int64(*records) })
	for since := time.Now(); time.Since(since) < quiet; { // Flume's channel has some yet
		d.pause()
	}
	d.stop(syscall.SIGTERM)
	all, closed := lines.NewChecker(), lines.NewChecker()
	result := drained{peer: d.name}
	for _, name := range storetest.Visible(d.T, d.files) {
		if strings.HasSuffix(name, ".tmp") { // it is open for ever, and only Hadoop's own client reads all of it
			result.left++
			d.check(all.AddAll(strings.NewReader(d.hdfs.DFS("-cat", path.Join(d.root(), name)))))
			continue
		}
		file, err := d.files.Open(name)
		d.check(err)
		text, err := io.ReadAll(file)
		d.check(errors.Join(err, file.Close()))
		d.check(errors.Join(all.AddAll(bytes.NewReader(text)), closed.AddAll(bytes.NewReader(text))))
	}
	written := map[string]uint64{writerName: d.source.Count()}
	result.all, result.closed = all.Verdict(written), closed.Verdict(written)
	return result
}

// drainTable shows the results as Markdown.
func drainTable(results []drained) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s, %d records, %d kill -9, at most %d/s\n\n", time.Now().Format(time.DateOnly), *records,
		drainKills, *rate)
	out.WriteString("| peer | version | lost | doubled | broken | files left open | lost for readers that skip these |\n" +
		"| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d | %d | %d |\n", r.peer, r.version, r.all.Lost, r.all.Duplicated,
			r.all.Corrupt, r.left, r.closed.Lost)
	}
	return out.String()
}
