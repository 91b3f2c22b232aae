package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/pause"
)

const (
	// drainTimeout is how long an agent that was told to stop waits for acknowledgements. What is not acknowledged then
	// is sent again by the next one.
	drainTimeout = 10 * time.Second
	// housekeeping is how often figures, finished files and dropped lines are brought up to date.
	housekeeping = time.Second
	retryFirst   = 500 * time.Millisecond
	retryMost    = 30 * time.Second
)

// topicInterval is how often the topic is looked at for growth and for having been made anew. Tests make it short.
var topicInterval = 30 * time.Second

// Agent moves the lines of one LogSource. One goroutine owns all of it but the snapshot of its figures.
type Agent struct {
	outside
	cfg     Config
	log     logr.Logger
	metrics *metrics
	origins origins
	plan    *decode.Plan
	keyed   fieldKey

	journal  *journal.Journal
	settings uint32
	client   cluster
	topic    kafka.Topic
	producer producer

	files    *tail.Set
	events   <-chan []tail.Event
	limit    *limiter
	decoded  decode.Stats
	streams  map[journal.FileRef]*stream
	order    []*stream
	open     map[int32]*openBatch
	unsynced []*sealed
	// syncAt is when the journal has to be synced again before a batch is sent, if it may be late. That is at once when a
	// file is new or has another name or beginning: else it might not be found again.
	syncAt   time.Time
	inFlight map[int32]int
	// lanes are the partitions that files lead to, for the share of the buffer that each has.
	lanes map[int32]bool
	pool  batchPool
	// doubt is true when sequences can't be trusted to go on where the journal says.
	doubt bool
	// tooLarge is the one record that ended the last session, because the topic takes none of its size.
	tooLarge *journal.Batch

	entry   entry
	scratch []byte
	scanAt  time.Time
	keepAt  time.Time
	topicAt time.Time

	totals   totals
	snapshot atomic.Pointer[Stats]
	reported map[string]string
}

// totals count since the agent started.
type totals struct {
	readBytes, records, acked, ackedBytes, lostRecords, lostBytes int64
}

// Run reads and sends until ctx is done, then gives what is in flight a moment to be acknowledged and returns nil. It
// returns an error only for what waiting can't mend: a bad configuration or a journal that can't be used.
func Run(ctx context.Context, cfg Config, log logr.Logger) error {
	a, err := New(ctx, cfg, log)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// New opens the journal of an agent. While another agent has the state directory it waits until ctx is done.
func New(ctx context.Context, cfg Config, log logr.Logger) (*Agent, error) {
	return newAgent(ctx, cfg, log, realOutside())
}

func newAgent(ctx context.Context, cfg Config, log logr.Logger, out outside) (*Agent, error) {
	cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("invalid configuration: %w", err)
	}
	plan, err := decode.Compile(cfg.Decode)
	if err != nil {
		return nil, fmt.Errorf("invalid configuration: %w", err)
	}
	a := &Agent{
		outside: out, cfg: cfg, log: log, metrics: newMetrics(), plan: plan, keyed: newFieldKey(cfg.PartitionKey),
		streams: map[journal.FileRef]*stream{}, lanes: map[int32]bool{}, reported: map[string]string{},
		pool: batchPool{limit: journal.MaxPending + 1},
	}
	if r := cfg.RateLimit; r != nil && !r.PerFile {
		a.limit = newLimiter(r)
	}
	a.origins = origins{
		cfg: &a.cfg, now: a.now, nodes: &facts{file: cfg.NodeFactsFile}, pods: &facts{file: cfg.PodFactsFile},
	}
	a.snapshot.Store(&Stats{Problem: "starting"})
	if a.journal, err = journal.Open(ctx, cfg.StateDir); err != nil {
		return nil, err
	}
	return a, nil
}

// Stats returns the agent's figures. It may be called from any goroutine.
func (a *Agent) Stats() Stats { return *a.snapshot.Load() }

// Run runs the agent; see the function Run.
func (a *Agent) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.close()) }()
	stop, err := a.serve()
	if err != nil {
		return err
	}
	defer stop()
	if a.knowNode(ctx) != nil {
		return nil // told to stop
	}
	if err := a.openFiles(); err != nil {
		return err
	}
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		began := a.now()
		err := a.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		a.problem(err.Error())
		a.log.Error(err, "Interrupted, starting again from the journal", "after", wait)
		if a.now().Sub(began) > retryMost {
			wait = retryFirst
		}
		if !pause.For(ctx, wait) {
			return nil
		}
	}
}

func (a *Agent) close() error {
	var errs []error
	if a.files != nil {
		errs = append(errs, a.files.Close())
	}
	return errors.Join(append(errs, a.journal.Close())...)
}

// serve answers metrics and health requests until stop is called.
func (a *Agent) serve() (stop func(), err error) {
	if a.cfg.Listen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error(err, "Serving metrics ended")
		}
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}

// session connects, settles what an earlier session or agent left in flight, and then follows the files until ctx is
// done or something can't go on. Nothing but the journal and the open files outlives it.
func (a *Agent) session(ctx context.Context) error {
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.client.Close()
	defer a.producer.Close()
	if err := a.resume(ctx); err != nil {
		return err
	}
	err := a.follow(ctx)
	if ctx.Err() != nil {
		err = errors.Join(err, a.finishUp())
	}
	return err
}

// resume goes back to where the journal says and settles what is pending.
func (a *Agent) resume(ctx context.Context) error {
	a.open, a.inFlight, a.unsynced = map[int32]*openBatch{}, map[int32]int{}, nil
	if err := a.rewind(); err != nil {
		return err
	}
	if err := a.recover(ctx); err != nil {
		return err
	}
	a.problem("")
	return nil
}

// begin waits for Kafka and the topic.
func (a *Agent) begin(ctx context.Context) error {
	client, err := a.connect(ctx, a.cfg.Kafka, a.log)
	if err != nil {
		return err
	}
	topic, err := client.Topic(ctx, a.cfg.Topic)
	if err != nil {
		return errors.Join(err, client.Close())
	}
	a.client, a.topic, a.topicAt = client, topic, a.now().Add(topicInterval)
	if err := a.fitsInto(topic); err != nil {
		return errors.Join(err, client.Close())
	}
	for key, partitions := range a.cfg.Assignment {
		for _, p := range partitions {
			if p >= topic.Partitions {
				err := fmt.Errorf("assignment[%s]: partition %d does not exist: topic %s has %d partitions",
					key, p, topic.Name, topic.Partitions)
				return errors.Join(err, client.Close())
			}
		}
	}
	if err := a.putSettings(); err != nil {
		return errors.Join(err, client.Close())
	}
	a.producer = client.newProducer(topic.Name, a.producerConfig(), a.log)
	return nil
}

// fitsInto refuses a topic that does not take the longest record.
func (a *Agent) fitsInto(topic kafka.Topic) error {
	limit := topic.MaxMessageBytes
	if limit <= 0 || a.cfg.Decode.MaxRecordBytes+recordOverhead+batchOverhead <= limit {
		return nil
	}
	return conf.Invalid("decode.maxRecordBytes", a.cfg.Decode.MaxRecordBytes,
		fmt.Sprintf("topic %s takes no more than %d bytes: lower it, or raise max.message.bytes", topic.Name, limit))
}
