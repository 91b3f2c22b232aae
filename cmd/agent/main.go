// The agent reads log files and writes their lines, exactly once and in order per partition, into one Kafka topic.
//
// Input: the JSON file named by --config, an agent.Config. Unknown fields are refused. --node names the machine where
// the configuration does not.
//
// Endpoints, if the configuration's listen is set: /metrics for Prometheus; /healthz; /readyz, 503 with the reason
// while lines do not reach Kafka.
//
// Signals: SIGTERM and SIGINT let it send what was read and wait up to 10 s for acknowledgements. A second one ends it
// at once; nothing is lost or doubled by that.
//
// Exit codes: 0 after a signal and a stop in good order, 1 for an error, 2 for a wrong command line.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/logging"
)

func main() {
	config := flag.String("config", "/etc/logpipe/agent.json", "path of the configuration, a JSON file")
	node := flag.String("node", "", "name of this machine, if the configuration does not give it")
	verbosity := flag.Int("v", 0, "how much to log: 0 tells what happened, 1 tells how")
	asJSON := flag.Bool("log-json", false, "log JSON objects instead of text")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "agent: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one ends the process
	log := logging.New(os.Stderr, *verbosity, *asJSON)

	var cfg agent.Config
	err := conf.Load(*config, &cfg)
	if err == nil {
		if cfg.Node.Name == "" {
			cfg.Node.Name = *node
		}
		agent.LimitMemory()
		err = agent.Run(ctx, cfg, log)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "agent: %v\n", err)
		os.Exit(1)
	}
	log.Info("Stopped")
}
