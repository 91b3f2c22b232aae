package faults

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/logpipe/logpipe/test/servers"
)

// astrayLives is how many agents are killed in each round.
const astrayLives = 4

// TestProduceRequestsGoAstray: requests come twice, late, after the agent that sent them was killed, or never, and
// answers get lost. Sequences that survive the agent keep all that from doing harm.
func TestProduceRequestsGoAstray(t *testing.T) {
	p := newProxy(t, servers.Kafka(t, 1).Bootstrap[0], seed(t))
	w := newLogs(t, []string{p.address}, false)
	w.deliver() // Kafka knows the producers
	p.astray.Store(true)
	for range rounds(t, defaultRounds) * astrayLives {
		w.write()
		w.rotate()
		w.clean()
		life := w.agent.start("")
		w.awaitFound(life)
		w.write()
		w.rotate()
		w.write()
		before := p.produced.Load()
		enough := int64(5 + rand.IntN(100))
		life.until("some requests were sent", func() bool { return p.produced.Load() >= before+enough || w.delivered() })
		life.kill()
	}
	p.astray.Store(false)
	p.delayed.Wait()
	w.deliver()
	verdict := w.verdict()
	t.Logf("%d lives; of %d produce requests %d came twice, %d late, %d never, and %d answers were lost: %s",
		w.agent.lives, p.produced.Load(), p.doubled.Load(), p.late.Load(), p.lost.Load(), p.unanswered.Load(), verdict)
	if !verdict.Perfect() {
		t.Error("not exactly once")
	}
}

// TestWithoutPersistedSequences is the control: an agent whose journal is set back has lost the sequences of what it
// sent since, and sends it again under new ones. The checks above see that.
func TestWithoutPersistedSequences(t *testing.T) {
	w := newLogs(t, servers.Kafka(t, 1).Bootstrap, false)
	w.deliver()
	state, saved := filepath.Join(w.agent.dir, "state"), filepath.Join(w.agent.dir, "saved")
	w.agent.check(os.CopyFS(saved, os.DirFS(state)))
	w.deliver()
	w.agent.check(os.RemoveAll(state))
	w.agent.check(os.CopyFS(state, os.DirFS(saved)))
	w.deliver() // until there are as many lines as were written, in which the doubled ones count
	if verdict := w.verdict(); verdict.Duplicated == 0 {
		t.Errorf("a journal that was set back did not show: %s", verdict)
	}
}
