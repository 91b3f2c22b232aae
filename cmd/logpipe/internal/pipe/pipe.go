// Package pipe runs LogSources, Topics and HDFSSinks in one process, without Kubernetes.
package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/cmd/logpipe/internal/manifest"
	"github.com/logpipe/logpipe/controllers/desired"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/pause"
	"github.com/logpipe/logpipe/sink"
)

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
	// topicTimeout bounds one attempt to bring a topic about.
	topicTimeout = 30 * time.Second
)

// Options say how a pipe is run.
type Options struct {
	// Dir holds what must survive restarts: the agents' journals, and for an embedded pipe the broker's data and the
	// files. It is made if it is not there.
	Dir string
	// Embedded brings a broker, and uses Dir in place of HDFS.
	Embedded bool
	// Node is this machine.
	Node agent.Node
	// Progress is how often a line per LogSource and HDFSSink is written to Out.
	Progress time.Duration
	Out      io.Writer
	Log      logr.Logger
}

// Run runs the resources of set, which was loaded without problems, until ctx is done. What fails is tried again, and
// does not stop the others. The error is about what can't start at all, or did not end in good order.
func Run(ctx context.Context, set *manifest.Set, o Options) (err error) {
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("find directory: %w", err)
	}
	locked, err := lock(o.Dir)
	if err != nil {
		return err
	}
	defer locked.Close()
	if o.Embedded {
		broker, err := startBroker(o.Dir)
		if err != nil {
			return err
		}
		defer broker.Close()
		set = embed(set, broker.ListenAddrs(), filepath.Join(o.Dir, "files"), o.Log)
	}
	if err := checkRunnable(set); err != nil {
		return err
	}
	secrets, err := writeSecrets(set, o.Dir)
	if err != nil {
		return err
	}
	defer secrets.remove(o.Log)
	p := &pipe{set: set, o: o, secrets: secrets, topics: map[*v1alpha1.Topic]chan struct{}{}}
	return p.run(ctx)
}

// pipe is what runs.
type pipe struct {
	set     *manifest.Set
	o       Options
	secrets *secretFiles
	// topics are closed when the topic is as it should be.
	topics map[*v1alpha1.Topic]chan struct{}

	mu       sync.Mutex
	errs     []error
	programs []*program
}

// program is a running LogSource or HDFSSink.
type program struct {
	name  string
	topic *v1alpha1.Topic
	// run runs it once, until it fails or the context is done.
	run func(context.Context, *program) error
	// describe tells how far it is. It is nil before the program has started.
	describe func() string
}

func (p *pipe) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, topic := range p.set.Topics {
		p.topics[topic] = make(chan struct{})
		wg.Go(func() { p.ensure(ctx, topic) })
	}
	p.programs = p.newPrograms()
	for _, at := range p.programs {
		wg.Go(func() {
			select {
			case <-p.topics[at.topic]:
				p.supervise(ctx, at)
			case <-ctx.Done():
			}
		})
	}
	wg.Go(func() { p.tell(ctx) })
	wg.Wait()
	p.tellOnce(time.Now())
	return errors.Join(p.errs...)
}

func (p *pipe) newPrograms() []*program {
	var programs []*program
	for _, source := range p.set.Sources {
		programs = append(programs, &program{
			name:  v1alpha1.KindLogSource + "/" + source.Name,
			topic: p.set.Topic(source.Namespace, source.Spec.TopicRef.Name),
			run:   func(ctx context.Context, at *program) error { return p.runAgent(ctx, source, at) },
		})
	}
	for _, s := range p.set.Sinks {
		programs = append(programs, &program{
			name:  v1alpha1.KindHDFSSink + "/" + s.Name,
			topic: p.set.Topic(s.Namespace, s.Spec.TopicRef.Name),
			run:   func(ctx context.Context, at *program) error { return p.runSink(ctx, s, at) },
		})
	}
	return programs
}

// supervise keeps a program running. Only an end that was asked for is reported.
func (p *pipe) supervise(ctx context.Context, at *program) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		began := time.Now()
		err := at.run(ctx, at)
		if ctx.Err() != nil {
			if err != nil {
				p.fail(fmt.Errorf("stop %s: %w", at.name, err))
			}
			return
		}
		if time.Since(began) > lastRetry {
			wait = firstRetry
		}
		p.o.Log.Error(err, "Failed, trying again; the others go on", "program", at.name, "after", wait.String())
		if !pause.For(ctx, wait) {
			return
		}
	}
}

func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
}

func (p *pipe) runAgent(ctx context.Context, source *v1alpha1.LogSource, at *program) error {
	cfg := desired.AgentConfig(source, at.topic, desired.AgentOptions{
		StateDir:   filepath.Join(p.o.Dir, "agents", source.Namespace, source.Name),
		SecretsDir: p.secrets.secretsDir(source.Namespace),
		Node:       p.o.Node,
	})
	a, err := agent.New(ctx, cfg, p.o.Log.WithValues("LogSource", cfg.Name))
	if err != nil {
		return err
	}
	p.describe(at, func() string { return describeAgent(a.Stats()) })
	return a.Run(ctx)
}

func (p *pipe) runSink(ctx context.Context, s *v1alpha1.HDFSSink, at *program) error {
	cfg := desired.SinkConfig(s, at.topic, desired.SinkOptions{
		SecretsDir:    p.secrets.secretsDir(s.Namespace),
		ConfigMapsDir: p.secrets.configMapsDir(s.Namespace),
	})
	running, err := sink.New(cfg, p.o.Log.WithValues("HDFSSink", cfg.Name))
	if err != nil {
		return err
	}
	p.describe(at, func() string { return describeSink(running.Stats()) })
	return running.Run(ctx)
}

func (p *pipe) describe(at *program, describe func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at.describe = describe
}

// ensure brings a topic about. Kafka may come later.
func (p *pipe) ensure(ctx context.Context, topic *v1alpha1.Topic) {
	log := p.o.Log.WithValues("Topic", topic.Namespace+"/"+topic.Name)
	for wait := firstRetry; ; wait = min(2*wait, lastRetry/2) {
		status, err := p.tryEnsure(ctx, topic)
		if err == nil {
			log.Info("Topic is ready", "topic", topic.NameInKafka(), "partitions", status.Partitions,
				"created", status.Created, "grown", status.Grown)
			close(p.topics[topic])
			return
		}
		if ctx.Err() != nil {
			return
		}
		log.Error(err, "Waiting for the topic, trying again", "after", wait.String())
		if !pause.For(ctx, wait) {
			return
		}
	}
}

func (p *pipe) tryEnsure(ctx context.Context, topic *v1alpha1.Topic) (kafka.TopicStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	cfg := desired.KafkaConfig(&topic.Spec.Kafka, p.secrets.secretsDir(topic.Namespace))
	client, err := kafka.Connect(ctx, cfg, p.o.Log)
	if err != nil {
		return kafka.TopicStatus{}, err
	}
	defer client.Close()
	return client.EnsureTopic(ctx, desired.TopicSpec(topic))
}
