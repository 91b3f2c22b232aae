package agent

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

const simDir = "/logs"

// simLog is a log, what is written into it and how it is rotated.
type simLog struct {
	*world
	name string
	// file is the one that is written to, nil between a rotation and the next line; older still has its writer.
	file *simInode
	// first is the first record that ends in it.
	first int
	// n is the number of the next record, rest what is not written of the last one.
	n    int
	rest []byte
	// numbered rotation makes app.log.1 of app.log and app.log.2 of that one; else names end with the time.
	numbered bool
	compress bool
	// copies says that rotation copies the log and truncates it, with steps that are still to come.
	copies  bool
	copying []func()
	// long are records that fill the beginning of a file, by which its copy is known.
	long map[int]bool
	// lost are records that nobody could keep: they were truncated before they were copied.
	lost map[int]bool
	// torn are records that a power cut took, or cut in two. What is left of them comes as it is.
	torn map[int]bool
	// cut are the records in the file that the last power cut has left whole; cutOpen is true until an agent knows of it.
	cut     []int
	cutOpen bool
	// died is true after a power cut until the writer goes on.
	died bool
	// again are records that may come again: they were there before a power cut, and more was written since.
	again   map[int]bool
	rotated []*simRotated // oldest first
	// rotatedAt is when the log was renamed last.
	rotatedAt time.Time
	// arrived are the numbers of the records that are in Kafka for good.
	arrived map[int]bool
}

// simRotated is a rotated file, compressed or about to be.
type simRotated struct {
	name string
	// last is the number of the record behind its last one.
	last  int
	at    time.Time
	steps []func() // of its compression that are still to come
}

func (l *simLog) path() string { return path.Join(simDir, l.name+".log") }

// record is what a record looks like in Kafka.
func (l *simLog) record(n int) string {
	text := fmt.Sprintf(`{"log":"%s","n":%d,"k":%d}`, l.name, n, n%7)
	switch {
	case l.long[n] && l.cfg.Decode.Multiline != nil:
		return text + strings.Repeat(fmt.Sprintf("\n more %d", n), tail.HeadBytes/7) + ";"
	case l.cfg.Decode.Multiline != nil:
		return text + strings.Repeat("\n more", n%3) + ";"
	case l.long[n]:
		return text + strings.Repeat(fmt.Sprintf(" %d", n), tail.HeadBytes/2)
	case n%11 == 10:
		return text + strings.Repeat(" ", 100+n%100)
	}
	return text
}

// lines are the lines in the file that make up a record.
func (l *simLog) lines(n int) string {
	text := l.record(n)
	if l.cfg.Decode.Format != decode.FormatCRI {
		return text + "\n"
	}
	var out strings.Builder
	cut := len(text) / (1 + n%3)
	for len(text) > 0 {
		piece, flag := text[:min(cut, len(text))], "P"
		if text = text[len(piece):]; text == "" {
			flag = "F"
		}
		fmt.Fprintf(&out, "2026-11-23T00:00:00.000000000Z stdout %s %s\n", flag, piece)
	}
	return out.String()
}

// write appends some records. The last one may be incomplete for a while.
func (l *simLog) write() {
	if l.file == nil {
		l.create()
	}
	if len(l.file.data) == 0 && l.copies {
		l.long[l.n] = true
	}
	l.disk.append(l.file, l.goOn())
	text := l.rest
	for range l.Between(0, 3) {
		text = append(text, l.lines(l.n)...)
		l.n++
	}
	l.rest = nil
	if len(text) > 0 && l.Chance(30) {
		cut := len(text) - l.Between(1, min(len(text), len(l.lines(l.n-1))))
		text, l.rest = text[:cut], slices.Clone(text[cut:])
	}
	l.disk.append(l.file, text)
	if l.lags() {
		l.endLine() // a rotated file that is quiet for a while is taken as ended, its last line as a whole one
	}
	l.Event("write", func() string { return fmt.Sprintf("%s %q, next %d, lags %v", l.name, text, l.n, l.lags()) })
}

// endLine completes the last line, as a writer does before its file is taken from it. Records may go on behind.
func (l *simLog) endLine() {
	if l.file == nil || len(l.file.data) == 0 || l.file.data[len(l.file.data)-1] == '\n' {
		return
	}
	end := slices.Index(l.rest, '\n') + 1
	l.disk.append(l.file, l.rest[:end])
	l.rest = l.rest[end:]
}

// whole counts the records that are written to their ends.
func (l *simLog) whole() int {
	if len(l.rest) > 0 {
		return l.n - 1
	}
	return l.n
}

