package kafka

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	backoffLater = 15 * time.Second
	// idleMost is how long an unused connection is kept, less than brokers do (connections.max.idle.ms, 10 minutes).
	idleMost = 2 * time.Minute
	// noProducer is no producer's id.
	noProducer = -1
)

// lane sends the batches of one partition. One goroutine owns it; only queue and status are shared.
type lane struct {
	p         *Producer
	partition int32
	wake      chan struct{}
	// answers has room for all attempts in flight: who delivers one is sarama's reader, which must never wait.
	answers chan *attempt

	conn *connection
	// proven is the id of the producer of which a batch was acknowledged on conn, noProducer before: the leader knows that
	// one. Of one that it does not know, because it is new or was idle for longer than producer.id.expiration.ms, it takes
	// any sequence number to begin with. If the oldest batch were refused then, for a moment's lack of replicas, the next
	// one in flight would be stored before it.
	proven int64
	// inFlight are the attempts of batches without an acknowledgement, oldest first.
	inFlight []*attempt
	unsent   []*Batch
	// answered counts the attempts in flight that have an answer.
	answered int
	// failed is true once an attempt failed: nothing is sent until all in flight have an answer.
	failed bool
	// failures counts those since the last acknowledgement.
	failures int
	halted   error

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
		p: p, partition: partition, wake: make(chan struct{}, 1), answers: make(chan *attempt, MaxInFlight),
		proven: noProducer,
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

// run sends until the producer is closed.
func (l *lane) run() {
	defer l.disconnect()
	idle := time.NewTimer(idleMost)
	defer idle.Stop()
	for l.step() {
		select {
		case <-l.p.ctx.Done():
			return
		case <-l.wake:
		case a := <-l.answers:
			if !l.answer(a) {
				return
			}
		case <-idle.C:
			if len(l.inFlight) == 0 {
				l.disconnect()
			}
		}
		idle.Reset(idleMost)
	}
}

// step sends or refuses what waits; false when the producer was closed meanwhile.
func (l *lane) step() bool {
	l.mu.Lock()
	l.unsent = append(l.unsent, l.queue...)
	clear(l.queue)
	l.queue = l.queue[:0]
	l.mu.Unlock()
	if l.halted != nil {
		return l.refuse()
	}
	for len(l.unsent) > 0 && len(l.inFlight) < l.window() {
		b := l.unsent[0]
		l.unsent[0] = nil // a batch is large, and the array stays for as long as the partition is idle
		l.unsent = l.unsent[1:]
		l.send(b)
	}
	return true
}

// window is how many batches may be in flight with the next one that is unsent.
func (l *lane) window() int {
	switch {
	case l.failed:
		return 0
	case l.proven == l.unsent[0].ProducerID:
		return MaxInFlight
	default:
		return 1
	}
}

// send makes an attempt. An error before anything is sent is an answer like any other.
func (l *lane) send(b *Batch) {
	a := &attempt{batch: b}
	l.inFlight = append(l.inFlight, a)
	err := l.connect()
	if err == nil {
		err = l.conn.use(l.p.ctx, func(leader *sarama.Broker) error {
			return leader.AsyncProduce(l.p.request(b), func(response *sarama.ProduceResponse, err error) {
				a.offset, a.err = l.outcome(response, err)
				l.answers <- a
			})
		})
	}
	if err != nil {
		l.disconnect() // so that those in flight before it fail now
		a.err = err
		l.failed = true
		l.answers <- a
	}
}

func (l *lane) outcome(response *sarama.ProduceResponse, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	block := response.GetBlock(l.p.topic, l.partition)
	if block == nil {
		return 0, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		return 0, block.Err
	}
	return block.Offset, nil
}

// connect makes sure that there is a connection to the leader.
func (l *lane) connect() error {
	if l.conn != nil {
		return nil
	}
	address, id, err := l.p.client.leader(l.p.ctx, l.p.topic, l.partition)
	if err != nil {
		return err
	}
	if err := l.p.sameTopic(id); err != nil {
		return err
	}
	l.conn, err = l.p.client.dial(l.p.ctx, address)
	return err
}

func (l *lane) disconnect() {
	if l.conn != nil {
		l.conn.close()
		l.conn, l.proven = nil, noProducer
	}
}

// answer takes the answer to an attempt; false when the producer was closed meanwhile.
func (l *lane) answer(a *attempt) bool {
	a.done = true
	l.answered++
	l.failed = l.failed || a.err != nil
	for len(l.inFlight) > 0 && l.inFlight[0].done {
		head := l.inFlight[0]
		if head.err != nil {
			verdict, err := judge(head.err)
			if verdict != stored {
				return l.fail(verdict, err)
			}
			head.offset = -1
		}
		l.inFlight[0] = nil
		l.inFlight = l.inFlight[1:]
		l.answered--
		l.working(head.batch)
		if !l.deliver(Result{Batch: head.batch, Offset: head.offset}) {
			return false
		}
	}
	if len(l.inFlight) == 0 {
		l.failed = false // what failed was a batch that the broker had
	}
	return true
}

// fail deals with the failure of the oldest batch once every attempt in flight has its answer: a later one may still
// arrive at the broker, and what is sent again must come behind it. It returns false when the producer was closed.
func (l *lane) fail(verdict fate, err error) bool {
	if l.answered < len(l.inFlight) {
		return true
	}
	batches := make([]*Batch, 0, len(l.inFlight)+len(l.unsent))
	for _, a := range l.inFlight {
		batches = append(batches, a.batch)
	}
	l.unsent = append(batches, l.unsent...)
	l.inFlight, l.answered, l.failed = nil, 0, false
	l.disconnect()
	if verdict == hopeless {
		l.halted = fmt.Errorf("%s/%d from sequence %d of producer %d on: %w",
			l.p.topic, l.partition, batches[0].FirstSequence, batches[0].ProducerID, err)
		return true
	}
	l.blocked(err)
	return l.pause(verdict)
}

// pause waits before another attempt; false when the producer was closed meanwhile.
func (l *lane) pause(verdict fate) bool {
	wait := min(backoffFirst<<min(l.failures-1, 8), backoffMost)
	wait = wait/2 + rand.N(wait)
	if verdict == later {
		wait = backoffLater
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-l.p.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// blocked notes a failure. The first one is no news: leaders change, and idle connections are closed.
func (l *lane) blocked(err error) {
	l.failures++
	if l.failures == 2 {
		l.p.log.Info("Partition takes no batches, trying again", "topic", l.p.topic, "partition", l.partition,
			"reason", err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Err = err
	if l.status.BlockedSince.IsZero() {
		l.status.BlockedSince = time.Now()
	}
}

// working notes that b was acknowledged.
func (l *lane) working(b *Batch) {
	if l.conn != nil {
		l.proven = b.ProducerID
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Waiting--
	if l.failures > 1 {
		l.p.log.Info("Partition takes batches again", "topic", l.p.topic, "partition", l.partition,
			"after", time.Since(l.status.BlockedSince).Round(time.Millisecond).String())
	}
	l.failures = 0
	l.status.BlockedSince, l.status.Err = time.Time{}, nil
}

// refuse gives everything that waits the error that halted the lane; false when the producer was closed meanwhile.
func (l *lane) refuse() bool {
	batches := l.unsent
	l.unsent = nil
	l.mu.Lock()
	l.status.Waiting -= len(batches)
	l.status.Err = l.halted
	l.mu.Unlock()
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
