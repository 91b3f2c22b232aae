package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/sink/store"
	"github.com/logpipe/logpipe/sink/store/storetest"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// failoverCallTimeout bounds how long a sink waits for a server that hangs. It is the least that is advised.
	failoverCallTimeout = 10 * time.Second
	// failoverReplicas leave one DataNode of three for a block while another one is dead. With as many replicas as
	// DataNodes, HDFS goes on choosing the one that died until it counts as dead.
	failoverReplicas = 2
)

// failovers are two sinks that write a topic of two partitions into a highly available HDFS.
type failovers struct {
	*testing.T
	hdfs     *servers.HAHDFSCluster
	random   *rand.Rand
	topic    string
	sinks    [writers]process
	files    store.Store
	producer sarama.SyncProducer
	sources  [writers]*lines.Source
	stop     context.CancelFunc
	writing  sync.WaitGroup
	commits  *commits
	pauses   pauses
}

func newFailovers(t *testing.T, brokers *servers.KafkaCluster, hdfs *servers.HAHDFSCluster) *failovers {
	s := seed(t)
	f := &failovers{
		T: t, hdfs: hdfs, random: rand.New(rand.NewPCG(s, 0)), topic: servers.UniqueName(t),
		commits: &commits{T: t}, pauses: pauses{},
	}
	cfg := sink.Config{Name: "test/" + f.topic, Topic: f.topic, Path: "{topic}/p={partition}",
		Kafka: kafka.Config{BootstrapServers: brokers.Bootstrap}}
	cfg.Store.URL, cfg.Store.User = hdfs.URI("/"+f.topic), hdfs.User
	cfg.Store.Replication = failoverReplicas
	cfg.Store.CallTimeout = conf.Duration(failoverCallTimeout)
	cfg.Roll = sink.Roll{MaxRecords: 20_000, Interval: conf.Duration(500 * time.Millisecond)}
	cfg.Default()
	f.connect(cfg.Kafka)
	for i := range f.sinks {
		f.sources[i] = lines.NewSource(writerName(i), s+uint64(i))
		f.sinks[i].program = newProgram(t, "sink")
		f.sinks[i].program.configure(f.withNameNodes(cfg, i))
	}
	var err error
	f.files, err = store.Open(t.Context(), f.withNameNodes(cfg, 0).Store)
	f.check(err)
	t.Cleanup(func() { _ = f.files.Close() })
	return f
}

// connect makes the topic and a producer for it.
func (f *failovers) connect(cfg kafka.Config) {
	f.Helper()
	_, err := connect(f.T, cfg).EnsureTopic(f.Context(), kafka.TopicSpec{
		Name: f.topic, Partitions: writers, ReplicationFactor: 1,
	})
	f.check(err)
	settings, err := cfg.Sarama()
	f.check(err)
	settings.Producer.Return.Successes = true
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	// So that what is repeated on a slow machine is not twice in Kafka.
	settings.Producer.Idempotent, settings.Producer.RequiredAcks = true, sarama.WaitForAll
	settings.Net.MaxOpenRequests = 1
	f.producer, err = sarama.NewSyncProducer(cfg.BootstrapServers, settings)
	f.check(err)
	f.Cleanup(func() { _ = f.producer.Close() })
}

// withNameNodes names the NameNodes in either way that there is.
func (f *failovers) withNameNodes(cfg sink.Config, way int) sink.Config {
	if way == 0 {
		cfg.Store.NameNodes = f.hdfs.NameNodes
	} else {
		cfg.Store.HadoopConfDir = f.hdfs.Conf
	}
	return cfg
}

func (f *failovers) check(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// start starts the sinks and the writers, and waits until all partitions are written.
func (f *failovers) start() {
	f.Helper()
	for i := range f.sinks {
		f.sinks[i].start()
		f.commits.follow(f.sinks[i].life.log)
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(f.Context())
	f.Cleanup(f.writing.Wait)
	f.Cleanup(f.stop)
	for i, source := range f.sources {
		random := rand.New(rand.NewPCG(f.random.Uint64(), 0))
		f.writing.Go(func() { f.write(ctx, source, int32(i), random) })
	}
	f.awaitCommits(time.Now())
}

// write writes lines to a partition until ctx is done.
func (f *failovers) write(ctx context.Context, source *lines.Source, partition int32, random *rand.Rand) {
	for sleep(ctx, random, 20*time.Millisecond) {
		var messages []*sarama.ProducerMessage
		for range 1 + random.IntN(30) {
			line := source.Next(time.Unix(1_800_000_000, 0))
			messages = append(messages, &sarama.ProducerMessage{Topic: f.topic, Partition: partition,
				Value: sarama.ByteEncoder(slices.Clone(line[:len(line)-1]))})
		}
		if err := f.producer.SendMessages(messages); err != nil {
			f.Errorf("produce: %v", err)
			return
		}
	}
}

// fault does something to HDFS, waits until it is written again, and notes how long nothing new came.
func (f *failovers) fault(kind string, do func()) {
	f.Helper()
	from := time.Now()
	do()
	to := f.awaitCommits(time.Now())
	pause := f.commits.pause(from, to)
	f.Logf("%s: %.1f s", kind, pause.Seconds())
	f.pauses[kind] = append(f.pauses[kind], pause)
}

// awaitCommits waits until each partition was committed twice after a moment: the second time with a roll that was
// begun after it. It returns when that was.
func (f *failovers) awaitCommits(after time.Time) time.Time {
	f.Helper()
	f.await("two commits in each partition", func() bool {
		f.commits.read()
		for i := range writers {
			if f.commits.after(i, after) < 2 {
				return false
			}
		}
		return true
	})
	return time.Now()
}

func (f *failovers) await(what string, so func() bool) {
	f.Helper()
	for deadline := time.Now().Add(healing); !so(); time.Sleep(20 * time.Millisecond) {
		for i := range f.sinks {
			f.sinks[i].mustLive()
		}
		if time.Now().Before(deadline) && !f.Failed() {
			continue
		}
		for i := range f.sinks {
			f.Logf("the log of sink %d ends:\n%s", i, f.sinks[i].life.tail())
		}
		f.Fatalf("waited for %s", what)
	}
}

// finish ends the writers, waits until all that they wrote is visible, and kills the sinks.
func (f *failovers) finish() {
	f.Helper()
	f.stop()
	f.writing.Wait()
	f.await("all lines to be visible", func() bool {
		ends := map[string]uint64{}
		for _, name := range storetest.Visible(f.T, f.files) {
			ends[path.Dir(name)] = max(ends[path.Dir(name)], uint64(lastOffset(f.T, name)+1))
		}
		for i, source := range f.sources {
			if ends[fmt.Sprintf("%s/p=%d", f.topic, i)] != source.Count() {
				return false
			}
		}
		return true
	})
	for i := range f.sinks {
		f.sinks[i].kill()
	}
}

func (f *failovers) verdict() lines.Verdict {
	f.Helper()
	checker, written := lines.NewChecker(), map[string]uint64{}
	for _, name := range storetest.Visible(f.T, f.files) {
		readFile(f.T, f.files, name, checker)
	}
	for i, source := range f.sources {
		written[writerName(i)] = source.Count()
	}
	return checker.Verdict(written)
}
