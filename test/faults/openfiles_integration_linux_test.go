package faults

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTooManyOpenFiles rotates a log while the agent may not open any more files, again and again for a moment: what
// it finds out meanwhile is not to be taken for what is there.
func TestTooManyOpenFiles(t *testing.T) {
	besideRotations(t, (*tailed).starving, func(w *tailed) {
		told := bytes.Count(w.agent.life.read(), []byte(unix.EMFILE.Error()))
		if w.Logf("the agent told of it %d times", told); told == 0 {
			w.Error("the agent never had too many open files")
		}
	})
}

// starving allows the agent no more open files than it has, for a moment and again and again until ctx is done.
func (w *tailed) starving(ctx context.Context) {
	times := 0
	random, pid := rand.New(rand.NewPCG(w.seed, 3)), w.agent.life.process.Process.Pid
	var usual unix.Rlimit
	w.check(unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &usual))
	for more := true; more; more = sleep(ctx, random, 200*time.Millisecond) {
		times++
		w.check(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: usual.Max}, nil))
		sleep(ctx, random, 200*time.Millisecond)
		w.check(unix.Prlimit(pid, unix.RLIMIT_NOFILE, &usual, nil))
	}
	w.Logf("too many open files %d times", times)
}
