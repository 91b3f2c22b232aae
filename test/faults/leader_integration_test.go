package faults

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/test/servers"
)

// TestLeaderDiesWithWhatOnlyItHas kills the agent when the leader has stored its batch and no follower has, then starts
// it again, and then kills the leader: a batch that the leader says it has is not in Kafka yet.
func TestLeaderDiesWithWhatOnlyItHas(t *testing.T) {
	t.Parallel()
	brokers := servers.PrivateKafka(t, 3)
	w := newLogs(t, brokers.Bootstrap, false)
	life := w.agent.start("")
	w.write()
	life.until("all lines are in Kafka", w.delivered)

	leader, before := w.leader(0)
	for broker := 1; broker <= 3; broker++ {
		if broker != leader {
			brokers.Pause(broker)
			defer brokers.Resume(broker)
		}
	}
	w.append(0, w.next(0))
	life.until("the leader has the last line", func() bool {
		_, now := w.leader(0)
		return len(now) == 1 && now[0].LastSequence == before[0].LastSequence+1
	})
	life.kill()
	life = w.agent.start("")
	life.until("the batch is sent again", func() bool {
		return bytes.Contains(life.read(), []byte("Sent again what was pending"))
	})
	brokers.Kill(leader)
	for broker := 1; broker <= 3; broker++ {
		if broker != leader {
			brokers.Resume(broker)
		}
	}
	life.until("another broker leads", func() bool {
		_, _, err := w.client.Offsets(t.Context(), w.topic, 0)
		return err == nil
	})
	life.until("all lines are in Kafka", w.delivered)
	life.kill()
	verdict := w.verdict()
	if !verdict.Perfect() {
		t.Errorf("not exactly once: %s", verdict)
	}
	t.Log(verdict)
}

// TestBrokersKnowOnlyTheLastBatch kills the agent when the broker has stored several batches whose acknowledgements it
// has not noted, and restarts the broker. Of what a producer sent, a broker writes down no more than the last batch:
// one before it, sent again, is out of sequence for ever.
func TestBrokersKnowOnlyTheLastBatch(t *testing.T) {
	t.Parallel()
	const tries = 10
	broker := servers.PrivateKafka(t, 1)
	w := newLogs(t, broker.Bootstrap, false)
	several := 0
	for range tries {
		life := w.agent.start(string(failpoint.BatchAnswered) + "=kill@10")
		w.write()
		<-life.ended
		broker.Stop(1)
		broker.Start(1)
		w.client = connect(t, kafka.Config{BootstrapServers: broker.Bootstrap})
		if w.unacknowledged(0) > 1 {
			several++
		}
		life = w.agent.start("")
		life.until("all lines are in Kafka", w.delivered)
		life.kill()
		if several == 2 {
			break
		}
	}
	if several == 0 {
		t.Errorf("in %d tries the agent never left more than one batch behind that the broker has", tries)
	}
	verdict := w.verdict()
	if !verdict.Perfect() {
		t.Errorf("not exactly once: %s", verdict)
	}
	t.Log(verdict)
}

// unacknowledged counts the batches of a dead agent that the broker has, and that count as pending in the journal.
func (w *logs) unacknowledged(partition int32) int {
	w.Helper()
	j, err := journal.Open(w.Context(), filepath.Join(w.agent.dir, "state"))
	w.agent.check(err)
	defer func() { w.agent.check(j.Close()) }()
	_, producers := w.leader(int(partition))
	n := 0
	for _, b := range j.State().Pending {
		if b.Partition == partition && len(producers) == 1 && b.FirstSequence <= producers[0].LastSequence {
			n++
		}
	}
	return n
}
