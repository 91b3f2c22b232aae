// The manager makes Kafka topics, agents and sinks of Topics, LogSources and HDFSSinks.
//
// Input: flags, see --help; the API server of the cluster it runs in, or of KUBECONFIG.
//
// Endpoints: /metrics on --metrics-bind-address; /healthz and /readyz on --health-probe-bind-address.
//
// Signals: SIGTERM and SIGINT let it finish and give up its lease. Agents and sinks go on without it.
//
// Exit codes: 0 after a signal, 1 for an error or a lost lease, 2 for a wrong command line.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/logpipe/logpipe/controllers"
	"github.com/logpipe/logpipe/internal/logging"
	"github.com/logpipe/logpipe/internal/program"
)

// options are the flags.
type options struct {
	controllers.Options
	pullPolicy, namespaces, hostRoots, metrics, probes string
	leaderElect, logJSON                               bool
	verbosity                                          int
}

func main() {
	var o options
	flag.StringVar(&o.Objects.AgentImage, "agent-image", "", "image of agents (required)")
	flag.StringVar(&o.Objects.SinkImage, "sink-image", "", "image of sinks (required)")
	flag.StringVar(&o.pullPolicy, "image-pull-policy", string(corev1.PullIfNotPresent), "of these images")
	flag.StringVar(&o.namespaces, "namespaces", "", "namespaces to watch, separated by commas; empty watches all")
	flag.StringVar(&o.hostRoots, "allowed-host-roots", "/var/log", "directories of nodes below which agents may read")
	flag.StringVar(&o.metrics, "metrics-bind-address", ":8080", "address of /metrics, 0 for none")
	flag.StringVar(&o.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flag.BoolVar(&o.leaderElect, "leader-elect", true, "let only one of several managers work")
	flag.DurationVar(&o.TopicSyncInterval, "topic-sync-interval", time.Minute, "how often topics are compared with Kafka")
	flag.DurationVar(&o.KafkaTimeout, "kafka-timeout", 30*time.Second, "for all that is asked of Kafka at one time")
	flag.IntVar(&o.verbosity, "v", 0, "how much to log: 0 tells what happened, 1 tells how")
	flag.BoolVar(&o.logJSON, "log-json", false, "log JSON objects instead of text")
	flag.Parse()
	if problem := o.problem(); problem != "" {
		fmt.Fprintln(os.Stderr, "manager:", problem)
		os.Exit(2)
	}
	program.Exit("manager", run(ctrl.SetupSignalHandler(), o))
}

// problem says what is wrong with the command line.
func (o *options) problem() string {
	switch {
	case flag.NArg() > 0:
		return fmt.Sprintf("unexpected argument %q", flag.Arg(0))
	case o.Objects.AgentImage == "" || o.Objects.SinkImage == "":
		return "name the images with --agent-image and --sink-image"
	case o.TopicSyncInterval <= 0 || o.KafkaTimeout <= 0:
		return "use positive durations for --topic-sync-interval and --kafka-timeout"
	}
	o.Objects.PullPolicy, o.HostRoots = corev1.PullPolicy(o.pullPolicy), list(o.hostRoots)
	for _, root := range o.HostRoots {
		if !strings.HasPrefix(root, "/") {
			return fmt.Sprintf("--allowed-host-roots: %q is not an absolute path", root)
		}
	}
	return ""
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func run(ctx context.Context, o options) error {
	log := logging.New(os.Stderr, o.verbosity, o.logJSON)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	scheme, err := controllers.Scheme()
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Logger: log, Cache: controllers.CacheOptions(list(o.namespaces)),
		Metrics:                metricsserver.Options{BindAddress: o.metrics},
		HealthProbeBindAddress: o.probes,
		LeaderElection:         o.leaderElect, LeaderElectionID: "manager.logpipe.dev",
		LeaderElectionReleaseOnCancel: true, // nothing runs after Start returns
	})
	if err != nil {
		return fmt.Errorf("make manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, o.Options); err != nil {
		return err
	}
	return mgr.Start(ctx)
}
