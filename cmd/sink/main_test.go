package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asSink makes the test binary be the sink.
const asSink = "LOGPIPE_TEST_AS_SINK"

func TestMain(m *testing.M) {
	if os.Getenv(asSink) == "1" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func binary(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asSink+"=1")
	return cmd
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		config, arg string
		wantCode    int
		wantText    string
	}{
		"an argument that nothing reads": {arg: "more", wantCode: 2, wantText: `unexpected argument "more"`},
		"an unknown field":               {config: `{"topics":"x"}`, wantCode: 1, wantText: `unknown field "topics"`},
		"a wrong type":                   {config: `{"topic":3}`, wantCode: 1, wantText: "topic"},
		"all wrong values at once": {
			config: `{"name":"ns/web","topic":"a b","roll":{"interval":"1ms"}}`, wantCode: 1, wantText: "roll.interval"},
		"a duration without a unit": {config: `{"roll":{"interval":"5"}}`, wantCode: 1, wantText: "number with a unit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sink.json")
			if err := os.WriteFile(file, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--config", file}
			if test.arg != "" {
				args = append(args, test.arg)
			}
			out, err := binary(t, args...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != test.wantCode || !strings.Contains(string(out), test.wantText) {
				t.Errorf("got %v with %s, want exit code %d with %q", err, out, test.wantCode, test.wantText)
			}
		})
	}
}
