// Package peers takes other programs that move log files into Kafka, or from there to HDFS, and this repository's agent
// and sink, through the same cases: kill -9 while lines are written, and rotation. hack/peers.sh gets and runs them.
// Only logpipe must be perfect: the others are measured.
//
// LOGPIPE_PEERS names the peers, separated by spaces; without it nothing is run. `make peers` sets it.
package peers

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	script = "../../hack/peers.sh"
	own    = "logpipe"
	// kills and rotations are how often it happens in a case.
	kills     = 3
	rotations = 7
	// late is how many lines a program writes to its log after that was renamed, before it opens the new one.
	late = 1000
)

var (
	count = flag.Int("lines", 320_000, "how many lines are written in a case")
	rate  = flag.Int("rate", 20_000, "how many lines are written in a second, at most")
)

// result is what became of the lines of a case.
type result struct {
	peer, version, what string
	verdict             lines.Verdict
}

func TestPeers(t *testing.T) {
	names := asked(t, false)
	kafka := servers.Kafka(t, 1)
	cases := []struct {
		name, glob string
		run        func(*trial)
	}{
		{fmt.Sprintf("%d kill -9", kills), "app.log", (*trial).kill},
		{fmt.Sprintf("%d rotations, live name only", rotations), "app.log", (*trial).rotate},
		{fmt.Sprintf("%d rotations, rotated names too", rotations), "app.log*", (*trial).rotate},
	}
	var results []result
	for _, peer := range names {
		version := install(t, peer)
		for _, c := range cases {
			t.Run(peer+"/"+c.name, func(t *testing.T) {
				trial := newTrial(t, kafka.Bootstrap, peer, c.glob)
				c.run(trial)
				verdict := trial.finish()
				t.Log(verdict)
				results = append(results, result{peer, version, c.name, verdict})
				if peer == own && (verdict.Lost+verdict.Duplicated+verdict.Corrupt > 0) {
					t.Errorf("not exactly once: %s", verdict)
				}
			})
		}
	}
	fmt.Print(table(results))
}

// asked returns the peers that are to be measured: those that write to HDFS, or the others.
func asked(t *testing.T, hdfs bool) []string {
	t.Helper()
	names := slices.DeleteFunc(strings.Fields(os.Getenv("LOGPIPE_PEERS")), func(name string) bool {
		return strings.Contains(name, "-hdfs") != hdfs
	})
	if len(names) == 0 {
		t.Skip("LOGPIPE_PEERS names no peers for this")
	}
	return names
}

// install gets a peer and returns its version.
func install(t *testing.T, peer string) string {
	t.Helper()
	cmd := exec.Command(script, "install", peer)
	cmd.Stderr = os.Stderr
	version, err := cmd.Output()
	if err != nil {
		t.Fatalf("install %s: %v", peer, err)
	}
	return strings.TrimSpace(string(version))
}

// table shows the results as Markdown.
func table(results []result) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s, %d lines in each case, at most %d/s\n\n", time.Now().Format(time.DateOnly), *count, *rate)
	out.WriteString("| peer | version | case | lost | doubled | broken |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		v := r.verdict
		fmt.Fprintf(&out, "| %s | %s | %s | %d | %d | %d |\n", r.peer, r.version, r.what, v.Lost, v.Duplicated, v.Corrupt)
	}
	return out.String()
}

func TestTable(t *testing.T) {
	got := table([]result{{"a", "a 1", "kill", lines.Verdict{Lost: 1, Duplicated: 2, Corrupt: 3, OutOfOrder: 4}}})
	if rows := slices.Collect(strings.Lines(got)); rows[len(rows)-1] != "| a | a 1 | kill | 1 | 2 | 3 |\n" {
		t.Errorf("the last row of the table is wrong:\n%s", got)
	}
}
