package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/kafka"
)

const (
	// pollInterval is how often active files are looked at.
	pollInterval = 25 * time.Millisecond
	// leastRead is the least room in a batch that is worth a read.
	leastRead = 32 << 10
	// readSlack is what a line may have more than its record: framing.
	readSlack = 64 << 10
)

// follow reads, seals, sends and takes acknowledgements until ctx is done or a batch can't be sent.
func (a *Agent) follow(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-a.producer.Results():
			if err := a.acknowledged(r, a.now()); err != nil {
				return err
			}
		case events, ok := <-a.events:
			if !ok {
				return errors.New("inotify ended")
			}
			a.woken(events)
		case <-timer.C:
		}
		wait, err := a.step(ctx, a.now())
		if err != nil {
			return err
		}
		timer.Reset(wait)
	}
}

// step does all that can be done now and returns how long nothing else is due.
func (a *Agent) step(ctx context.Context, now time.Time) (time.Duration, error) {
	if err := a.takeResults(now); err != nil {
		return 0, err
	}
	if !now.Before(a.scanAt) || a.files.NeedsScan() {
		if err := a.scan(); err != nil {
			return 0, err
		}
	}
	active, err := a.poll(now)
	if err != nil {
		return 0, err
	}
	more, err := a.readAll(now)
	if err != nil {
		return 0, err
	}
	if err := a.sealDue(now); err != nil {
		return 0, err
	}
	if err := a.commit(); err != nil {
		a.problem(err.Error()) // a full disk: nothing is sent until the journal can be written again
		a.log.Error(err, "Waiting for the journal")
		return time.Second, nil
	}
	if !now.Before(a.keepAt) {
		a.keepAt = now.Add(housekeeping)
		if err := a.maintain(ctx, now); err != nil {
			return 0, err
		}
	}
	return a.nextStep(now, more, active), nil
}

func (a *Agent) takeResults(now time.Time) error {
	for {
		select {
		case r := <-a.producer.Results():
			if err := a.acknowledged(r, now); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// nextStep is how long to wait for something to happen.
func (a *Agent) nextStep(now time.Time, more, active bool) time.Duration {
	if more {
		return 0
	}
	wait := min(a.scanAt.Sub(now), a.keepAt.Sub(now))
	if active {
		wait = min(wait, pollInterval)
	}
	for _, b := range a.open {
		if len(b.records) > 0 {
			wait = min(wait, max(b.opened.Add(a.cfg.Batch.Interval.Std()).Sub(now), time.Millisecond))
		}
	}
	if a.cfg.RateLimit != nil {
		wait = min(wait, pollInterval)
	}
	return max(wait, 0)
}

func (a *Agent) woken(events []tail.Event) {
	now := a.now()
	for _, f := range a.files.Woken(events) {
		for _, s := range a.order {
			if s.file == f {
				s.ready, s.readAt = true, now
			}
		}
	}
}

// maintain looks after what is not about single records: the journal, the topic, the figures.
func (a *Agent) maintain(ctx context.Context, now time.Time) error {
	if err := a.keepHouse(); err != nil {
		return err
	}
	if now.After(a.topicAt) {
		a.topicAt = now.Add(topicInterval)
		if err := a.lookAtTopic(ctx); err != nil {
			return err
		}
	}
	a.updateStats()
	return nil
}

// lookAtTopic notices that the topic has grown, takes smaller or larger batches, or is another one. What is open is
// sealed for the partitions of before.
func (a *Agent) lookAtTopic(ctx context.Context) error {
	topic, err := a.client.Topic(ctx, a.cfg.Topic)
	switch {
	case errors.Is(err, kafka.ErrTopicNotFound):
		return err
	case err != nil:
		a.log.V(1).Info("Topic could not be looked at", "reason", err.Error())
		return nil
	case topic.ID != a.topic.ID:
		return fmt.Errorf("topic %s was made anew: its id was %s and is %s now", topic.Name, a.topic.ID, topic.ID)
	case topic.Partitions == a.topic.Partitions:
		a.topic.MaxMessageBytes = topic.MaxMessageBytes
		return a.fitsInto(topic)
	}
	now := a.now()
	for b := range a.unsealed() {
		if done, err := a.sealIfFree(b, now); err != nil || !done {
			a.topicAt = now // again at the next look
			return err
		}
	}
	a.log.Info("Topic has grown, keys may lead to other partitions", "topic", topic.Name,
		"before", a.topic.Partitions, "partitions", topic.Partitions)
	a.topic = topic
	for _, s := range a.order {
		a.route(s)
	}
	return a.putSettings()
}

// finishUp seals what is open, and waits a moment for Kafka to acknowledge all of it.
func (a *Agent) finishUp() error {
	deadline := time.NewTimer(drainTimeout)
	defer deadline.Stop()
	for {
		for b := range a.unsealed() {
			if _, err := a.sealIfFree(b, a.now()); err != nil {
				return err
			}
		}
		if err := a.commit(); err != nil {
			return err
		}
		if a.waiting() == 0 {
			return a.keepHouse()
		}
		select {
		case <-deadline.C:
			return fmt.Errorf("%d batches were not acknowledged: they will be sent again", a.waiting())
		case r := <-a.producer.Results():
			if err := a.acknowledged(r, a.now()); err != nil {
				return err
			}
		}
	}
}

// waiting counts the batches that are not acknowledged.
func (a *Agent) waiting() int {
	n := 0
	for _, in := range a.inFlight {
		n += in
	}
	for _, b := range a.open {
		if len(b.records) > 0 {
			n++
		}
	}
	return n
}

// batchBytes is what a batch may hold: what is configured, but no more than the topic takes.
func (a *Agent) batchBytes() int {
	if limit := a.topic.MaxMessageBytes - batchOverhead; limit > 0 {
		return min(a.cfg.Batch.MaxBytes, limit)
	}
	return a.cfg.Batch.MaxBytes
}

// batchMemory is the memory that a batch is read into: its share of the buffer, and room for the longest line.
func (a *Agent) batchMemory() int {
	share := a.cfg.BufferBytes / (max(1, len(a.lanes)) * (kafka.MaxInFlight + 1))
	return max(min(a.batchBytes(), share), a.cfg.Decode.MaxRecordBytes+readSlack)
}

func (a *Agent) minRead() int { return min(leastRead, a.batchMemory()/8) }
