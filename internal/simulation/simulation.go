// Package simulation runs programs in a world of which everything follows from one number, the seed: what happens when,
// what fails, who is killed and in which order processes get their turn. A seed that finds a fault finds it again.
package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The environment variables that say which seeds Run runs.
const (
	// SeedsVariable is how many, from FirstVariable on, which is 1 unless set.
	SeedsVariable = "LOGPIPE_SIMULATION_SEEDS"
	FirstVariable = "LOGPIPE_SIMULATION_FIRST"
	// WrongVariable is after how many seeds in which something is wrong no more are run: 1 unless set.
	WrongVariable = "LOGPIPE_SIMULATION_WRONG"
	// SeedVariable is the only one, of which all that happens is printed.
	SeedVariable = "LOGPIPE_SIMULATION_SEED"
)

const (
	// defaultSeeds is enough to notice at once that something is broken.
	defaultSeeds = 200
	// manySeeds are enough for every kind of event to come.
	manySeeds = 5000
)

// Sim is one run. It is used by one goroutine at a time.
type Sim struct {
	*rand.Rand

	seed   uint64
	events []string
	traced bool
	counts map[string]int
}

// violation is what Fail panics with.
type violation string

func newSim(seed uint64, traced bool) *Sim {
	return &Sim{Rand: rand.New(rand.NewPCG(seed, seed)), seed: seed, traced: traced, counts: map[string]int{}}
}

// Seed is the number that all follows from.
func (s *Sim) Seed() uint64 { return s.seed }

// Chance is true in percent of 100 cases.
func (s *Sim) Chance(percent int) bool { return s.IntN(100) < percent }

// Between returns a number from least to most.
func (s *Sim) Between(least, most int) int { return least + s.IntN(most-least+1) }

// Event notes that something happened. The kind is counted; a world in which it never happens shows nothing about it.
// The details are evaluated only when somebody wants to read them.
func (s *Sim) Event(kind string, details func() string) {
	s.counts[kind]++
	if s.traced {
		s.events = append(s.events, kind+" "+details())
	}
}

// Fail ends the run: what must never happen has happened.
func (s *Sim) Fail(format string, args ...any) {
	panic(violation(fmt.Sprintf(format, args...)))
}

// once runs a world and returns what is wrong with it, "" if nothing is.
func once(s *Sim, world func(*Sim)) (wrong string) {
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case violation:
			wrong = string(reason)
		default:
			wrong = fmt.Sprintf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	world(s)
	return ""
}

// Run runs the world of each seed and fails the test if something is wrong in one of them. The kinds of events are
// those that must have happened in one of the seeds, unless there are few. Up to workers goroutines share the work.
func Run(t *testing.T, workers int, world func(*Sim), kinds ...string) {
	t.Helper()
	if text := os.Getenv(SeedVariable); text != "" {
		s := newSim(number(t, SeedVariable, 0), true)
		wrong := once(s, world)
		t.Logf("seed %d:\n%s", s.seed, strings.Join(s.events, "\n"))
		if wrong != "" {
			t.Error(wrong)
		}
		return
	}
	first, seeds := number(t, FirstVariable, 1), number(t, SeedsVariable, defaultSeeds)
	began := time.Now()
	ran, counts := runAll(t, first, first+seeds, workers, world)
	t.Logf("%d seeds in %s: %s", ran, time.Since(began).Round(time.Millisecond), list(counts))
	for _, kind := range kinds {
		if counts[kind] == 0 && ran >= manySeeds {
			t.Errorf("%q never happened", kind)
		}
	}
}

// runAll runs the seeds from next to end-1.
func runAll(t *testing.T, first, end uint64, workers int, world func(*Sim)) (ran uint64, counts map[string]int) {
	t.Helper()
	var next, done, bad atomic.Uint64
	next.Store(first)
	most := number(t, WrongVariable, 1)
	var mu sync.Mutex
	counts = map[string]int{}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for seed := next.Add(1) - 1; seed < end; seed = next.Add(1) - 1 {
				s := newSim(seed, false)
				wrong := once(s, world)
				done.Add(1)
				mu.Lock()
				for kind, n := range s.counts {
					counts[kind] += n
				}
				mu.Unlock()
				if wrong != "" {
					t.Errorf("seed %d: %s\nto see all of it: %s=%d", seed, wrong, SeedVariable, seed)
					if bad.Add(1) >= most {
						next.Store(end)
					}
				}
			}
		})
	}
	group.Wait()
	return done.Load(), counts
}

// Replays checks that the worlds of some seeds are the same when they are run again.
func Replays(t *testing.T, world func(*Sim)) {
	t.Helper()
	for seed := range uint64(20) {
		var traces [2][]string
		for i := range traces {
			s := newSim(seed, true)
			if wrong := once(s, world); wrong != "" {
				t.Fatalf("seed %d: %s", seed, wrong)
			}
			traces[i] = append(s.events, "end")
		}
		for i, first := range traces[0] {
			if second := traces[1][min(i, len(traces[1])-1)]; first != second {
				t.Fatalf("seed %d is another world the second time, from event %d on:\n%s\nand\n%s", seed, i, first, second)
			}
		}
	}
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s %q: want a number", variable, text)
	}
	return n
}

func list(counts map[string]int) string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(out, ", ")
}
