package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"

	"github.com/logpipe/logpipe/internal/pause"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	// minIdle and maxIdle are the waits between two looks at a partition that has nothing new.
	minIdle = 20 * time.Millisecond
	maxIdle = time.Second
	// healthyAfter is how long a session must live, or commit, before trouble counts as over.
	healthyAfter = 10 * time.Second
	// releaseTimeout bounds the commit at the end of a claim. What can't be committed is read again by the next owner.
	releaseTimeout = 10 * time.Second
	// eventTimeAhead is how far a record's time may lie in the future and still name its directory.
	eventTimeAhead = 24 * time.Hour
)

// tools are what the partitions of a sink share.
type tools struct {
	cfg     *Config
	files   store.Store
	open    func(partition int32) source
	path    *format.Path
	slots   chan struct{} // one for each fetch that may be in memory
	metrics *metrics
	outside
}

// outside is what differs from one run to the next though all else is the same. A simulation has its own.
type outside struct {
	now func() time.Time
	// pause returns after least, and up to jitter more, or when ctx ends.
	pause func(ctx context.Context, least, jitter time.Duration)
	newID func() string
}

func realOutside() outside {
	return outside{now: time.Now, newID: uuid.NewString, pause: func(ctx context.Context, least, jitter time.Duration) {
		pause.For(ctx, least+rand.N(jitter+1))
	}}
}

// partition writes one claimed partition. One goroutine runs it; its steps are called directly by tests.
type partition struct {
	*tools
	at       layout
	log      logr.Logger
	source   source
	bucketer *format.Bucketer
	state    *state
	// committed is told the first offset that is not in the store yet.
	committed func(next int64)

	session *session
	roll    *roll
	// caughtUp says that the last fetch reached the end of the partition; idle, how long to wait before looking again.
	caughtUp bool
	idle     time.Duration
}

func newPartition(t *tools, number int32, log logr.Logger, committed func(next int64)) *partition {
	return &partition{
		tools: t, at: layout{sink: t.cfg.Name, topic: t.cfg.Topic, partition: number}, log: log,
		source: t.open(number), bucketer: t.path.Bucketer(), state: newState(number, t.now()), committed: committed,
	}
}

// run writes the partition until ctx ends. Trouble makes it pause and try again, for as long as it takes.
func (p *partition) run(ctx context.Context) {
	defer p.source.Close()
	for ctx.Err() == nil {
		p.state.setStep(p.now())
		err := p.own(ctx)
		p.drop(err)
		if ctx.Err() != nil {
			return
		}
		p.metrics.failed(err)
		p.pause(ctx, err)
	}
}

// own claims the partition and writes it until the claim ends, with nil, or an error ends the session.
func (p *partition) own(ctx context.Context) error {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	since := p.now()
	for ctx.Err() == nil {
		p.state.setStep(p.now())
		err := p.step(ctx)
		switch {
		case errors.Is(err, errKafka):
			// The roll is as good as before: keep it.
			p.metrics.failed(err)
			p.pause(ctx, err)
		case err != nil:
			return err
		case p.now().Sub(since) >= healthyAfter:
			p.recovered()
		}
	}
	return p.release(ctx)
}

// acquire makes the partition's session and finds where to go on.
func (p *partition) acquire(ctx context.Context) error {
	topicID, err := p.source.TopicID(ctx)
	if err != nil {
		return fmt.Errorf("look up topic: %w", err)
	}
	p.session = newSession(p.files, p.at, topicID, p.newID())
	for _, step := range []func() error{p.session.claim, p.session.fence, p.session.recover} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := step(); err != nil {
			return p.session.explain(err)
		}
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	p.nextRoll()
	p.caughtUp, p.idle = false, minIdle
	p.log.Info("Acquired partition", "session", p.session.id, "offset", p.session.next)
	p.committed(p.session.next)
	return nil
}

// begin chooses where a partition starts that has never been read.
func (p *partition) begin(ctx context.Context) error {
	if p.session.next >= 0 {
		return nil
	}
	start, end, err := p.source.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("look up offsets: %w", err)
	}
	if p.cfg.InitialOffset == Latest {
		start = end
	}
	return p.session.begin(start)
}

func (p *partition) nextRoll() {
	p.roll = newRoll(p.files, p.session.rollDir(), p.cfg, p.session.next)
	p.state.setPosition(p.session.next)
}

// step does one of: commit the roll when it is due, fetch and write, or wait for a little while.
func (p *partition) step(ctx context.Context) error {
	if reason := p.roll.due(p.now()); reason != "" {
		return p.commit(ctx, reason)
	}
	news, err := p.news(ctx)
	if err == nil && news {
		news, err = p.pump(ctx)
	}
	if err != nil || news {
		p.idle = minIdle
		return err
	}
	p.outside.pause(ctx, min(p.idle, p.roll.timeLeft(p.now())), 0)
	p.idle = min(2*p.idle, maxIdle)
	return nil
}

// news tells whether a fetch will bring something. A fetch that finds nothing waits at the broker, and would hold one
// of the few slots meanwhile.
func (p *partition) news(ctx context.Context) (bool, error) {
	if !p.caughtUp {
		return true, nil
	}
	_, end, err := p.source.Bounds(ctx)
	if err != nil {
		return false, fmt.Errorf("look up offsets: %w", err)
	}
	return end != p.roll.next, nil
}

