package faults

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/faults/guest"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// fewCuts is how often the power is cut without LOGPIPE_FAULTS_ROUNDS.
	fewCuts = 3
	// lastLines are written by the machine whose power is not cut any more.
	lastLines = 2000
	// batchLines are more than a batch has.
	batchLines = 80
)

// TestPowerCuts cuts the power of a machine while lines are written and sent. What its kernel had not brought to the
// disk is gone then: the end of the log, and of the agent's journal. Every line that was on the disk, or in Kafka, is
// there in the end. Where a log was written to again before the agent looked, some lines before the cut come twice.
func TestPowerCuts(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	for _, fileSystem := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fileSystem, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, fileSystem, brokers)
			cuts, from := rounds(t, fewCuts), seed(t)
			random := rand.New(rand.NewPCG(from, 1))
			synced := map[string]uint64{}
			for cut := range cuts {
				o := guest.Order{Writer: fmt.Sprintf("b%d", cut), Seed: from + uint64(cut)}
				m.boot(o)
				m.await("lines are written", func() bool { return m.synced() > 0 })
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
				m.cut()
				synced[o.Writer] = m.synced()
			}
			m.boot(guest.Order{Writer: "last", Seed: from, Last: lastLines})
			m.awaitDone()
			synced["last"] = m.synced()
			m.judge(cuts, synced)
		})
	}
}

// judge compares what is in Kafka with what was on the disk for good before each power cut.
func (m *machine) judge(cuts int, synced map[string]uint64) {
	m.Helper()
	checker, written := lines.NewChecker(), map[string]uint64{}
	readPartition(m.T, m.client, m.topic, 0, checker)
	taken := uint64(0) // from the disk, though they are in Kafka
	for writer, n := range synced {
		written[writer] = max(n, checker.Next(writer))
		taken += written[writer] - n
	}
	verdict := checker.Verdict(written)
	m.Logf("%d power cuts, which took %d lines that had been sent: %s", cuts, taken, verdict)
	if verdict.Lost+verdict.OutOfOrder > 0 {
		m.Error("lines are lost, or out of order")
	}
	if most := taken/2 + uint64(cuts)*batchLines; verdict.Duplicated > most {
		m.Errorf("%d lines came twice: more than %d", verdict.Duplicated, most)
	}
	if verdict.Corrupt > uint64(cuts) {
		m.Errorf("%d lines are not whole: more than one for each power cut", verdict.Corrupt)
	}
}
