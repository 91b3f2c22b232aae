//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logpipe/logpipe/test/faults/guest"
)

// agent is the agent, which is killed and started again.
type agent struct {
	process *exec.Cmd
	ended   chan error
	// suffering is true until the last fault.
	suffering atomic.Bool
}

func (a *agent) start() error {
	a.process, a.ended = exec.Command("/agent", "--config", guest.AgentConfig, "-v", "1"), make(chan error, 1)
	a.process.Stdout, a.process.Stderr = os.Stdout, os.Stderr
	if err := a.process.Start(); err != nil {
		return err
	}
	go func() { a.ended <- a.process.Wait() }()
	return nil
}

// kill ends the agent with SIGKILL.
func (a *agent) kill() error {
	select {
	case err := <-a.ended:
		return fmt.Errorf("the agent ended by itself: %w", err)
	default:
	}
	if err := a.process.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	fmt.Println("guest: agent killed, it ended with", <-a.ended)
	return nil
}

// suffer sets the clock so many times, and kills the agent now and then. In the end the clock is right.
func (a *agent) suffer(c *clock, jumps int) {
	defer a.suffering.Store(false)
	for range jumps {
		time.Sleep(time.Duration(200+c.random.IntN(600)) * time.Millisecond)
		err := c.jump()
		if err == nil && c.random.IntN(3) == 0 {
			if err = a.kill(); err == nil {
				err = a.start()
			}
		}
		if err != nil {
			fmt.Println("guest: ended:", err)
			return
		}
	}
	if err := c.set(0); err != nil {
		fmt.Println("guest: ended:", err)
	}
}

// clock is that of the machine.
type clock struct {
	random *rand.Rand
	// began is when the machine was started, by a clock that was right.
	began time.Time
}

func newClock(random *rand.Rand) *clock {
	return &clock{random: random, began: time.Now().Add(-uptime())}
}

func uptime() time.Duration {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		panic(err)
	}
	return time.Duration(up.Nano())
}

// jump sets the clock to seconds, minutes, hours or a day before or after what is right.
func (c *clock) jump() error {
	most := [...]time.Duration{time.Second, 30 * time.Minute, 3 * time.Hour, 24 * time.Hour}[c.random.IntN(4)]
	return c.set(time.Duration(c.random.Int64N(2*int64(most))) - most)
}

func (c *clock) set(ahead time.Duration) error {
	to := unix.NsecToTimeval(c.began.Add(uptime() + ahead).UnixNano())
	if err := unix.Settimeofday(&to); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	fmt.Println("guest: clock set to", ahead)
	return nil
}
