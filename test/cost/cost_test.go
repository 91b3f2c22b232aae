// Package cost measures what it costs the agent to deliver exactly once: the same binary takes the same lines to the
// same brokers, with `delivery: ExactlyOnce` and `AtLeastOnce` in turns.
//
// LOGPIPE_COST=1 runs it; without, nothing is measured. `make cost` sets it.
package cost

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/test/servers"
)

var (
	count  = flag.Int("lines", 2_000_000, "how many lines are drained in a run")
	rounds = flag.Int("rounds", 5, "how often each delivery has its turn")
	rate   = flag.Int("rate", 20_000, "how many lines are written in a second when delays are measured")
	during = flag.Duration("during", 10*time.Second, "how long delays are measured in a run")
)

// measured are the figures of one run, by what they are.
type measured map[string]float64

func TestCost(t *testing.T) {
	if os.Getenv("LOGPIPE_COST") == "" {
		t.Skip("LOGPIPE_COST is not set: make cost measures")
	}
	binary := build(t)
	file := filepath.Join(t.TempDir(), "app.log")
	if err := prepare(file, *count); err != nil {
		t.Fatal(err)
	}
	waits := []time.Duration{200 * time.Millisecond, 10 * time.Millisecond}
	var rows []row
	for _, brokers := range []int{1, 3} {
		t.Run(fmt.Sprintf("brokers %d", brokers), func(t *testing.T) {
			kafka := servers.PrivateKafka(t, brokers)
			b := &bench{T: t, binary: binary, brokers: kafka.Bootstrap}
			what := fmt.Sprintf("%s, %d lines drained", kafkas(brokers), *count)
			rows = append(rows, turns(t, what, func(d agent.Delivery) measured { return b.drain(d, file) })...)
			for _, wait := range waits {
				what := fmt.Sprintf("%s, %d lines/s, `batch.interval` %s", kafkas(brokers), *rate, wait)
				rows = append(rows, turns(t, what, func(d agent.Delivery) measured {
					return b.steady(d, conf.Duration(wait))
				})...)
			}
		})
	}
	sync, err := syncTimes(t.TempDir(), 200)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Print(table(rows, sync))
}

func kafkas(brokers int) string {
	if brokers == 1 {
		return "one broker"
	}
	return fmt.Sprintf("%d brokers, %d replicas", brokers, brokers)
}

// build builds the agent as make build does.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "agent")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../../cmd/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, output)
	}
	return binary
}

// turns runs both deliveries in turns and returns a row for each figure.
func turns(t *testing.T, what string, run func(agent.Delivery) measured) []row {
	t.Helper()
	all := map[agent.Delivery][]measured{}
	for i := range *rounds {
		for _, d := range []agent.Delivery{agent.ExactlyOnce, agent.AtLeastOnce} {
			m := run(d)
			t.Logf("%s, round %d, %s: %v", what, i+1, d, m)
			all[d] = append(all[d], m)
		}
	}
	return summarise(what, all[agent.ExactlyOnce], all[agent.AtLeastOnce])
}
