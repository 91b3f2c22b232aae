package faults

import (
	"strings"
	"testing"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/faults/guest"
	"github.com/logpipe/logpipe/test/servers"
)

// fewJumps is how often the clock is set without LOGPIPE_FAULTS_ROUNDS.
const fewJumps = 10

// TestClockJumps sets the clock of a machine forward and back, by up to a day, while lines are written, logs rotated
// and the agent killed. While the clock is more than an hour ahead, Kafka takes nothing.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "ext4", servers.Kafka(t, 1).Bootstrap)
	jumps := rounds(t, fewJumps)
	m.boot(guest.Order{Writer: writerName(0), Seed: seed(t), Last: lastLines, Jumps: jumps})
	m.awaitDone()
	m.cut()
	checker := lines.NewChecker()
	readPartition(t, m.client, m.topic, 0, checker)
	verdict := checker.Verdict(map[string]uint64{writerName(0): m.synced()})
	t.Logf("clock set %d times, agent killed %d times: %s", strings.Count(m.said(), "guest: clock set"),
		strings.Count(m.said(), "guest: agent killed"), verdict)
	if !verdict.Perfect() {
		t.Error("not exactly once")
	}
}
