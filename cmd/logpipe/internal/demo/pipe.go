package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

// rollInterval keeps the demo short: files are closed this soon although they are small.
const rollInterval = 2 * time.Second

// pipe is the running demo.
type pipe struct {
	o       *Options
	topic   string
	kafka   kafka.Config
	broker  *kfake.Cluster
	client  sarama.Client
	admin   sarama.ClusterAdmin
	writers []*writer
	agents  []*process
	sinks   []*process
}

// newPipe brings the topic, the agents and the sinks up.
func newPipe(ctx context.Context, o *Options) (_ *pipe, err error) {
	p := &pipe{o: o, topic: "logpipe-demo-" + strconv.FormatInt(time.Now().UnixMilli(), 36)}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	if err := p.newWriters(); err != nil {
		return nil, err
	}
	for range o.Sinks {
		if err := p.startSink(); err != nil {
			return nil, err
		}
	}
	for i := range p.writers {
		if err := p.startAgent(i); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// connect starts the broker if there is none, creates the topic and connects to watch it.
func (p *pipe) connect(ctx context.Context) error {
	brokers := p.o.Kafka
	if len(brokers) == 0 {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			return fmt.Errorf("start the embedded broker: %w", err)
		}
		p.broker, brokers = cluster, cluster.ListenAddrs()
	}
	p.kafka = kafka.Config{BootstrapServers: brokers, ClientID: "logpipe-demo"}
	p.kafka.Default()
	if err := p.createTopic(ctx); err != nil {
		return err
	}
	config, err := p.kafka.Sarama()
	if err != nil {
		return fmt.Errorf("configure Kafka: %w", err)
	}
	if p.client, err = sarama.NewClient(brokers, config); err != nil {
		return fmt.Errorf("connect to Kafka at %v: %w", brokers, err)
	}
	if err := p.client.RefreshMetadata(p.topic); err != nil {
		return fmt.Errorf("look at topic %s: %w", p.topic, err)
	}
	if p.admin, err = sarama.NewClusterAdminFromClient(p.client); err != nil {
		return fmt.Errorf("open Kafka's admin interface: %w", err)
	}
	return nil
}

// createTopic makes the topic as a careful operator would: three replicas, of which two must have a record.
func (p *pipe) createTopic(ctx context.Context) error {
	client, err := kafka.Connect(ctx, p.kafka, p.o.Log)
	if err != nil {
		return err
	}
	defer client.Close()
	spec := kafka.TopicSpec{Name: p.topic, Partitions: p.o.Partitions, ReplicationFactor: 1}
	if len(p.kafka.BootstrapServers) >= 3 {
		spec.ReplicationFactor = 3
		spec.Config = map[string]string{"min.insync.replicas": "2"}
	}
	if _, err := client.EnsureTopic(ctx, spec); err != nil {
		return fmt.Errorf("create topic %s: %w", p.topic, err)
	}
	return nil
}

// keys are the partition keys of the agents in turn.
var keys = []agent.PartitionKey{
	{Type: agent.KeySubnet},
	{Type: agent.KeyNodeLabel, Label: "topology.kubernetes.io/zone"},
	{Type: agent.KeyNode},
}

func (p *pipe) startAgent(i int) error {
	name := fmt.Sprintf("agent-%d", i)
	cfg := agent.Config{
		Name:     "demo/" + name,
		StateDir: filepath.Join(p.o.Dir, "state", name),
		Topic:    p.topic,
		Kafka:    p.kafka,
		Inputs: []agent.Input{{Files: &agent.FilesInput{
			Include: []string{filepath.Join(p.writers[i].dir, "app.log*")},
			Exclude: []string{filepath.Join(p.writers[i].dir, "*.tmp")},
		}}},
		PartitionKey: keys[i%len(keys)],
		Node: agent.Node{
			Name:   fmt.Sprintf("node-%d", i),
			IP:     fmt.Sprintf("10.0.%d.17", i),
			Labels: map[string]string{"topology.kubernetes.io/zone": fmt.Sprintf("zone-%c", 'a'+i)},
		},
	}
	child, err := start(p.o.Dir, "agent", name, cfg)
	if err != nil {
		return err
	}
	p.agents = append(p.agents, child)
	return nil
}

func (p *pipe) startSink() error {
	cfg := sink.Config{
		Name:          "demo/sink",
		Topic:         p.topic,
		Kafka:         p.kafka,
		ConsumerGroup: p.topic,
		Store:         p.storeConfig(),
		File:          format.Config{Format: format.Text},
		Roll:          sink.Roll{Interval: conf.Duration(rollInterval)},
	}
	child, err := start(p.o.Dir, "sink", fmt.Sprintf("sink-%d", len(p.sinks)), cfg)
	if err != nil {
		return err
	}
	p.sinks = append(p.sinks, child)
	return nil
}

func (p *pipe) storeConfig() store.Config {
	if p.o.HDFS != "" {
		return store.Config{URL: p.o.HDFS}
	}
	return store.Config{URL: "file://" + filepath.Join(p.o.Dir, "files")}
}

// progress asks the writers, the brokers and the consumer group how far they are. The group's offsets follow the files.
func (p *pipe) progress() (progress, error) {
	var out progress
	for _, child := range append(p.agents, p.sinks...) {
		if err := child.exited(); err != nil {
			return out, err
		}
	}
	for _, w := range p.writers {
		out.Written += w.written.Load()
	}
	for partition := range p.o.Partitions {
		end, err := p.client.GetOffset(p.topic, partition, sarama.OffsetNewest)
		if err != nil {
			continue // a broker that restarts: the next look will tell
		}
		out.InKafka += uint64(end)
	}
	if offsets, err := p.admin.ListConsumerGroupOffsets(p.topic, nil); err == nil {
		for _, block := range offsets.Blocks[p.topic] {
			out.Committed += uint64(max(block.Offset, 0))
		}
	}
	return out, nil
}

// stop ends agents and sinks and returns what they took.
func (p *pipe) stop() (agents, sinks []Usage, err error) {
	agents, err = stopAll(p.agents)
	sinks, errSinks := stopAll(p.sinks)
	p.agents, p.sinks = nil, nil
	return agents, sinks, errors.Join(err, errSinks)
}

func stopAll(processes []*process) ([]Usage, error) {
	var usages []Usage
	var errs []error
	for _, child := range processes {
		usage, err := child.stop()
		usages, errs = append(usages, usage), append(errs, err)
	}
	return usages, errors.Join(errs...)
}

// gib is the size of all lines written.
func (p *pipe) gib() float64 {
	var bytes int64
	for _, w := range p.writers {
		bytes += w.bytes.Load()
	}
	return float64(bytes) / (1 << 30)
}

// close ends whatever still runs.
func (p *pipe) close() {
	for _, child := range append(p.agents, p.sinks...) {
		_ = child.cmd.Process.Signal(os.Kill)
		_ = child.wait()
	}
	if p.admin != nil {
		_ = p.admin.Close()
	}
	if p.broker != nil {
		p.broker.Close()
	}
}
