package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/sink"
)

// newAgent does what the agent's own program does, for one binary on a plain server, and for the demo.
func newAgent(log *logOptions) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:    "agent --config FILE",
		Short:  "Run one agent from its configuration, as the program agent does",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg agent.Config
			if err := loadConfig(file, &cfg); err != nil {
				return err
			}
			agent.LimitMemory()
			return agent.Run(cmd.Context(), cfg, log.logger(cmd.ErrOrStderr()))
		},
	}
	addConfig(cmd, &file, "agent.Config")
	return cmd
}

// newSink does what the sink's own program does.
func newSink(log *logOptions) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:    "sink --config FILE",
		Short:  "Run one sink from its configuration, as the program sink does",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg sink.Config
			if err := loadConfig(file, &cfg); err != nil {
				return err
			}
			sink.LimitMemory()
			return sink.Run(cmd.Context(), cfg, log.logger(cmd.ErrOrStderr()))
		},
	}
	addConfig(cmd, &file, "sink.Config")
	return cmd
}

func addConfig(cmd *cobra.Command, file *string, what string) {
	cmd.Flags().StringVar(file, "config", "", "path of the configuration, a JSON file with one "+what)
}

// loadConfig reads the file that --config names.
func loadConfig(file string, cfg any) error {
	if file == "" {
		return misuse{errors.New("which configuration? Name its file with --config")}
	}
	return conf.Load(file, cfg)
}
