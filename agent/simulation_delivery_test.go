package agent

import (
	"slices"
	"strings"
)

// loose tells whether records may come twice.
func (w *world) loose() bool { return slices.Contains(w.deliveries, AtLeastOnce) }

// noteSent is called when a batch is sent: the journal must have it on the disk, unless it may be late.
func (w *world) noteSent() {
	next := w.agent.agent.syncAt
	if w.cfg.Delivery == ExactlyOnce || next.IsZero() || next.Equal(w.now.Add(housekeeping)) {
		w.noteSynced()
		w.noteProven()
	}
}

// again tells whether value is a record that is there, or the rest of one whose beginning has been deleted since, or
// the beginning of one whose rest has been truncated.
func (w *world) again(value string) bool {
	return slices.ContainsFunc(w.logs, func(l *simLog) bool {
		for n := range l.arrived {
			if whole := l.record(n); strings.HasSuffix(whole, value) || strings.HasPrefix(whole, value) {
				return true
			}
		}
		return false
	})
}

// ordered tells whether the records of a log come to a partition in order. What is read again after the topic grew may
// lead to another partition than before.
func (w *world) ordered() bool {
	return w.cfg.PartitionKey.Type != KeyNone && (!w.loose() || !w.topic.grew)
}
