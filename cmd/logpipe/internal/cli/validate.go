package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/logpipe/logpipe/cmd/logpipe/internal/manifest"
)

func newValidate() *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "validate -f FILE...",
		Short: "Say what is wrong with resources, without a cluster",
		Long: `Check files with LogSources, Topics and HDFSSinks: by the rules that the API server has, then by what agents
and sinks would say, then against each other. Each problem is a line

    FILE:LINE: Kind/name: field: what is wrong: what to do

Exit codes: 0 all is well, 1 there are problems, 2 a file can't be read or the command line is wrong.`,
		Example: "  logpipe validate -f pipe.yaml\n  logpipe validate -f config/samples/\n" +
			"  helm template . | logpipe validate -f -",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := load(cmd, files, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d LogSources, %d Topics and %d HDFSSinks are valid\n",
				len(set.Sources), len(set.Topics), len(set.Sinks))
			return err
		},
	}
	addFiles(cmd, &files)
	return cmd
}

func addFiles(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "filename", "f", nil,
		"file or directory with resources, - for the standard input; may be given several times")
}

// load reads files and writes their problems to out.
func load(cmd *cobra.Command, files []string, out io.Writer) (*manifest.Set, error) {
	if len(files) == 0 {
		return nil, misuse{errors.New("which file? Name at least one with -f")}
	}
	set, problems, err := manifest.Load(cmd.Context(), files, cmd.InOrStdin())
	if err != nil {
		return nil, misuse{err}
	}
	for _, problem := range problems {
		if _, err := fmt.Fprintln(out, problem); err != nil {
			return nil, fmt.Errorf("write problems: %w", err)
		}
	}
	if len(problems) > 0 {
		return nil, errTold
	}
	return set, nil
}
