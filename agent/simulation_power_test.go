package agent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

// What is here is about power cuts: the machine is started again, and what its disk did not have yet of the logs is
// gone.

// Boot implements tail.Disk.
func (d *agentDisk) Boot() (name string, since time.Time) {
	return fmt.Sprint("boot ", d.boots), d.booted.Add(d.skew)
}

// mayLosePower tells whether power cuts are to be in this world. CRI lines are left out, as a container that is started
// again gets another log; and the clock stays as it is, as it tells whether a log was written to since.
func (w *world) mayLosePower() bool {
	return w.cfg.Decode.Format != decode.FormatCRI && w.rates.clock == 0 && w.Chance(20)
}

// writeBack is the kernel's work: what was written comes to the disk.
func (l *simLog) writeBack() {
	if l.file != nil {
		l.file.safe = len(l.file.data)
	}
}

// losePower takes from the logs what is not on the disk. Writers end, too; others go on later.
func (w *world) losePower() {
	w.disk.boots++
	w.now = w.now.Add(5 * time.Second)
	w.disk.booted = w.tick()
	for _, l := range w.logs {
		for len(l.copying) > 0 {
			l.copyOn()
		}
		if l.copies {
			l.mayComeAgain()
		}
		if l.file != nil {
			l.loseEnd()
		}
	}
}

// mayComeAgain notes the records of the copies that there are. An agent that was not there when they were made can't
// tell what is in them of what it has read, when the power has been cut since.
func (l *simLog) mayComeAgain() {
	if len(l.rotated) == 0 {
		return
	}
	for n := range l.rotated[len(l.rotated)-1].last {
		l.again[n] = true
	}
}

func (l *simLog) loseEnd() {
	had := len(l.file.data)
	kept := l.file.safe + l.IntN(had-l.file.safe+1)
	l.file.data, l.file.safe, l.rest = l.file.data[:kept:kept], kept, nil
	l.Event("power cut", func() string { return fmt.Sprintf("%s had %d bytes, has %d", l.name, had, kept) })
	l.cut, l.cutOpen, l.died = nil, true, true
	for n := l.first; n < l.n; n++ {
		switch {
		case bytes.Contains(l.file.data, []byte(l.lines(n))):
			l.cut = append(l.cut, n)
		case l.arrived[n]:
			l.torn[n] = true
		default:
			l.torn[n], l.lost[n] = true, true
			l.Event("record that may be lost", func() string { return fmt.Sprint(l.name, " ", n) })
		}
	}
	if len(l.cut) == 0 {
		l.first = l.n
	}
}

// goOn is what a writer writes first that goes on in a log: it ends what a power cut has cut off. From now on it is not
// known what is left of what was there before, until an agent has looked at it and noted that.
func (l *simLog) goOn() (text []byte) {
	if l.cutOpen {
		for _, n := range l.cut {
			l.again[n] = true
		}
	}
	if !l.died {
		return nil
	}
	l.died = false
	if l.copies && len(l.file.data) < tail.HeadBytes {
		l.long[l.n] = true // a copy must be known by its beginning
	}
	switch data := l.file.data; {
	case l.cfg.Decode.Multiline != nil && !bytes.HasSuffix(data, []byte(";\n")):
		return []byte(";\n") // what was begun may lie in the file before
	case len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")):
		return []byte("\n")
	}
	return nil
}

// noteProven notes which logs the agent has looked at since the power was cut. The journal has it on the disk.
func (w *world) noteProven() {
	now, _ := w.agent.disk.Boot()
	for _, l := range w.logs {
		for _, s := range w.agent.agent.order {
			if l.file != nil && s.stored.Identity.Inode == l.file.number && s.stored.Boot == now {
				l.cutOpen = false
			}
		}
	}
}

// leftByCut tells whether value is a piece that a power cut has left of a record, or one that is behind what an agent
// may know of a log that was cut off.
func (w *world) leftByCut(value string) bool {
	left := strings.TrimRight(value, ";\n")
	if w.power && left == "" {
		return true
	}
	return slices.ContainsFunc(w.logs, func(l *simLog) bool {
		for n := range l.torn {
			if strings.Contains(l.record(n), left) {
				return true
			}
		}
		for n := range l.again {
			if l.arrived[n] && value == l.record(n) {
				w.Event("record came again after a power cut", func() string { return value })
				return true
			}
		}
		return false
	})
}
