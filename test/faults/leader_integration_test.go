package faults

import (
	"bytes"
	"testing"

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
