package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/logpipe/logpipe/cmd/logpipe/internal/demo"
)

func newDemo(log *logOptions) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make logs, move them through the whole pipe, and verify every line",
		Long: `Write realistic logs with rotations, move them with agents through Kafka and with sinks into files, show it
live, and then check every line: written, delivered, lost, duplicated, out of order. Without --kafka a broker runs
inside; without --hdfs the files go to a directory.

Exit codes: 0 every line arrived once and in order, 1 it did not or something failed, 2 a wrong command line.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rate < 1 || o.Lines < 1 || o.Agents < 1 || o.Sinks < 1 || o.Partitions < 1 || o.Rotations < 0 {
				return misuse{errors.New("--lines, --rate, --agents, --sinks and --partitions must be 1 or more, " +
					"--rotations 0 or more")}
			}
			o.Out, o.Log = cmd.OutOrStdout(), log.logger(cmd.ErrOrStderr())
			return demo.Run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&o.Lines, "lines", 250_000, "lines to write in all")
	flags.IntVar(&o.Rate, "rate", 20_000, "lines per second")
	flags.IntVar(&o.Rotations, "rotations", 6, "rotations of each log")
	flags.IntVar(&o.Agents, "agents", 3, "agents, each with a log of its own")
	flags.IntVar(&o.Sinks, "sinks", 2, "sinks in one group; one more joins half way")
	flags.Int32Var(&o.Partitions, "partitions", 12, "partitions of the topic")
	flags.StringSliceVar(&o.Kafka, "kafka", nil, "host:port of brokers to use in place of the embedded one")
	flags.StringVar(&o.HDFS, "hdfs", "", "URI of a directory to write to, such as hdfs://localhost:8020/demo")
	flags.StringVar(&o.Dir, "dir", "", "directory for logs, positions and files, which is kept (default a temporary one)")
	flags.DurationVar(&o.Drain, "drain", time.Minute, "how long to wait for the last line")
	flags.BoolVar(&o.JSON, "json", false, "print the outcome as one JSON object")
	cmd.AddCommand(newDemoCheck())
	return cmd
}

func newDemoCheck() *cobra.Command {
	var truth string
	cmd := &cobra.Command{
		Use:   "check --truth FILE",
		Short: "Check lines on standard input against what a demo wrote (DIR/written.json)",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo.Check(cmd.InOrStdin(), truth, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&truth, "truth", "written.json", "the file that the demo left in its --dir")
	return cmd
}
