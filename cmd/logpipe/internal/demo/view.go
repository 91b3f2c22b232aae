package demo

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress is what is known of the flow at one moment.
type progress struct {
	Written   uint64 // lines written to log files
	InKafka   uint64 // lines acknowledged by Kafka
	Committed uint64 // lines in visible files
}

func (p progress) String() string {
	return fmt.Sprintf("%d lines written, %d in Kafka, %d in files", p.Written, p.InKafka, p.Committed)
}

// view shows the flow: one screen that is redrawn on a terminal, a line every two seconds elsewhere, nothing for JSON.
type view struct {
	out      io.Writer
	terminal bool
	quiet    bool
	every    time.Duration
	total    uint64
	last     progress
	lastTime time.Time
	printed  time.Time
	drawn    bool
}

func newView(o *Options) *view {
	v := &view{out: o.Out, quiet: o.JSON, every: 250 * time.Millisecond, total: o.Lines, lastTime: time.Now()}
	if f, ok := o.Out.(*os.File); ok {
		v.terminal = term.IsTerminal(int(f.Fd()))
	}
	return v
}

func (v *view) show(p progress) {
	now := time.Now()
	interval := 2 * time.Second
	if v.terminal {
		interval = v.every
	}
	if v.quiet || now.Sub(v.printed) < interval {
		return
	}
	v.printed = now
	seconds := now.Sub(v.lastTime).Seconds()
	perSecond := func(now, before uint64) float64 { return float64(now-min(now, before)) / seconds }
	rows := []struct {
		name      string
		count     uint64
		perSecond float64
	}{
		{"written", p.Written, perSecond(p.Written, v.last.Written)},
		{"in Kafka", p.InKafka, perSecond(p.InKafka, v.last.InKafka)},
		{"in files", p.Committed, perSecond(p.Committed, v.last.Committed)},
	}
	v.last, v.lastTime = p, now
	lag := fmt.Sprintf("lag: files to Kafka %d, Kafka to HDFS %d lines",
		p.Written-min(p.Written, p.InKafka), p.InKafka-min(p.InKafka, p.Committed))
	if !v.terminal {
		for _, r := range rows {
			_, _ = fmt.Fprintf(v.out, "%s %d (%.0f/s)  ", r.name, r.count, r.perSecond)
		}
		_, _ = fmt.Fprintln(v.out, lag)
		return
	}
	if v.drawn {
		_, _ = fmt.Fprintf(v.out, "\x1b[%dA", len(rows)+1)
	}
	v.drawn = true
	for _, r := range rows {
		_, _ = fmt.Fprintf(v.out, "\x1b[2K%-9s %s %10d lines %9.0f/s\n", r.name, bar(r.count, v.total), r.count, r.perSecond)
	}
	_, _ = fmt.Fprintf(v.out, "\x1b[2K%s\n", lag)
}

func bar(n, total uint64) string {
	const width = 40
	filled := int(min(n, total) * width / max(total, 1))
	out := make([]byte, width)
	for i := range out {
		out[i] = '.'
		if i < filled {
			out[i] = '#'
		}
	}
	return "[" + string(out) + "]"
}

func (v *view) close() {
	if !v.quiet && v.terminal {
		_, _ = fmt.Fprintln(v.out)
	}
}
