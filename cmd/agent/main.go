// The agent reads log files and writes their lines, exactly once and in order per partition, into one Kafka topic.
//
// Input: the JSON file named by --config, an agent.Config. Unknown fields are refused. --node and --node-ip describe
// the machine where the configuration does not.
//
// Endpoints, if the configuration's listen is set: /metrics for Prometheus; /healthz; /readyz, 503 with the reason
// while lines do not reach Kafka.
//
// Signals: SIGTERM and SIGINT let it send what was read and wait up to 10 s for acknowledgements. A second one ends it
// at once; nothing is lost or doubled by that.
//
// "agent own-state DIR UID" does nothing but make the directory belong to that user: a pod does so as root once, before
// its agent runs as that user.
//
// Exit codes: 0 after a signal and a stop in good order, 1 for an error, 2 for a wrong command line.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/program"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "own-state" {
		program.Exit("agent", ownState(os.Args[2], os.Args[3]))
	}
	node := flag.String("node", "", "name of this machine, if the configuration does not give it")
	ip := flag.String("node-ip", "", "address of this machine, if the configuration does not give it")
	program.Main("agent", func(ctx context.Context, cfg agent.Config, log logr.Logger) error {
		if cfg.Node.Name == "" {
			cfg.Node.Name = *node
		}
		if cfg.Node.IP == "" {
			cfg.Node.IP = *ip
		}
		agent.LimitMemory()
		return agent.Run(ctx, cfg, log)
	})
}

func ownState(dir, owner string) error {
	uid, err := strconv.Atoi(owner)
	if err != nil {
		return fmt.Errorf("parse user id: %w", err)
	}
	return os.Chown(dir, uid, -1)
}
