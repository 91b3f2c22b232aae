package agent

import (
	"fmt"
	"slices"
	"strings"
)

// planCopy plans how the log is copied and truncated. The copy ends behind a line, mostly behind a record: else that is
// cut in two, whoever reads it.
func (l *simLog) planCopy(to string) {
	var file *simInode
	var first, copied int // records in the copy: from, up to
	l.copying = []func(){
		func() { file = l.disk.create(to) },
		func() { l.disk.append(file, l.file.data[:l.IntN(len(l.file.data))]) },
		func() {
			if l.endLine(); l.Chance(70) {
				l.endRecord()
			}
			l.disk.append(file, l.file.data[len(file.data):])
			l.disk.close(file)
			first, copied = l.first, l.whole()
			l.rotated = append(l.rotated, &simRotated{name: to, last: l.n, at: l.now})
		},
		func() {
			l.endRecord()
			l.noteLost(first, copied)
			l.file.data, l.file.safe, l.file.changed, l.first = nil, 0, l.disk.tick(), l.n
			l.Event("truncation", func() string { return fmt.Sprintf("%s at %d, copied up to %d", l.path(), l.n, copied) })
		},
	}
	l.rotatedAt = l.now
}

func (l *simLog) copyOn() {
	l.copying[0]()
	l.copying = l.copying[1:]
}

// endRecord writes what is missing of the last record.
func (l *simLog) endRecord() {
	l.disk.append(l.file, l.rest)
	l.rest = nil
}

// noteLost notes which records can be lost by a truncation: those behind the copied ones. Copies that are not
// configured are known only by what was read of their log before.
func (l *simLog) noteLost(first, copied int) {
	if l.glob || l.arrived[first] {
		first = copied
	}
	for n := first; n < l.n; n++ {
		if !l.arrived[n] {
			l.lost[n] = true
			l.Event("record that may be lost", func() string { return fmt.Sprint(l.name, " ", n) })
		}
	}
}

// settled tells whether all records of a log before the n-th are in Kafka for good, or may be lost.
func (l *simLog) settled(n int) bool {
	for i := range n {
		if !l.arrived[i] && !l.lost[i] {
			return false
		}
	}
	return true
}

// mayBeLost tells whether records of any log may be lost.
func (w *world) mayBeLost() bool {
	return slices.ContainsFunc(w.logs, func(l *simLog) bool { return len(l.lost) > 0 })
}

// beginsLost tells whether value is the beginning of a record whose end was truncated.
func (w *world) beginsLost(value string) bool {
	return slices.ContainsFunc(w.logs, func(l *simLog) bool {
		for n := range l.lost {
			if whole := l.record(n); len(value) < len(whole) && strings.HasPrefix(whole, value) {
				return true
			}
		}
		return false
	})
}
