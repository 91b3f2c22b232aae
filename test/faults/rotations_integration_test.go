package faults

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// fewRotations is how many rotations there are without LOGPIPE_FAULTS_ROUNDS.
	fewRotations = 60
	// kept is how many rotated logs there are at most.
	kept = 4
)

// TestRotations rotates a log as the kubelet does, as fast as Kafka gets its lines: the log before is compressed, the
// live one renamed, the oldest deleted. Beside that the agent is killed at any moment, and dead over as many rotations
// as logs are kept, but no log is deleted before Kafka has it.
func TestRotations(t *testing.T) {
	besideRotations(t, (*tailed).killing, func(w *tailed) { w.Logf("agent killed %d times", w.lives.Load()) })
}

// besideRotations lets a fault come beside rotations, with the live name configured and with all names; then looks at
// what became of the agent.
func besideRotations(t *testing.T, fault func(*tailed, context.Context), then func(*tailed)) {
	brokers := servers.Kafka(t, 1).Bootstrap
	for name, suffix := range map[string]string{"the live name is configured": "", "all names are": "*"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTailed(t, brokers, func(w *tailed, cfg *agent.Config) {
				cfg.Inputs[0].Files.Include = []string{w.live + suffix}
			})
			w.rotateBeside(fault)
			then(w)
		})
	}
}

// rotateBeside rotates the log again and again beside a fault, which goes on until its context ends, and checks what
// arrives.
func (w *tailed) rotateBeside(fault func(*tailed, context.Context)) {
	w.Helper()
	w.start()
	w.write(1)
	w.awaitAll() // the log is known
	began := time.Now()
	ctx, cancel := context.WithCancel(w.Context())
	var faults sync.WaitGroup
	faults.Go(func() { fault(w, ctx) })
	for range rounds(w.T, fewRotations) {
		w.write(1 + w.random.IntN(300))
		w.rotate()
	}
	cancel()
	faults.Wait()
	w.write(1)
	w.awaitAll()
	w.agent.kill()
	_, verdict := w.judge(w.source)
	w.Logf("%d rotations in %.0f s: %s", w.rotations, time.Since(began).Seconds(), verdict)
	if !verdict.Perfect() {
		w.Error("not exactly once")
	}
}

// rotate does what the kubelet does, but for deleting what Kafka does not have yet.
func (w *tailed) rotate() {
	w.Helper()
	if n := len(w.rotated); n > 0 {
		w.check(compress(w.rotated[n-1].name))
		w.rotated[n-1].name += ".gz"
	}
	if len(w.rotated) == kept {
		oldest := w.rotated[0]
		w.await("the oldest log is in Kafka", func() bool { return w.end() >= oldest.upTo })
		w.check(os.Remove(oldest.name))
		w.rotated = w.rotated[1:]
	}
	name := w.rotatedName()
	w.check(os.Rename(w.live, name))
	w.rotated = append(w.rotated, rotated{name: name, upTo: int64(w.source.Count())})
	if w.random.IntN(2) == 0 {
		w.write(0) // the live log is there at once
	}
}
