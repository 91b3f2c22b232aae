package faults

import (
	"testing"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

// looseSteps are where an agent dies that delivers at least once: those that it comes to in each life, and what the hit
// that kills is at most.
var looseSteps = map[failpoint.Name]int{
	failpoint.JournalAppended: 60,
	failpoint.JournalWritten:  3,
	failpoint.JournalSynced:   3,
	failpoint.FileAdded:       2,
	failpoint.FileFinished:    2,
	failpoint.BatchSealed:     30,
	failpoint.BatchSynced:     2,
	failpoint.BatchSent:       30,
	failpoint.BatchAnswered:   30,
	failpoint.BatchAcked:      30,
	failpoint.RecoverRenewed:  1,
	failpoint.RecoverRewound:  1,
}

// TestAtLeastOnceLosesNothing kills an agent that delivers at least once while logs are written, rotated, compressed
// and deleted. Lines may come again, behind where they came first.
func TestAtLeastOnceLosesNothing(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	for step, most := range looseSteps {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			w := newLogs(t, brokers, false)
			w.deliverAs(agent.AtLeastOnce)
			for range rounds(t, defaultRounds) {
				w.live(step, order(step, most))
			}
			w.wantNothingLost()
		})
	}
}

// TestSwitchedDeliveryLosesNothing has agents deliver at least once and exactly once in turns, each of which dies with
// batches that are sent and not acknowledged.
func TestSwitchedDeliveryLosesNothing(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	tests := map[string][]agent.Delivery{
		"exactly once first":  {agent.ExactlyOnce, agent.AtLeastOnce},
		"at least once first": {agent.AtLeastOnce, agent.ExactlyOnce},
	}
	for name, deliveries := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLogs(t, brokers, false)
			for range rounds(t, defaultRounds) {
				for _, delivery := range deliveries {
					w.deliverAs(delivery)
					w.live(failpoint.BatchSent, order(failpoint.BatchSent, 30))
				}
			}
			w.wantNothingLost()
		})
	}
}

// TestExactlyOnceFromThenOn stops an agent that delivers at least once in good order, and lets agents follow that
// deliver exactly once: no line comes twice that was not there before, however often these are killed.
func TestExactlyOnceFromThenOn(t *testing.T) {
	w := newLogs(t, servers.Kafka(t, 1).Bootstrap, false)
	w.deliverAs(agent.AtLeastOnce)
	w.write()
	life := w.agent.start("")
	life.until("all lines are in Kafka", w.delivered)
	life.stop()
	if verdict := w.verdict(); !verdict.Perfect() {
		t.Fatalf("lines came twice though no agent died: %s", verdict)
	}
	w.deliverAs(agent.ExactlyOnce)
	for range rounds(t, defaultRounds) {
		w.live(failpoint.BatchSent, order(failpoint.BatchSent, 30))
	}
	w.deliver()
	verdict := w.verdict()
	if !verdict.Perfect() {
		t.Errorf("not exactly once: %s", verdict)
	}
	t.Logf("%s; %d lives", verdict, w.agent.lives)
}

// wantNothingLost lets an agent deliver everything.
func (w *logs) wantNothingLost() {
	w.Helper()
	w.deliver()
	verdict := w.verdict()
	if verdict.Lost+verdict.Corrupt+verdict.OutOfOrder > 0 {
		w.Errorf("not at least once: %s", verdict)
	}
	w.Logf("%s; %d lives", verdict, w.agent.lives)
}

// newest is the number of the line behind the newest one in a partition.
func newest(t *testing.T, client *kafka.Client, topic string, partition int32) uint64 {
	t.Helper()
	_, end, err := client.Offsets(t.Context(), topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	if end == 0 {
		return 0
	}
	fetcher := kafka.NewFetcher(client, topic, partition, logr.Discard())
	defer fetcher.Close()
	fetched, err := fetcher.Fetch(t.Context(), end-1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range fetched.Records {
		if _, sequence, ok := lines.Parse(r.Value); ok && r.Offset == end-1 {
			return sequence + 1
		}
	}
	t.Fatalf("the record at offset %d is not a line", end-1)
	return 0
}
