//go:build failpoint

package failpoint

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// asVictim makes the test binary come to a step three times and end by itself.
const asVictim = "LOGPIPE_TEST_AS_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(asVictim) == "1" {
		for range 3 {
			Hit(BatchSynced)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestHit(t *testing.T) {
	tests := map[string]struct {
		armed      string
		wantKilled bool
		wantCode   int
	}{
		"kills at the first time":                  {armed: "agent.batch.synced=kill@1", wantKilled: true},
		"kills at the third time":                  {armed: "agent.batch.synced=kill@3", wantKilled: true},
		"lives when the time never comes":          {armed: "agent.batch.synced=kill@4"},
		"lives when another step is armed":         {armed: "agent.batch.sent=kill@1"},
		"refuses a step that does not exist":       {armed: "agent.batch.sinked=kill@1", wantCode: 2},
		"refuses a number that can't come":         {armed: "agent.batch.synced=kill@0", wantCode: 2},
		"refuses what is no order":                 {armed: "agent.batch.synced", wantCode: 2},
		"refuses an empty order, set by a mistake": {armed: "", wantCode: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), asVictim+"=1", Variable+"="+test.armed)
			_ = cmd.Run()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			killed := status.Signaled() && status.Signal() == syscall.SIGKILL
			if killed != test.wantKilled || !killed && status.ExitStatus() != test.wantCode {
				t.Errorf("ended with %v, want killed %v, exit code %d", cmd.ProcessState, test.wantKilled, test.wantCode)
			}
		})
	}
}
