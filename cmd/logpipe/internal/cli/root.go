// Package cli holds the commands of logpipe.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/logpipe/logpipe/internal/logging"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitMisused = 2 // a wrong command line, or a file that can't be read
)

// misuse marks an error that is about the command line or the files it names.
type misuse struct{ err error }

func (m misuse) Error() string { return m.err.Error() }
func (m misuse) Unwrap() error { return m.err }

// errTold is returned by a command that has told what is wrong.
var errTold = errors.New("told")

// Streams are the inputs and outputs of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs the command that args name and returns the exit code.
func Run(ctx context.Context, args []string, streams Streams) int {
	root := newRoot() //nolint:contextcheck // a demo stops its programs in order, also after ctx ended
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errTold) {
		_, _ = fmt.Fprintf(streams.Err, "logpipe: %v\n", err)
	}
	if wrong := (misuse{}); errors.As(err, &wrong) {
		return exitMisused
	}
	return exitFailed
}

// logOptions say how commands log.
type logOptions struct {
	verbosity int
	json      bool
}

func (l *logOptions) logger(w io.Writer) logr.Logger { return logging.New(w, l.verbosity, l.json) }

func newRoot() *cobra.Command {
	log := &logOptions{}
	root := &cobra.Command{
		Use:   "logpipe",
		Short: "Move log lines from files through Kafka into HDFS files, exactly once",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misuse{fmt.Errorf("unknown command %q: see %s --help", args[0], cmd.CommandPath())}
			}
			return nil
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.IntVarP(&log.verbosity, "verbosity", "v", 0, "how much to log: 0 tells what happened, 1 tells how")
	flags.BoolVar(&log.json, "log-json", false, "log JSON objects instead of text")
	root.AddCommand(newDemo(log), newValidate(), newRun(log), newAgent(log), newSink(log), newVersion())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misuse{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	return root
}

// noArgs refuses arguments that are not flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse{fmt.Errorf("unexpected argument %q: see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}
