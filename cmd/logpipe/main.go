// Logpipe validates and runs LogSources, Topics and HDFSSinks without a cluster, and demonstrates the whole pipe.
//
// Input: the files named by -f; see `logpipe COMMAND --help`. Output: what a command tells, on the standard output;
// logs and errors, on the standard error.
//
// Signals: SIGTERM and SIGINT end `run`, `agent`, `sink` and `demo` in good order. A second one ends them at once;
// nothing is lost or doubled by that.
//
// Exit codes: 0 success, 1 failure or problems found, 2 a wrong command line or a file that can't be read.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // plain servers and images may have no time zones

	"github.com/logpipe/logpipe/cmd/logpipe/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one ends the process
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
