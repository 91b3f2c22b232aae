package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/cmd/logpipe/internal/pipe"
)

// progressInterval is how often `run` tells how far it is.
const progressInterval = 10 * time.Second

func newRun(log *logOptions) *cobra.Command {
	var files []string
	var node agent.Node
	o := pipe.Options{Progress: progressInterval}
	cmd := &cobra.Command{
		Use:   "run -f FILE...",
		Short: "Run the resources of files in this process, without a cluster",
		Long: `Run LogSources, Topics and HDFSSinks in this process until SIGINT or SIGTERM: topics are made in the Kafka they
name, an agent runs per LogSource and a sink per HDFSSink. Secrets and ConfigMaps that they refer to belong into the
files too. What fails is tried again and does not stop the others.

Positions are kept below --state-dir: start again with the same one, and every line is still moved exactly once.

With --embedded nothing else is needed: a broker runs inside, and a directory is used in place of HDFS. Both are below
--state-dir.

Exit codes: 0 after a signal and an end in good order, 1 for an error, 2 for a wrong command line.`,
		Example: "  logpipe run -f config/samples/pipe.yaml --embedded\n" +
			"  logpipe run -f /etc/logpipe/ --state-dir /var/lib/logpipe --node-label topology.kubernetes.io/zone=a",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := load(cmd, files, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if len(set.Sources)+len(set.Sinks)+len(set.Topics) == 0 {
				return misuse{errors.New("nothing to run: the files hold no LogSource, Topic or HDFSSink")}
			}
			if o.Node, err = thisNode(node); err != nil {
				return err
			}
			o.Out, o.Log = cmd.OutOrStdout(), log.logger(cmd.ErrOrStderr())
			return pipe.Run(cmd.Context(), set, o)
		},
	}
	addFiles(cmd, &files)
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "state-dir", "logpipe-data", "directory for positions, and for what --embedded keeps")
	flags.BoolVar(&o.Embedded, "embedded", false, "bring a broker, and use a directory in place of HDFS")
	flags.StringVar(&node.Name, "node", "", "name of this machine in keys and metadata (default its host name)")
	flags.StringVar(&node.IP, "node-ip", "", "address of this machine, for partitionKey.subnet (default the one it uses)")
	flags.StringToStringVar(&node.Labels, "node-label", nil,
		"label of this machine, NAME=VALUE; may be given several times")
	return cmd
}

// thisNode fills in what the command line does not say of this machine.
func thisNode(node agent.Node) (agent.Node, error) {
	if node.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return node, fmt.Errorf("find the name of this machine (set --node): %w", err)
		}
		node.Name = name
	}
	if node.IP == "" {
		node.IP = ownAddress()
	}
	if net.ParseIP(node.IP) == nil {
		return node, misuse{fmt.Errorf("--node-ip: invalid value %q: write an address such as 10.0.0.7", node.IP)}
	}
	return node, nil
}

// ownAddress returns the first address of this machine that is not only its own, or the loopback address.
func ownAddress() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return net.IPv4(127, 0, 0, 1).String()
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return net.IPv4(127, 0, 0, 1).String()
}
