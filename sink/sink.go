package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/internal/pause"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

const (
	// stopTimeout bounds the end of a sink: Kubernetes kills it after 30 s. Nothing is lost or doubled if it is killed.
	stopTimeout = 25 * time.Second
	// stuckAfter is how long one step of a partition may take. All calls have time limits that end far below.
	stuckAfter = 10 * time.Minute
)

// Sink reads a topic as a member of a consumer group and writes what it reads into files.
type Sink struct {
	cfg     Config
	log     logr.Logger
	metrics *metrics

	mu         sync.Mutex           // guards the following
	partitions map[int32]*partition // claimed now
	problem    string               // why no partition can be claimed
	fatal      error                // why the sink can't go on
}

// Run runs a sink until ctx ends. It returns nil when all partitions were given up in good order.
func Run(ctx context.Context, cfg Config, log logr.Logger) error {
	s, err := New(cfg, log)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// New returns a sink that does nothing yet. It fills in the defaults of cfg and refuses one that can't be used.
func New(cfg Config, log logr.Logger) (*Sink, error) {
	cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	s := &Sink{cfg: cfg, log: log, partitions: map[int32]*partition{}, problem: "starting"}
	s.metrics = newMetrics(s.Stats)
	return s, nil
}

// Run reads and writes until ctx ends; see the function Run. It is called once.
func (s *Sink) Run(ctx context.Context) error {
	stop, err := s.serve()
	if err != nil {
		return err
	}
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.pipe(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(stopTimeout):
		return fmt.Errorf("stop: partitions did not end within %s; what they had not committed is read again", stopTimeout)
	}
}

// pipe connects to both ends and works until ctx ends.
func (s *Sink) pipe(ctx context.Context) error {
	path, err := format.ParsePath(s.cfg.Path, s.cfg.TimeZone)
	if err != nil {
		return fmt.Errorf("parse path: %w", err)
	}
	var files store.Store
	if !s.retry(ctx, "open store", func() (err error) {
		files, err = store.Open(ctx, s.cfg.Store)
		return err
	}) {
		return nil
	}
	defer s.close("store", files.Close)
	var group *group
	if !s.retry(ctx, "connect to Kafka", func() (err error) {
		group, err = connect(ctx, &s.cfg, s.log)
		return err
	}) {
		return nil
	}
	defer s.close("consumer group", group.close)
	group.tools = &tools{
		cfg: &s.cfg, files: files, path: path, metrics: s.metrics, outside: realOutside(),
		slots: make(chan struct{}, s.cfg.MaxFetchesInFlight),
		open:  func(partition int32) source { return newReader(group.client, &s.cfg, partition, s.log) },
	}
	return s.member(ctx, group)
}

// member takes part in the group until ctx ends.
func (s *Sink) member(ctx context.Context, group *group) error {
	for ctx.Err() == nil {
		var fatal error
		s.retry(ctx, "join consumer group", func() error {
			err := group.consume(ctx, s)
			if errors.Is(err, errGroupClosed) {
				fatal = err
				return nil
			}
			return err
		})
		if fatal != nil && ctx.Err() == nil {
			s.setFatal(fatal)
			return fatal
		}
	}
	return nil
}

// retry calls do until it succeeds, with growing pauses, and says what the trouble is. It returns false if ctx ended
// first.
func (s *Sink) retry(ctx context.Context, what string, do func() error) bool {
	for wait := minBackoff; ctx.Err() == nil; wait = min(2*wait, maxBackoff) {
		err := do()
		if err == nil {
			return true
		}
		if ctx.Err() == nil && s.setProblem(fmt.Sprintf("%s: %v", what, err)) {
			s.log.Error(err, "Waiting to "+what)
		}
		pause.For(ctx, wait)
	}
	return false
}

func (s *Sink) close(what string, do func() error) {
	if err := do(); err != nil {
		s.log.V(1).Info("Closed with an error", "what", what, "reason", err.Error())
	}
}

// setProblem returns whether the problem is a new one.
func (s *Sink) setProblem(problem string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.problem != problem
	s.problem = problem
	return changed
}

func (s *Sink) setFatal(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fatal = err
}

func (s *Sink) claimed(p *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions[p.at.partition] = p
}

func (s *Sink) released(p *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.partitions, p.at.partition)
}

// Stats returns what the sink has done and where it is. It may be called at any time.
func (s *Sink) Stats() Stats {
	out := s.metrics.stats()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Problem = s.problem
	partitions := make([]PartitionStats, 0, len(s.partitions))
	for _, p := range s.partitions {
		partitions = append(partitions, p.state.snapshot(now))
	}
	out.sum(partitions)
	return out
}

// health returns why the process should be started again, or nil.
func (s *Sink) health() error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal != nil {
		return s.fatal
	}
	for number, p := range s.partitions {
		if took := now.Sub(p.state.lastStep()); took > stuckAfter {
			return fmt.Errorf("partition %d is stuck for %s", number, took.Round(time.Second))
		}
	}
	return nil
}
