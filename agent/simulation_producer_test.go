package agent

import (
	"fmt"
	"slices"

	"github.com/IBM/sarama"

	"github.com/logpipe/logpipe/internal/kafka"
)

// simProducer sends batches by the rules of kafka.Producer, a connection for each partition.
type simProducer struct {
	*simTopic
	results chan kafka.Result
	lanes   []*simLane // by partition
}

// simLane is the connection to the leader of one partition, and what waits for it.
type simLane struct {
	producer  *simProducer
	partition *simPartition
	unsent    []*kafka.Batch
	inFlight  []*simAttempt
	// proven says that a batch was acknowledged on this connection: before, only one is sent.
	proven bool
	failed bool
	halted error
}

// simAttempt is one sending of a batch: a request, what became of it, and its answer.
type simAttempt struct {
	batch *kafka.Batch
	sent  simBatch
	// handled is true when the leader has dealt with the request, done when the answer is there.
	handled, done bool
	index         int
	err           error
}

func (p *simProducer) Send(b *kafka.Batch) {
	p.noteSent()
	l := p.lane(b.Partition)
	if l == nil {
		l = &simLane{producer: p, partition: p.partitions[b.Partition]}
		p.lanes = append(p.lanes, l)
		slices.SortFunc(p.lanes, func(a, b *simLane) int { return int(a.partition.number - b.partition.number) })
	}
	l.unsent = append(l.unsent, b)
}

func (p *simProducer) lane(partition int32) *simLane {
	for _, l := range p.lanes {
		if l.partition.number == partition {
			return l
		}
	}
	return nil
}

func (p *simProducer) Results() <-chan kafka.Result { return p.results }

func (p *simProducer) Status() map[int32]kafka.PartitionStatus { return nil }

// Close cuts all connections. It is also what the kernel does when an agent dies.
func (p *simProducer) Close() {
	for _, l := range p.lanes {
		l.cut()
	}
	p.producers = slices.DeleteFunc(p.producers, func(other *simProducer) bool { return other == p })
}

// move does one step of the lane: it sends, lets the leader work, or takes an answer.
func (l *simLane) move() {
	w := l.producer
	if w.away {
		l.cut()
		return
	}
	switch w.IntN(3) {
	case 0:
		l.send()
	case 1:
		l.handle()
	default:
		l.answer()
	}
}

func (l *simLane) send() {
	most := 1
	if l.proven {
		most = kafka.MaxInFlight
	}
	if len(l.unsent) == 0 || l.failed || l.halted != nil || len(l.inFlight) >= most {
		return
	}
	b := l.unsent[0]
	l.unsent = l.unsent[1:]
	sent := simBatch{
		producer: b.ProducerID, first: b.FirstSequence, last: b.FirstSequence + int32(len(b.Records)) - 1, latest: b.MaxTime,
	}
	for _, r := range b.Records {
		sent.values = append(sent.values, string(r.Value))
	}
	l.inFlight = append(l.inFlight, &simAttempt{batch: b, sent: sent})
}

// handle has the leader take the oldest request of the connection.
func (l *simLane) handle() {
	i := slices.IndexFunc(l.inFlight, func(a *simAttempt) bool { return !a.handled })
	if i < 0 {
		return
	}
	a := l.inFlight[i]
	a.handled = true
	if l.producer.Chance(l.producer.rates.refused) {
		a.err = sarama.ErrNotEnoughReplicas
		if l.producer.Chance(30) {
			a.err = sarama.ErrInvalidRecord // ends the session
		}
		return
	}
	a.index, a.err = l.partition.append(a.sent)
}

// answer delivers the oldest answer that is not there yet, once what it acknowledges is replicated.
func (l *simLane) answer() {
	i := slices.IndexFunc(l.inFlight, func(a *simAttempt) bool { return !a.done })
	if i < 0 {
		return
	}
	a := l.inFlight[i]
	if !a.handled || a.err == nil && a.index >= l.partition.replicated {
		return
	}
	a.done = true
	l.failed = l.failed || a.err != nil
	for len(l.inFlight) > 0 && l.inFlight[0].done {
		head := l.inFlight[0]
		if head.err != nil {
			l.fail(head.err)
			return
		}
		l.inFlight = l.inFlight[1:]
		l.proven = true
		l.producer.results <- kafka.Result{Batch: head.batch, Offset: int64(head.index)}
	}
	if len(l.inFlight) == 0 {
		l.failed = false
	}
}

// fail waits for all answers, and then begins again with what is not acknowledged.
func (l *simLane) fail(err error) {
	if slices.ContainsFunc(l.inFlight, func(a *simAttempt) bool { return !a.done }) {
		return
	}
	l.cut()
	if err != sarama.ErrNotEnoughReplicas { //nolint:errorlint // it is never wrapped
		l.halted = err
		l.producer.Event("batch refused", err.Error)
		for _, b := range l.unsent {
			l.producer.results <- kafka.Result{Batch: b, Offset: -1, Err: err}
		}
		l.unsent = nil
	}
}

// cut ends the connection. Requests that the leader has not dealt with may still come to it.
func (l *simLane) cut() {
	var again []*kafka.Batch
	for _, a := range l.inFlight {
		again = append(again, a.batch)
		if !a.handled && l.producer.Chance(50) {
			l.partition.strays = append(l.partition.strays, a.sent)
		}
	}
	l.unsent = append(again, l.unsent...)
	l.inFlight, l.failed, l.proven = nil, false, false
}

// stray lets a request arrive that nobody waits for any more.
func (p *simPartition) stray() {
	if len(p.strays) == 0 {
		return
	}
	b := p.strays[0]
	p.strays = p.strays[1:]
	_, err := p.append(b)
	p.topic.Event("stray request", func() string { return fmt.Sprint(b, err) })
}
