package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/kafka"
)

const (
	samples = "../../../../config/samples"
	broken  = "apiVersion: logpipe.dev/v1alpha1\nkind: Topic\nmetadata: {name: t}\nspec: {partition: 3}\n"
)

func TestCommands(t *testing.T) {
	empty := t.TempDir()
	tests := map[string]struct {
		args     []string
		stdin    string
		wantCode int
		wantOut  string
		wantErr  string
	}{
		"nothing shows the help":       {wantOut: "Available Commands:"},
		"help does not show internals": {args: []string{"--help"}, wantOut: "validate"},
		"version":                      {args: []string{"version"}, wantOut: "logpipe "},
		"an unknown command": {
			args: []string{"valdate"}, wantCode: 2, wantErr: `unknown command "valdate"`,
		},
		"an unknown flag": {
			args: []string{"validate", "--file", "x"}, wantCode: 2, wantErr: "unknown flag: --file: see logpipe validate --help",
		},
		"an argument too many": {
			args: []string{"validate", "x.yaml"}, wantCode: 2, wantErr: `unexpected argument "x.yaml"`,
		},
		"validate without a file": {
			args: []string{"validate"}, wantCode: 2, wantErr: "Name at least one with -f",
		},
		"validate a file that is not there": {
			args: []string{"validate", "-f", filepath.Join(empty, "x.yaml")}, wantCode: 2, wantErr: "no such file",
		},
		"validate good files": {
			args: []string{"validate", "-f", samples}, wantOut: "4 LogSources, 4 Topics and 4 HDFSSinks are valid",
		},
		"validate a bad file on the standard input": {
			args: []string{"validate", "-f", "-"}, stdin: broken, wantCode: 1,
			wantOut: "<stdin>:4: Topic/t: spec.partition: unknown field: did you mean partitions?",
		},
		"run a bad file": {
			args: []string{"run", "-f", "-"}, stdin: broken, wantCode: 1, wantErr: "did you mean partitions?",
		},
		"run with a bad address": {
			args: []string{"run", "-f", samples, "--node-ip", "here"}, wantCode: 2, wantErr: `--node-ip: invalid value "here"`,
		},
		"run nothing": {
			args: []string{"run", "-f", "-"}, stdin: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", wantCode: 2,
			wantErr: "nothing to run",
		},
		"an agent without a configuration": {
			args: []string{"agent"}, wantCode: 2, wantErr: "Name its file with --config",
		},
		"an agent with a configuration that is not there": {
			args: []string{"agent", "--config", filepath.Join(empty, "x")}, wantCode: 1, wantErr: "read configuration",
		},
		"a sink with a configuration that is not there": {
			args: []string{"sink", "--config", filepath.Join(empty, "x")}, wantCode: 1, wantErr: "read configuration",
		},
		"a demo of nothing": {
			args: []string{"demo", "--lines", "0"}, wantCode: 2, wantErr: "must be 1 or more",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := Run(t.Context(), tc.args, Streams{In: strings.NewReader(tc.stdin), Out: &out, Err: &errs})
			if code != tc.wantCode {
				t.Errorf("exit code %d, want %d", code, tc.wantCode)
			}
			if !strings.Contains(out.String(), tc.wantOut) {
				t.Errorf("output %q\ndoes not contain %q", &out, tc.wantOut)
			}
			if !strings.Contains(errs.String(), tc.wantErr) || tc.wantErr == "" && errs.Len() > 0 {
				t.Errorf("errors %q, want %q", &errs, tc.wantErr)
			}
		})
	}
}

// TestRunEndsWithItsContext runs a pipe that has all it needs and tells it to stop.
func TestRunEndsWithItsContext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var out, errs bytes.Buffer
	args := []string{"run", "-f", samples + "/files.yaml", "--embedded", "--state-dir", dir, "--node", "n"}
	var code int
	done := make(chan struct{})
	go func() {
		defer close(done)
		code = Run(ctx, args, Streams{Out: &out, Err: &errs})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	awaitFiles(t, dir, "kafka", "files/warehouse/raw", "agents/default/orders")
	cancel()
	<-done
	if code != exitOK {
		t.Fatalf("exit code %d:\n%s", code, &errs)
	}
	if !strings.Contains(out.String(), "LogSource/orders: ") || !strings.Contains(out.String(), "HDFSSink/orders: ") {
		t.Errorf("how far it got is not told:\n%s", &out)
	}
}

func awaitFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); len(names) > 0; {
		if _, err := os.Stat(filepath.Join(dir, names[0])); err == nil {
			names = names[1:]
			continue
		}
		if time.Now().After(end) {
			t.Fatalf("%s did not come", names)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestAgentCommand makes sure that the configuration is the agent's, and read strictly.
func TestAgentCommand(t *testing.T) {
	data, err := json.Marshal(agent.Config{
		Name: "a/b", StateDir: t.TempDir(), Topic: "t",
		Kafka:  kafka.Config{BootstrapServers: []string{"127.0.0.1:1"}},
		Inputs: []agent.Input{{Files: &agent.FilesInput{Include: []string{"relative.log"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "agent.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	code := Run(t.Context(), []string{"agent", "--config", file}, Streams{Out: &bytes.Buffer{}, Err: &errs})
	if code != exitFailed || !strings.Contains(errs.String(), "relative.log") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}

func TestDescribeBuild(t *testing.T) {
	tests := map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"a release": {
			info: &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, want: "logpipe v1.2.3, go",
		},
		"a build from changed sources": {
			info: &debug.BuildInfo{
				Main: debug.Module{Version: "(devel)"},
				Settings: []debug.BuildSetting{
					{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
				},
			},
			want: "logpipe unreleased (0123456789ab) with changes, go",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := describeBuild(tc.info)
			if diff := cmp.Diff(tc.want, got[:min(len(got), len(tc.want))]); diff != "" {
				t.Error(diff)
			}
		})
	}
}
