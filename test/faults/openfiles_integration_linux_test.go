package faults

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/test/servers"
)

// TestTooManyOpenFiles rotates a log while the agent may not open any more files, again and again for a moment: what
// it finds out meanwhile is not to be taken for what is there.
func TestTooManyOpenFiles(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	for name, suffix := range map[string]string{"the live name is configured": "", "all names are": "*"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTailed(t, brokers, func(w *tailed, cfg *agent.Config) {
				cfg.Inputs[0].Files.Include = []string{w.live + suffix}
			})
			times := 0
			w.rotateBeside(func(ctx context.Context) { times = w.starving(ctx) })
			told := bytes.Count(w.agent.life.read(), []byte(unix.EMFILE.Error()))
			t.Logf("too many open files %d times, the agent told of it %d times", times, told)
			if told == 0 {
				t.Error("the agent never had too many open files")
			}
		})
	}
}

// starving allows the agent no more open files than it has, for a moment and again and again until ctx is done. It
// returns how often.
func (w *tailed) starving(ctx context.Context) (times int) {
	random, pid := rand.New(rand.NewPCG(w.seed, 3)), w.agent.life.process.Process.Pid
	var usual unix.Rlimit
	w.check(unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &usual))
	for sleep(ctx, random, 200*time.Millisecond) {
		times++
		w.check(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: usual.Max}, nil))
		sleep(ctx, random, 200*time.Millisecond)
		w.check(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &usual, nil))
	}
	return times
}
