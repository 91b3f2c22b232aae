// Package program is what the programs of the data plane have in common: command line, configuration, signals, logger
// and exit codes.
package program

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/logging"
)

// Main runs the program name. It parses the command line, with the flags that the caller defined besides its own, loads
// the configuration and calls run, whose context ends with SIGTERM or SIGINT. It exits with 2 for a wrong command line
// and with 1 for an error.
func Main[Config any](name string, run func(ctx context.Context, cfg Config, log logr.Logger) error) {
	config := flag.String("config", "/etc/logpipe/"+name+".json", "path of the configuration, a JSON file")
	verbosity := flag.Int("v", 0, "how much to log: 0 tells what happened, 1 tells how")
	asJSON := flag.Bool("log-json", false, "log JSON objects instead of text")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%s: unexpected argument %q\n", name, flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one ends the process
	log := logging.New(os.Stderr, *verbosity, *asJSON)

	var cfg Config
	err := conf.Load(*config, &cfg)
	if err == nil {
		err = run(ctx, cfg, log)
	}
	if err == nil {
		log.Info("Stopped")
	}
	Exit(name, err)
}

// Exit ends the program, with 1 if there is an error, which it prints.
func Exit(name string, err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(1)
}
