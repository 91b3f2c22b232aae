package faults

import (
	"strconv"
	"testing"

	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

// sinkStep says how the sink is brought to a step again and again.
type sinkStep struct {
	// most bounds the hit that kills. Default 1: the step comes once in each life.
	most int
	// warm lets a life before deliver everything, and die.
	warm bool
	// once says that the step comes only once for a partition: each time has one of its own.
	once bool
}

var sinkSteps = map[failpoint.Name]sinkStep{
	failpoint.ClaimPrepared:   {},
	failpoint.ClaimMade:       {},
	failpoint.FenceRenamed:    {warm: true},
	failpoint.FenceRemoved:    {warm: true},
	failpoint.RecoverListed:   {},
	failpoint.RecoverFollowed: {warm: true},
	failpoint.StartWritten:    {once: true},
	failpoint.StartPinned:     {once: true},
	failpoint.RollMade:        {most: 3},
	failpoint.RollCreated:     {most: 6},
	failpoint.RollWritten:     {most: 3 * rollRecords},
	failpoint.RollClosed:      {most: 6},
	failpoint.ManifestCreated: {most: 3},
	failpoint.ManifestWritten: {most: 3},
	failpoint.CommitBefore:    {most: 3},
	failpoint.CommitRenamed:   {most: 3},
	failpoint.PublishListed:   {most: 3},
	failpoint.PublishMade:     {most: 6},
	failpoint.PublishRenamed:  {most: 6},
	failpoint.PublishDone:     {most: 3},
	failpoint.PruneRemoved:    {most: 2, warm: true},
	failpoint.OffsetMarked:    {},
	failpoint.OffsetCommitted: {},
}

// TestSinkDiesAtEveryStep kills the sink at each of its steps while records come in.
func TestSinkDiesAtEveryStep(t *testing.T) {
	brokers, hdfs := servers.Kafka(t, 1), servers.HDFS(t, 1)
	for _, name := range failpoint.Of("sink") {
		step, ok := sinkSteps[name]
		if !ok {
			t.Errorf("no one says how to come to %s", name)
		}
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			n := rounds(t, defaultRounds)
			if !step.once {
				step.kill(newRecords(t, brokers, hdfs), name, n)
				return
			}
			for round := range n {
				t.Run(strconv.Itoa(round), func(t *testing.T) { step.kill(newRecords(t, brokers, hdfs), name, 1) })
			}
		})
	}
}

// kill lets the sinks of a partition die at a step, one after the other, and the last one deliver.
func (s sinkStep) kill(w *records, name failpoint.Name, times int) {
	if s.warm {
		w.deliver()
	}
	for i := range times {
		w.live(name, order(name, max(1, s.most)))
		if i%10 == 9 {
			w.work() // lives that die early leave more behind than one can do in the end
		}
	}
	w.deliver()
	w.Logf("%s; %d lives, %d files", w.verdict(), w.sink.lives, len(w.visible()))
}

// TestSinkControl plants a record that never was produced, and one that was produced twice: the checks above see both.
func TestSinkControl(t *testing.T) {
	brokers, hdfs := servers.Kafka(t, 1), servers.HDFS(t, 1)
	tests := map[string]struct {
		plant func(w *records)
		want  lines.Verdict // of what differs from a perfect one
	}{
		"nothing":     {plant: func(*records) {}},
		"a loss":      {plant: func(w *records) { w.next(0) }, want: lines.Verdict{Lost: 1}},
		"a duplicate": {plant: func(w *records) { w.send(w.last, w.next(0)) }, want: lines.Verdict{Duplicated: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRecords(t, brokers, hdfs)
			w.produce()
			test.plant(w)
			w.work()
			got := w.verdict()
			if got.Lost != test.want.Lost || got.Duplicated != test.want.Duplicated || got.OutOfOrder+got.Corrupt > 0 {
				t.Errorf("got %s, want lost %d, duplicated %d", got, test.want.Lost, test.want.Duplicated)
			}
		})
	}
}