// pump moves one fetch into the roll. It holds one of the few slots meanwhile, which bounds the memory of all
// partitions together.
func (p *partition) pump(ctx context.Context) (more bool, err error) {
	if ctx.Err() != nil {
		return false, nil
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, nil
	}
	got, err := p.source.Fetch(ctx, p.roll.next)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case errors.Is(err, errOutOfRange):
		return true, p.outOfRange(ctx)
	case err != nil:
		return false, fmt.Errorf("fetch: %w", err)
	}
	more = got.next > p.roll.next
	p.caughtUp = got.next >= got.end
	return more, p.write(ctx, got)
}

func (p *partition) write(ctx context.Context, got batch) error {
	now := p.now()
	var count, bytes int
	var newest time.Time
	for rec := range got.records {
		if err := p.add(ctx, rec, now); err != nil {
			return err
		}
		count++
		bytes += len(rec.Key) + len(rec.Value)
		newest = rec.Time
	}
	p.metrics.received(count, bytes)
	p.roll.pass(got.next, now)
	p.state.read(got, newest, p.roll)
	return nil
}

// add puts one record into the roll, and commits a roll that has no room for it or is full after it.
func (p *partition) add(ctx context.Context, rec *format.Record, now time.Time) error {
	dir := p.bucketer.Bucket(rec, now.Add(eventTimeAhead))
	err := p.roll.add(rec, dir, now)
	if errors.Is(err, errTooManyFiles) {
		if err := p.commit(ctx, rollOpenFiles); err != nil {
			return err
		}
		err = p.roll.add(rec, dir, now)
	}
	if err != nil {
		return p.session.explain(err)
	}
	if p.roll.full != "" {
		return p.commit(ctx, p.roll.full)
	}
	return nil
}

// outOfRange goes on behind a gap, or finds that Kafka has lost what is in the store already.
func (p *partition) outOfRange(ctx context.Context) error {
	start, end, err := p.source.Bounds(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look up offsets: %w", err)
	case p.roll.next > end:
		return fmt.Errorf("%w: the store has the records up to offset %d, but the partition ends at %d: the topic was "+
			"re-created or lost records", errHalted, p.roll.next-1, end)
	case p.roll.next >= start:
		return fmt.Errorf("%w: offset %d of %d to %d is out of range", errKafka, p.roll.next, start, end)
	}
	if !p.roll.empty() {
		if err := p.commit(ctx, rollGap); err != nil {
			return err
		}
	}
	p.log.Info("Skipped records that Kafka no longer has", "first", p.roll.next, "last", start-1, "reason", "retention")
	p.session.skipTo(start)
	p.roll.pass(start, p.now())
	return nil
}

// commit moves the roll into the store for good and begins the next one.
func (p *partition) commit(ctx context.Context, reason string) error {
	if err := p.sameTopic(ctx); err != nil {
		return err
	}
	started := p.now()
	m, err := p.session.commit(p.roll)
	if err != nil {
		return err
	}
	p.nextRoll()
	p.metrics.commit(m, reason, p.now(), p.now().Sub(started))
	p.state.commit(p.now())
	if err := p.session.publish(m); err != nil {
		return err
	}
	if err := p.session.prune(); err != nil {
		return err
	}
	p.log.V(1).Info("Committed roll", "first", m.First, "last", m.Last, "files", len(m.Files), "bytes", m.bytes(),
		"reason", reason)
	p.committed(p.session.next)
	p.recovered()
	return nil
}

// sameTopic looks before each commit whether the records are still from the topic that the chain is of: fetches name a
// topic by its name only, so one that was re-created in the middle of a roll goes unnoticed by them.
func (p *partition) sameTopic(ctx context.Context) error {
	id, err := p.source.TopicID(ctx)
	if err != nil {
		return fmt.Errorf("look up topic: %w", err)
	}
	if id != p.session.topicID {
		now := *p.session
		now.topicID = id
		return now.recreated(p.session.topicID)
	}
	return nil
}

// release ends the claim: commits what is there, if that can be done soon, and leaves.
func (p *partition) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if !p.roll.empty() {
		if err := p.commit(ctx, rollRelease); err != nil {
			return err
		}
	}
	return p.session.leave()
}

// drop gives up what was written since the last commit. It is read again from Kafka.
func (p *partition) drop(err error) {
	if p.roll == nil {
		return
	}
	if err != nil && p.roll.records > 0 {
		p.metrics.dropped.Inc()
		p.log.Info("Dropped roll, it will be read again", "first", p.roll.first, "records", p.roll.records,
			"reason", err.Error())
	}
	p.roll.abandon()
	p.session, p.roll = nil, nil
	p.state.drop()
}

// pause waits before the next try, longer each time.
func (p *partition) pause(ctx context.Context, err error) {
	wait, announce := p.state.trouble(err, p.now())
	if announce {
		p.log.Error(err, "Paused partition", "reason", reasonOf(err))
	}
	if _, end, err := p.source.Bounds(ctx); err == nil {
		p.state.setEnd(end) // the lag grows meanwhile
	}
	if errors.Is(err, errFenced) {
		// Give the group the time to find out which of the two is the owner.
		wait = max(wait, p.cfg.SessionTimeout.Std()/2)
	}
	if p.roll != nil {
		wait = min(wait, max(p.roll.timeLeft(p.now()), minBackoff))
	}
	p.outside.pause(ctx, wait, wait/4)
}

func (p *partition) recovered() {
	if p.state.recovered() {
		p.log.Info("Resumed partition")
	}
}
