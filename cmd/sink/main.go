// The sink reads a Kafka topic as a member of a consumer group and writes its records, exactly once and in order, into
// files on HDFS or a local directory.
//
// Input: the JSON file named by --config, a sink.Config. Unknown fields are refused.
//
// Endpoints, if the configuration's listen is set: /metrics for Prometheus; /healthz, 503 when the process must be
// started again; /readyz, 503 with the reason while the sink or one of its partitions does not go on; /status, the same
// figures as JSON.
//
// Signals: SIGTERM and SIGINT let it commit what is written and leave the group, within 25 s. A second one ends it at
// once; nothing is lost or doubled by that.
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
	_ "time/tzdata" // images have no time zones

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/logging"
	"github.com/logpipe/logpipe/sink"
)

func main() {
	config := flag.String("config", "/etc/logpipe/sink.json", "path of the configuration, a JSON file")
	verbosity := flag.Int("v", 0, "how much to log: 0 tells what happened, 1 tells how")
	asJSON := flag.Bool("log-json", false, "log JSON objects instead of text")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "sink: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one ends the process
	log := logging.New(os.Stderr, *verbosity, *asJSON)

	var cfg sink.Config
	err := conf.Load(*config, &cfg)
	if err == nil {
		sink.LimitMemory()
		err = sink.Run(ctx, cfg, log)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sink: %v\n", err)
		os.Exit(1)
	}
	log.Info("Stopped")
}
