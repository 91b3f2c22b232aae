package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
)

const (
	// rebalanceTimeout is how long a revoked partition may take to commit and let go.
	rebalanceTimeout = time.Minute
	// metadataRefresh is how soon new partitions of the topic are noticed.
	metadataRefresh = 30 * time.Second
	// metadataRetries is how many heartbeats may fail in a row before the session, and with it every claim, ends.
	metadataRetries = 5
)

var errGroupClosed = errors.New("the Kafka client was closed")

// group is the membership in the consumer group. It decides which partitions are ours, and no more: their records come
// from our own fetches, so sarama's are paused, and their positions come from the store.
type group struct {
	cfg    *Config
	member sarama.ConsumerGroup
	client *kafka.Client // for everything but the membership
	tools  *tools
}

// connect joins nothing yet.
func connect(ctx context.Context, cfg *Config, log logr.Logger) (*group, error) {
	settings, err := groupSettings(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kafka.Connect(ctx, cfg.Kafka, log)
	if err != nil {
		return nil, err
	}
	member, err := sarama.NewConsumerGroup(cfg.Kafka.BootstrapServers, cfg.ConsumerGroup, settings)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open consumer group: %w", err), client.Close())
	}
	return &group{cfg: cfg, member: member, client: client}, nil
}

func groupSettings(cfg *Config) (*sarama.Config, error) {
	settings, err := cfg.Kafka.Sarama()
	if err != nil {
		return nil, fmt.Errorf("configure Kafka: %w", err)
	}
	settings.Metadata.RefreshFrequency = metadataRefresh
	settings.Metadata.Retry.Max = metadataRetries
	consumer := &settings.Consumer
	consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	consumer.Group.Rebalance.Timeout = rebalanceTimeout
	consumer.Group.Session.Timeout = cfg.SessionTimeout.Std()
	consumer.Group.Heartbeat.Interval = cfg.SessionTimeout.Std() / 3
	// The group's offsets are for lag tools only. One that Kafka no longer has must not end the claim.
	consumer.Group.ResetInvalidOffsets = true
	consumer.Offsets.Initial = sarama.OffsetNewest
	consumer.Offsets.AutoCommit.Enable = false
	consumer.Return.Errors = true
	// What sarama fetches before it is paused is thrown away: let it be little.
	consumer.Fetch.Default = 1
	settings.ChannelBufferSize = 1
	return settings, nil
}

func (g *group) close() error { return errors.Join(g.member.Close(), g.client.Close()) }

// consume takes part in the group until ctx or the session ends.
func (g *group) consume(ctx context.Context, s *Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var errs sync.WaitGroup
	errs.Go(func() { g.report(ctx, s.log) })
	defer errs.Wait()
	defer cancel()
	err := g.member.Consume(ctx, []string{g.cfg.Topic}, &handler{group: g, sink: s})
	if errors.Is(err, sarama.ErrClosedConsumerGroup) || errors.Is(err, sarama.ErrClosedClient) {
		return errGroupClosed
	}
	return err
}

// report logs the errors that sarama gets over by itself.
func (g *group) report(ctx context.Context, log logr.Logger) {
	for {
		select {
		case err, ok := <-g.member.Errors():
			if !ok {
				return
			}
			log.V(1).Info("Consumer group had an error", "reason", err.Error())
		case <-ctx.Done():
			return
		}
	}
}

// handler is told of claims by sarama.
type handler struct {
	group *group
	sink  *Sink

	mu         sync.Mutex // guards the following
	generation int32
}

// Setup is called once per session, not when a cooperative rebalance changes the claims.
func (h *handler) Setup(session sarama.ConsumerGroupSession) error {
	h.sink.setProblem("")
	h.sink.log.Info("Joined consumer group", "group", h.group.cfg.ConsumerGroup, "member", session.MemberID())
	return nil
}

// Cleanup is called when the session has ended and all claims have returned.
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim writes a partition until it is revoked or the session ends. It returns after the last write: only then
// may Kafka give the partition to another member.
func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	topic, number := claim.Topic(), claim.Partition()
	h.group.member.Pause(map[string][]int32{topic: {number}})
	h.rebalanced(session)

	ctx, cancel := context.WithCancel(session.Context())
	defer cancel()
	// sarama closes the channel when the partition is revoked; then this ends, soon after this method at the latest.
	go func() {
		defer cancel()
		for range claim.Messages() { // what sarama fetched before it was paused is not used
		}
	}()

	next := make(chan int64, 1)
	p := newPartition(h.group.tools, number, h.sink.log.WithValues("partition", number), func(offset int64) {
		replace(next, offset)
	})
	h.sink.claimed(p)
	defer h.sink.released(p)
	go func() {
		defer close(next)
		p.run(ctx)
	}()
	for offset := range next {
		session.MarkOffset(topic, number, offset, "")
		failpoint.Hit(failpoint.OffsetMarked)
		session.Commit()
		failpoint.Hit(failpoint.OffsetCommitted)
	}
	h.sink.log.Info("Released partition", "partition", number)
	h.rebalanced(session)
	return nil
}

// replace puts value into a channel of one in place of one that nobody took.
func replace(channel chan int64, value int64) {
	select {
	case <-channel:
	default:
	}
	channel <- value
}

func (h *handler) rebalanced(session sarama.ConsumerGroupSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if generation := session.GenerationID(); generation != h.generation {
		h.generation = generation
		h.sink.metrics.rebalances.Inc()
	}
}
