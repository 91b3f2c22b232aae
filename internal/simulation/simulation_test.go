package simulation

import (
	"fmt"
	"strings"
	"testing"
)

func TestKilledProcessDoesNoMore(t *testing.T) {
	var did []string
	p := Start(func(p *Process) {
		defer func() { did = append(did, "deferred") }()
		for i := range 3 {
			did = append(did, fmt.Sprint(i))
			p.Wait()
		}
	})
	if len(did) > 0 {
		t.Errorf("before its first step the process did %v", did)
	}
	p.Step()
	p.Step()
	p.Kill()
	if got := strings.Join(did, " "); got != "0 1 deferred" || !p.Ended {
		t.Errorf("did %q, ended %v", got, p.Ended)
	}
}

func TestProcessEndsByItself(t *testing.T) {
	p := Start(func(p *Process) { p.Wait() })
	p.Step()
	if p.Ended {
		t.Error("ended while it waits")
	}
	if p.Step(); !p.Ended {
		t.Error("did not end")
	}
}

// TestViolations has worlds in which something is wrong: each way to say so must end the world and be told.
func TestViolations(t *testing.T) {
	tests := map[string]struct {
		world func(*Sim)
		want  string
	}{
		"nothing":              {world: func(s *Sim) { s.Event("fine", func() string { return "" }) }},
		"failed":               {world: func(s *Sim) { s.Fail("%d lost", 7) }, want: "7 lost"},
		"failed in a process":  {world: func(s *Sim) { Start(func(*Process) { s.Fail("doubled") }).Step() }, want: "doubled"},
		"crashed":              {world: func(*Sim) { panic("index") }, want: "panic: index"},
		"crashed in a process": {world: func(*Sim) { Start(func(*Process) { panic("index") }).Step() }, want: "panic: index"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := once(newSim(1, false), test.world)
			if !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestReplays(t *testing.T) {
	Replays(t, func(s *Sim) {
		for range 10 {
			s.Event("number", func() string { return fmt.Sprint(s.Between(1, 1000)) })
		}
	})
}
