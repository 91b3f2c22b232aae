package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/simulation"
)

// window is how many batches of a producer a partition recognises when they come again (KIP-98).
const window = 5

// mostAhead is how far ahead of a broker's clock a record may be dated (message.timestamp.after.max.ms).
const mostAhead = time.Hour

// simTopic is a topic on brokers that may lose what is not replicated.
type simTopic struct {
	*world
	partitions []*simPartition
	nextID     int64
	away, grew bool
}

// simPartition is the log of a partition's leader.
type simPartition struct {
	topic  *simTopic
	number int32
	log    []simBatch
	// replicated is how many batches of the log every replica has: they are acknowledged, and stay.
	replicated int
	// forgotten is up to where the producers of the log are not known any more, and reduced up to where only the last
	// batch of each is: that is all that a broker writes down of them.
	forgotten, reduced int
	// newest is the number of the last record of each log that is in the replicated part.
	newest map[string]int
	// strays are requests of connections that were cut, on their way to this leader.
	strays []simBatch
}

// simBatch is a batch as it was sent.
type simBatch struct {
	producer    int64
	first, last int32
	latest      time.Time
	values      []string
}

func (t *simTopic) grow() {
	number := int32(len(t.partitions))
	t.partitions = append(t.partitions, &simPartition{topic: t, number: number, newest: map[string]int{}})
}

// append does what a leader does with a batch. The index says up to where the log must be replicated for an
// acknowledgement.
func (p *simPartition) append(b simBatch) (index int, err error) {
	if b.latest.After(p.topic.now.Add(mostAhead)) {
		return 0, sarama.ErrInvalidTimestamp
	}
	known := 0
	for i := len(p.log) - 1; i >= p.forgotten && known < window; i-- {
		have := &p.log[i]
		if have.producer != b.producer {
			continue
		}
		if i < p.reduced && known > 0 {
			break
		}
		if have.first == b.first && have.last == b.last {
			p.topic.Event("batch came again", func() string { return fmt.Sprint(b) })
			return i, nil
		}
		if known++; known == 1 && b.first == journal.AddSequence(have.last, 1) {
			return p.add(b), nil
		}
	}
	if known > 0 {
		return 0, sarama.ErrOutOfOrderSequenceNumber
	}
	return p.add(b), nil // a producer that is not known may begin anywhere
}

func (p *simPartition) add(b simBatch) int {
	p.log = append(p.log, b)
	return len(p.log) - 1
}

// replicate makes some of what the leader has safe, and looks at it with the eyes of a reader.
func (p *simPartition) replicate() {
	if p.replicated == len(p.log) {
		return
	}
	b := p.log[p.replicated]
	p.replicated++
	p.topic.Event("replicated", func() string { return fmt.Sprint(p.number, " ", b) })
	for _, value := range b.values {
		p.topic.arrived(p, value)
	}
}

// lead makes another replica the leader, which has no more than what is replicated.
func (p *simPartition) lead() {
	p.topic.Event("leader changed", func() string { return fmt.Sprint(p.number) })
	if p.replicated < len(p.log) {
		p.topic.Event("leader had more than others", func() string { return fmt.Sprint(p.log[p.replicated:]) })
	}
	p.log, p.strays = p.log[:p.replicated], nil
	p.forgotten, p.reduced = min(p.forgotten, len(p.log)), min(p.reduced, len(p.log))
	if p.topic.Chance(30) {
		p.topic.Event("last batches known", func() string { return fmt.Sprint(p.number) })
		p.reduced = len(p.log)
	}
}

// arrived takes a record that is there for good.
func (w *world) arrived(p *simPartition, value string) {
	var id struct {
		Log string `json:"log"`
		N   int    `json:"n"`
	}
	if w.beginsLost(value) || w.leftByCut(value) {
		return
	}
	if w.loose() && w.again(value) {
		w.Event("record came again", func() string { return value })
		return
	}
	text, _, _ := strings.Cut(value, "}")
	if err := json.Unmarshal([]byte(text+"}"), &id); err != nil {
		w.Fail("record %q: %v", value, err)
	}
	l := w.logs[slices.IndexFunc(w.logs, func(l *simLog) bool { return l.name == id.Log })]
	if value != l.record(id.N) {
		w.Fail("record %q should be %q", value, l.record(id.N))
	}
	if l.arrived[id.N] {
		w.Fail("record %d of %s came twice", id.N, id.Log)
	}
	l.arrived[id.N] = true
	if newest, ok := p.newest[id.Log]; ok && id.N < newest && !l.copies && w.ordered() {
		w.Fail("record %d of %s came behind %d", id.N, id.Log, newest)
	}
	p.newest[id.Log] = id.N
}

// errAway is an error of the network.
var errAway = errors.New("connection refused")

// simCluster is the topic as one session of an agent sees it.
type simCluster struct {
	*simTopic
	process *simulation.Process
}

func (c *simCluster) ask() error {
	c.process.Wait()
	if c.away || c.Chance(c.rates.refused) {
		return errAway
	}
	return nil
}

func (c *simCluster) Topic(context.Context, string) (kafka.Topic, error) {
	if err := c.ask(); err != nil {
		return kafka.Topic{}, err
	}
	return kafka.Topic{
		Name: c.cfg.Topic, ID: "id-1", ClusterID: "cluster", Partitions: int32(len(c.partitions)), MaxMessageBytes: 1 << 20,
	}, nil
}

func (c *simCluster) InitProducerID(context.Context) (id int64, epoch int16, err error) {
	if err := c.ask(); err != nil {
		return 0, 0, err
	}
	c.nextID++
	c.Event("producer id", func() string { return fmt.Sprint(c.nextID) })
	return c.nextID, 0, nil
}

// LastSequence answers what the leader has, replicated or not.
func (c *simCluster) LastSequence(_ context.Context, _ string, partition int32, id int64) (int32, bool, error) {
	if err := c.ask(); err != nil {
		return 0, false, err
	}
	p := c.partitions[partition]
	if c.mayBeLost() {
		// Where a batch can't be built again, a new id is the only way, and no broker knows requests of the old one that
		// come once it was asked what it has (docs/limits.md).
		p.strays = nil
	}
	last, found := lastOf(p.log[p.forgotten:], id)
	return last, found, nil
}

// ScanProducer answers from what may be read.
func (c *simCluster) ScanProducer(_ context.Context, _ string, partition int32, _, id int64) (int32, bool, error) {
	if err := c.ask(); err != nil {
		return 0, false, err
	}
	p := c.partitions[partition]
	last, found := lastOf(p.log[:p.replicated], id)
	return last, found, nil
}

func lastOf(log []simBatch, id int64) (int32, bool) {
	for _, b := range slices.Backward(log) {
		if b.producer == id {
			return b.last, true
		}
	}
	return 0, false
}

func (c *simCluster) Close() error { return nil }

func (c *simCluster) newProducer(string, kafka.ProducerConfig, logr.Logger) producer {
	p := &simProducer{simTopic: c.simTopic, results: make(chan kafka.Result, 1000)}
	c.producers = append(c.producers, p)
	return p
}
