// The writer prints numbered lines, for tests. "writer NAME COUNT PER_SECOND" prints COUNT lines, and a tenth as many
// more once "writer rest" was called beside it, in its container. Then it ends.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/logpipe/logpipe/internal/lines"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

// first is the process that prints, in its container.
const first = 1

func run(args []string) error {
	if len(args) == 1 && args[0] == "rest" {
		return syscall.Kill(first, syscall.SIGUSR1)
	}
	if len(args) != 3 {
		return fmt.Errorf("usage: writer NAME COUNT PER_SECOND, or writer rest")
	}
	count, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("parse count: %w", err)
	}
	rate, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil || rate == 0 {
		return fmt.Errorf("parse rate %q: use a number above 0: %w", args[2], err)
	}
	rest := make(chan os.Signal, 1)
	signal.Notify(rest, syscall.SIGUSR1)
	source := lines.NewSource(args[0], 1)
	if err := write(source, count, rate); err != nil {
		return err
	}
	<-rest
	return write(source, count/10, rate)
}

// write prints count lines, rate of them in a second.
func write(source *lines.Source, count, rate uint64) error {
	out, began := bufio.NewWriter(os.Stdout), time.Now()
	for n := uint64(0); n < count; {
		due := uint64(time.Since(began).Seconds()*float64(rate)) + 1
		for ; n < min(due, count); n++ {
			if _, err := out.Write(source.Next(time.Now())); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}
