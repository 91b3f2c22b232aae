package journal

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// holdEnv names the directory whose journal a second process, run from the test binary, opens and holds.
const holdEnv = "JOURNAL_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		os.Exit(holdJournal(dir))
	}
	os.Exit(m.Run())
}

// holdJournal opens the journal, seals a batch and waits to be killed.
func holdJournal(dir string) int {
	j, err := Open(context.Background(), dir)
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	for _, r := range append(start(), seal(0, 0, 1, 1, 4)) {
		if err = j.Append(r); err != nil {
			break
		}
	}
	if err = errors.Join(err, j.Sync()); err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startHolder returns once another process holds the journal in dir.
func startHolder(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holdEnv+"="+dir)
	if _, err := holder.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopHolder(holder) })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process said %q (%v)", line, err)
	}
	return holder
}

func stopHolder(holder *exec.Cmd) {
	_ = holder.Process.Kill()
	_ = holder.Wait()
}

func TestSecondAgentTakesOver(t *testing.T) {
	dir := t.TempDir()
	holder := startHolder(t, dir)

	short, cancel := context.WithTimeout(t.Context(), 3*lockRetry)
	defer cancel()
	_, err := Open(short, dir)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("error %v while another process holds the journal, want a time-out that names the lock", err)
	}

	opened := make(chan *Journal, 1)
	go func() {
		defer close(opened)
		j, err := Open(t.Context(), dir)
		if err != nil {
			t.Error(err)
			return
		}
		opened <- j
	}()
	select {
	case <-opened:
		t.Fatal("opened while another process holds the journal")
	case <-time.After(3 * lockRetry):
	}
	stopHolder(holder)
	j := <-opened
	if j == nil {
		t.Fatal("not opened after the other process ended")
	}
	defer closeJournal(t, j)
	if n := len(j.State().Pending); n != 1 {
		t.Errorf("%d batches pending after the other process was killed, want its one", n)
	}
}
