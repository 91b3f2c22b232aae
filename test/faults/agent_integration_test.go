package faults

import (
	"testing"

	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

// agentStep says how the agent is brought to a step again and again.
type agentStep struct {
	// most bounds the hit that kills. Default 1: the step comes once in each life.
	most int
	// second is the hit that kills in the second life, where the first one leaves nothing behind. Default: as the others.
	second int
	// warm lets a life before deliver everything.
	warm bool
	// before is a step at which a life before each one dies, so that there is something to recover.
	before failpoint.Name
	// forgets lets the broker forget the agent's producer while it is dead, as brokers do after a day.
	forgets bool
	// small makes a batch of each line, until the journal is rewritten.
	small bool
}

var agentSteps = map[failpoint.Name]agentStep{
	failpoint.JournalAppended:  {most: 60},
	failpoint.JournalWritten:   {most: 20},
	failpoint.JournalSynced:    {most: 20},
	failpoint.SnapshotCreated:  {second: 2, small: true},
	failpoint.SnapshotWritten:  {second: 2, small: true},
	failpoint.SnapshotSynced:   {second: 2, small: true},
	failpoint.SnapshotRenamed:  {small: true},
	failpoint.SnapshotDone:     {small: true},
	failpoint.FileFound:        {most: 2},
	failpoint.FileAdded:        {most: 2},
	failpoint.FileRenamed:      {most: 2},
	failpoint.FileMoved:        {},
	failpoint.FileFinished:     {most: 2},
	failpoint.FileForgotten:    {warm: true},
	failpoint.BatchSealed:      {most: 30},
	failpoint.BatchSynced:      {most: 10},
	failpoint.BatchSent:        {most: 30},
	failpoint.BatchAnswered:    {most: 30},
	failpoint.BatchAcked:       {most: 30},
	failpoint.RecoverSettled:   {before: failpoint.BatchSynced},
	failpoint.RecoverAcked:     {before: failpoint.BatchAnswered, forgets: true},
	failpoint.RecoverRebuilt:   {before: failpoint.BatchSynced},
	failpoint.RecoverNewID:     {},
	failpoint.RecoverRenewed:   {},
	failpoint.RecoverSynced:    {before: failpoint.BatchSynced},
	failpoint.RecoverResent:    {before: failpoint.BatchSynced},
	failpoint.RecoverRewound:   {before: failpoint.BatchSent},
	failpoint.SettingsAppended: {before: failpoint.BatchSent},
}

// TestAgentDiesAtEveryStep kills the agent at each of its steps while logs are written, rotated, compressed and
// deleted.
func TestAgentDiesAtEveryStep(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	for _, name := range failpoint.Of("agent") {
		step, ok := agentSteps[name]
		if !ok {
			t.Errorf("no one says how to come to %s", name)
		}
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			brokers := brokers
			if step.forgets {
				brokers = servers.PrivateKafka(t, 1, "producer.id.expiration.ms=500",
					"producer.id.expiration.check.interval.ms=100").Bootstrap
			}
			w := newLogs(t, brokers, step.small)
			if step.warm {
				w.deliver()
			}
			for round := range rounds(t, defaultRounds) {
				if step.before != "" {
					w.live(step.before, order(step.before, 5))
				}
				if step.forgets {
					w.awaitForgotten()
				}
				w.live(name, step.order(name, round))
				if step.small && round > 0 {
					w.catchUp() // lives that die at each rewrite leave more behind than one can do in the end
				}
			}
			w.deliver()
			verdict := w.verdict()
			if !verdict.Perfect() {
				t.Errorf("not exactly once: %s", verdict)
			}
			t.Logf("%s; %d lives", verdict, w.agent.lives)
		})
	}
}

func (s agentStep) order(name failpoint.Name, round int) string {
	if round == 1 && s.second > 0 {
		return string(name) + "=kill@2"
	}
	return order(name, max(1, s.most))
}

// TestAgentControl plants a line that never was written, and one that was written twice: the checks above see both.
func TestAgentControl(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	tests := map[string]struct {
		plant func(w *logs)
		want  lines.Verdict // of what differs from a perfect one
	}{
		"nothing":     {plant: func(*logs) {}},
		"a loss":      {plant: func(w *logs) { w.next(0); w.extra[0] = -1 }, want: lines.Verdict{Lost: 1}},
		"a duplicate": {plant: func(w *logs) { w.append(1, w.last); w.extra[1] = 1 }, want: lines.Verdict{Duplicated: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLogs(t, brokers, false)
			w.write()
			test.plant(w)
			w.deliver()
			got := w.verdict()
			if got.Lost != test.want.Lost || got.Duplicated != test.want.Duplicated || got.OutOfOrder+got.Corrupt > 0 {
				t.Errorf("got %s, want lost %d, duplicated %d", got, test.want.Lost, test.want.Duplicated)
			}
		})
	}
}
