package kafka

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	backoffLater = 15 * time.Second
)

// lane sends the batches of one partition. One goroutine owns it; only queue, waiting and status are shared.
type lane struct {
	p         *Producer
	partition int32
	wake      chan struct{}
	answers   chan *attempt

	// inFlight are the attempts without an acknowledgement, oldest first.
	inFlight []*attempt
	unsent   []*Batch
	// answered counts the attempts in flight that have an answer.
	answered int
	// failed is true once an attempt failed: nothing is sent until all in flight have an answer.
	failed  bool
	halted  error
	backoff time.Duration
	broker  *sarama.Broker

	mu     sync.Mutex
	queue  []*Batch
	status PartitionStatus
}

// attempt is one sending of a batch.
type attempt struct {
	batch  *Batch
	done   bool
	offset int64
	err    error
}

func newLane(p *Producer, partition int32) *lane {
	return &lane{
		p: p, partition: partition, wake: make(chan struct{}, 1), answers: make(chan *attempt, 2*MaxInFlight),
		backoff: backoffFirst,
	}
}

func (l *lane) enqueue(b *Batch) {
	l.mu.Lock()
	l.queue = append(l.queue, b)
	l.status.Waiting++
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (l *lane) currentStatus() PartitionStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

func (l *lane) setBlocked(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.BlockedSince.IsZero() {
		l.status.BlockedSince = time.Now()
		l.p.log.Info("Partition takes no batches, trying again", "topic", l.p.topic, "partition", l.partition,
			"reason", err.Error())
	}
	l.status.Err = err
}

// run sends until the producer is closed.
func (l *lane) run() {
	for {
		l.take()
		if !l.failed && l.halted == nil {
			l.fill()
		}
		if l.halted != nil && !l.refuse() {
			return
		}
		select {
		case <-l.p.ctx.Done():
			return
		case <-l.wake:
		case a := <-l.answers:
			if !l.answer(a) {
				return
			}
		}
	}
}

func (l *lane) take() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsent = append(l.unsent, l.queue...)
	clear(l.queue)
	l.queue = l.queue[:0]
}

// fill sends what may be in flight.
func (l *lane) fill() {
	for len(l.unsent) > 0 && len(l.inFlight) < MaxInFlight && !l.failed {
		b := l.unsent[0]
		l.unsent = l.unsent[1:]
		l.send(b)
	}
}

// send makes an attempt. An error before anything is sent is an answer like any other.
func (l *lane) send(b *Batch) {
	a := &attempt{batch: b}
	l.inFlight = append(l.inFlight, a)
	if l.broker == nil {
		broker, err := l.p.client.sarama.Leader(l.p.topic, l.partition)
		if err != nil {
			l.reject(a, err)
			return
		}
		l.broker = broker
	}
	err := l.broker.AsyncProduce(l.p.request(b), func(response *sarama.ProduceResponse, err error) {
		a.offset, a.err = outcome(response, err, l.p.topic, l.partition)
		l.answers <- a // there is room: no more than MaxInFlight attempts are without an answer
	})
	if err != nil {
		l.reject(a, err)
	}
}

func (l *lane) reject(a *attempt, err error) {
	a.err = err
	l.failed = true
	l.answers <- a
}

func outcome(response *sarama.ProduceResponse, err error, topic string, partition int32) (int64, error) {
	if err != nil {
		return 0, err
	}
	block := response.GetBlock(topic, partition)
	if block == nil {
		return 0, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		return 0, block.Err
	}
	return block.Offset, nil
}

// answer takes the answer to an attempt; false when the producer was closed meanwhile.
func (l *lane) answer(a *attempt) bool {
	a.done = true
	l.answered++
	if a.err != nil {
		l.failed = true
	}
	for len(l.inFlight) > 0 && l.inFlight[0].done {
		head := l.inFlight[0]
		if head.err != nil {
			verdict, err := judge(head.err)
			if verdict != stored {
				return l.fail(verdict, err)
			}
			head.offset = -1
		}
		l.inFlight = l.inFlight[1:]
		l.answered--
		if !l.deliver(Result{Batch: head.batch, Offset: head.offset}) {
			return false
		}
		l.working()
	}
	if len(l.inFlight) == 0 {
		l.failed = false // what failed was a batch that the broker had
	}
	return true
}

func (l *lane) working() {
	l.backoff = backoffFirst
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Waiting--
	if !l.status.BlockedSince.IsZero() {
		l.p.log.Info("Partition takes batches again", "topic", l.p.topic, "partition", l.partition,
			"after", time.Since(l.status.BlockedSince).Round(time.Millisecond))
		l.status.BlockedSince, l.status.Err = time.Time{}, nil
	}
}

// fail deals with the failure of the oldest batch once every attempt in flight has its answer: a later one may still
// arrive at the broker, and what is sent again must come behind it.
func (l *lane) fail(verdict fate, err error) bool {
	if l.answered < len(l.inFlight) {
		return true
	}
	if verdict == hopeless {
		l.halted = err
		return true
	}
	l.setBlocked(err)
	wait := l.backoff/2 + rand.N(l.backoff)
	l.backoff = min(2*l.backoff, backoffMost)
	if verdict == later {
		wait = backoffLater
	}
	if !l.reconnect(err, wait) {
		return false
	}
	batches := make([]*Batch, 0, len(l.inFlight)+len(l.unsent))
	for _, a := range l.inFlight {
		batches = append(batches, a.batch)
	}
	l.unsent = append(batches, l.unsent...)
	l.inFlight, l.answered, l.failed = nil, 0, false
	l.fill()
	return true
}

// reconnect waits and finds the leader again; false when the producer was closed meanwhile.
func (l *lane) reconnect(err error, wait time.Duration) bool {
	if _, answered := err.(sarama.KError); !answered && l.broker != nil {
		_ = l.broker.Close() // a connection that failed stays unusable until it is closed
	}
	l.broker = nil
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-l.p.ctx.Done():
		return false
	case <-timer.C:
	}
	if err := l.p.client.sarama.RefreshMetadata(l.p.topic); err != nil {
		l.setBlocked(err)
	}
	return true
}

// refuse gives everything that waits the error that halted the lane; false when the producer was closed meanwhile.
func (l *lane) refuse() bool {
	batches := l.unsent
	for i := len(l.inFlight) - 1; i >= 0; i-- {
		batches = append([]*Batch{l.inFlight[i].batch}, batches...)
	}
	l.inFlight, l.unsent, l.answered = nil, nil, 0
	for _, b := range batches {
		if !l.deliver(Result{Batch: b, Offset: -1, Err: l.halted}) {
			return false
		}
	}
	return true
}

func (l *lane) deliver(r Result) bool {
	select {
	case l.p.results <- r:
		return true
	case <-l.p.ctx.Done():
		return false
	}
}
