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
	_ "time/tzdata" // images have no time zones

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/internal/program"
	"github.com/logpipe/logpipe/sink"
)

func main() {
	program.Main("sink", func(ctx context.Context, cfg sink.Config, log logr.Logger) error {
		sink.LimitMemory()
		return sink.Run(ctx, cfg, log)
	})
}
