package sink

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTrouble(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	storeErr := errors.New("no answer")
	kafkaErr := fmt.Errorf("%w: no leader", errKafka)
	type try struct {
		after        time.Duration
		err          error // nil is a success
		wantWait     time.Duration
		wantAnnounce bool
		wantProblem  string
	}
	tests := map[string][]try{
		"trouble of the store is told once, at once": {
			{err: storeErr, wantWait: time.Second, wantAnnounce: true, wantProblem: "no answer"},
			{after: time.Second, err: storeErr, wantWait: 2 * time.Second, wantProblem: "no answer"},
			{after: 3 * time.Second, err: storeErr, wantWait: 4 * time.Second, wantProblem: "no answer"},
		},
		"a change of leader passes unnoticed": {
			{err: kafkaErr, wantWait: time.Second},
			{after: time.Second},
			{after: time.Minute, err: kafkaErr, wantWait: time.Second},
		},
		"Kafka that stays away is told": {
			{err: kafkaErr, wantWait: time.Second},
			{after: 9 * time.Second, err: kafkaErr, wantWait: 2 * time.Second},
			{after: 10 * time.Second, err: kafkaErr, wantWait: 4 * time.Second, wantAnnounce: true,
				wantProblem: "kafka: no leader"},
		},
		"the waits stay bounded": {
			{err: storeErr, wantWait: time.Second, wantAnnounce: true, wantProblem: "no answer"},
			{err: storeErr, wantWait: 2 * time.Second, wantProblem: "no answer"},
			{err: storeErr, wantWait: 4 * time.Second, wantProblem: "no answer"},
			{err: storeErr, wantWait: 8 * time.Second, wantProblem: "no answer"},
			{err: storeErr, wantWait: 16 * time.Second, wantProblem: "no answer"},
			{err: storeErr, wantWait: 30 * time.Second, wantProblem: "no answer"},
		},
		"another reason is told again": {
			{err: storeErr, wantWait: time.Second, wantAnnounce: true, wantProblem: "no answer"},
			{err: errHalted, wantWait: 2 * time.Second, wantAnnounce: true, wantProblem: "halted"},
		},
	}
	for name, tries := range tests {
		t.Run(name, func(t *testing.T) {
			s := newState(3, start)
			for i, try := range tries {
				now := start.Add(try.after)
				if try.err == nil {
					s.recovered()
					continue
				}
				wait, announce := s.trouble(try.err, now)
				got := fmt.Sprint(wait, announce, s.snapshot(now).Problem)
				if want := fmt.Sprint(try.wantWait, try.wantAnnounce, try.wantProblem); got != want {
					t.Errorf("try %d: got %s, want %s", i, got, want)
				}
			}
		})
	}
}

func TestStats(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	far, near := newState(2, now), newState(1, now)
	far.setPosition(100)
	far.read(batch{end: 150}, now.Add(-time.Minute), &roll{next: 120, order: make([]*bucket, 3)})
	near.setPosition(7)
	near.read(batch{end: 7}, now, &roll{next: 7})
	near.trouble(errHalted, now)
	var got Stats
	got.sum([]PartitionStats{far.snapshot(now), near.snapshot(now)})
	want := Stats{
		Lag: 30, Uncommitted: 20, OpenFiles: 3, Problem: "partition 1: halted",
		Partitions: []PartitionStats{
			{Partition: 1, Committed: 7, Read: 7, End: 7, Reason: reasonHalted, Problem: "halted"},
			{Partition: 2, Committed: 100, Read: 120, End: 150, Behind: time.Minute, OpenFiles: 3},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}
