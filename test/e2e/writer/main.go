// The writer prints numbered lines, for tests: "writer NAME COUNT PER_SECOND".
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/logpipe/logpipe/internal/lines"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: writer NAME COUNT PER_SECOND")
	}
	count, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("parse count: %w", err)
	}
	rate, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil || rate == 0 {
		return fmt.Errorf("parse rate %q: use a number above 0: %w", args[2], err)
	}
	source, out := lines.NewSource(args[0], 1), bufio.NewWriter(os.Stdout)
	began := time.Now()
	for source.Count() < count {
		due := uint64(time.Since(began).Seconds()*float64(rate)) + 1
		for source.Count() < min(due, count) {
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