// create begins a file.
func (l *simLog) create() {
	l.file, l.first, l.cutOpen = l.disk.create(l.path()), l.whole(), false
	l.died = l.died && l.cfg.Decode.Multiline != nil // a record may have begun in the file before
}

// rotate renames the log.
func (l *simLog) rotate() {
	if l.file == nil || l.lags() || l.whole() == l.first || !l.known() || len(l.copying) > 0 {
		return // a record has parts in two files at most
	}
	l.disk.append(l.file, l.goOn())
	l.endLine()
	to := l.path() + "." + l.now.UTC().Format("20060102-150405")
	if l.numbered {
		if l.busy() {
			return // logrotate does one thing after the other
		}
		l.shift()
		to = l.path() + ".1"
	}
	if l.disk.names[to] != nil || l.disk.names[to+".gz"] != nil {
		return
	}
	l.Event("rotation", func() string { return fmt.Sprintf("%s to %s", l.path(), to) })
	if l.copies {
		l.planCopy(to)
		return
	}
	l.disk.rename(l.path(), to)
	l.rotated = append(l.rotated, &simRotated{name: to, last: l.n, at: l.now})
	if l.Chance(70) {
		l.disk.close(l.file)
		l.file = nil
	}
	l.rotatedAt = l.now
}

// known tells whether an agent has seen one of the files, which leads it to those that are rotated before it has seen
// them.
func (l *simLog) known() bool {
	return len(l.arrived) > 0 && (l.glob || l.copies || len(l.rotated) > 0 || l.arrived[l.first])
}

// lags tells whether the writer still has a file that was rotated.
func (l *simLog) lags() bool { return l.file != nil && l.disk.names[l.path()] != l.file }

// reopen makes the writer let go of a file that was rotated, and the log be there under its name.
func (l *simLog) reopen() {
	if l.file == nil {
		l.create()
	}
	if l.lags() {
		l.rotated[len(l.rotated)-1].last, l.rotated[len(l.rotated)-1].at = l.n, l.now
		l.disk.close(l.file)
		l.create()
		l.Event("reopened", func() string { return l.path() })
	}
}

// shift renames app.log.1 to app.log.2 and so on.
func (l *simLog) shift() {
	for i, r := range l.rotated { // from old to new
		to := fmt.Sprintf("%s.%d", l.path(), len(l.rotated)-i+1)
		if strings.HasSuffix(r.name, ".gz") {
			to += ".gz"
		}
		l.disk.rename(r.name, to)
		r.name = to
	}
}

// busy tells whether a file is being compressed.
func (l *simLog) busy() bool {
	return len(l.copying) > 0 || slices.ContainsFunc(l.rotated, func(r *simRotated) bool { return r.steps != nil })
}

// quiet is how long a file is left alone after its writer let go of it before it is compressed or deleted.
const quiet = 10 * time.Second

// tidy does one step of copying, compressing or deleting what was rotated.
func (l *simLog) tidy() {
	if len(l.copying) > 0 {
		l.copyOn()
		return
	}
	for i, r := range l.rotated {
		switch {
		case len(r.steps) > 0:
			r.steps[0]()
			if r.steps = r.steps[1:]; len(r.steps) == 0 {
				r.steps = nil
			}
			return
		case l.now.Sub(r.at) < quiet || l.file != nil && l.disk.names[r.name] == l.file:
			continue
		case l.compress && !strings.HasSuffix(r.name, ".gz") && l.Chance(50):
			l.begin(r)
			return
		case i == 0 && !l.busy() && l.settled(r.last) && l.Chance(50):
			l.Event("delete", func() string { return r.name })
			l.disk.remove(r.name)
			l.rotated = l.rotated[1:]
			return
		}
	}
}

// begin plans how a file is compressed: beside it under another name first, or under the name at once.
func (l *simLog) begin(r *simRotated) {
	plain, zipped := r.name, r.name+".gz"
	data := l.compressed(l.disk.names[plain].data)
	name := zipped
	if l.Chance(50) {
		name += ".tmp"
	}
	l.Event("compression", func() string { return plain })
	var file *simInode
	r.steps = []func(){
		func() { file = l.disk.create(name) },
		func() { l.disk.append(file, data[:len(data)/2]) },
		func() { l.disk.append(file, data[len(data)/2:]); l.disk.close(file) },
	}
	if name != zipped {
		r.steps = append(r.steps, func() { l.disk.rename(name, zipped) })
	}
	r.steps = append(r.steps, func() {
		l.disk.remove(plain)
		r.name = zipped
	})
}
