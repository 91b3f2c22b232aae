// Package demo runs the whole pipe on this machine: it writes realistic logs with rotations, moves them through Kafka
// into files with real agents and sinks, shows it live, and then checks every single line.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/logpipe/logpipe/internal/lines"
)

// Options say what the demo does.
type Options struct {
	// Lines to write in all, and how many per second.
	Lines uint64
	Rate  int
	// Rotations of each writer's log.
	Rotations int
	// Agents, each with a writer of its own, and sinks; one more sink joins when half of the lines are written.
	Agents, Sinks int
	// Partitions of the topic.
	Partitions int32
	// Kafka are the brokers to use; empty brings a broker in this process.
	Kafka []string
	// HDFS is the URI of the directory to write to; empty uses a local directory.
	HDFS string
	// Dir holds logs, state and files; empty makes one and removes it at the end.
	Dir string
	// Drain is how long to wait for the last line.
	Drain time.Duration
	// JSON prints the report as one JSON object.
	JSON bool
	// Out is where the view and the report go.
	Out io.Writer
	Log logr.Logger
}

// Report is the outcome.
type Report struct {
	lines.Verdict
	Seconds    float64 `json:"seconds"`
	Rotations  int64   `json:"rotations"`
	Compressed int64   `json:"compressed"`
	Files      int     `json:"files"`
	Partitions int32   `json:"partitions"`
	// WriterPartitions tells the one partition of each writer, or -1 if its lines were on several.
	WriterPartitions map[string]int32 `json:"writerPartitions"`
	GiB              float64          `json:"gib"`
	Agents           []Usage          `json:"agents"`
	Sinks            []Usage          `json:"sinks"`
}

// ErrImperfect is returned when a line was lost, doubled, changed or out of order.
var ErrImperfect = errors.New("the pipe did not keep its promise")

// Run runs the demo. It returns ErrImperfect if the check fails.
func Run(ctx context.Context, o Options) error {
	report, err := run(ctx, &o)
	if err != nil {
		return err
	}
	if o.JSON {
		if err := json.NewEncoder(o.Out).Encode(report); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	} else {
		report.print(o.Out)
	}
	if !report.Perfect() {
		return ErrImperfect
	}
	return nil
}

func run(ctx context.Context, o *Options) (*Report, error) {
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "logpipe-demo-")
		if err != nil {
			return nil, fmt.Errorf("make a directory: %w", err)
		}
		o.Dir = dir
		defer func() { _ = os.RemoveAll(dir) }()
	}
	p, err := newPipe(ctx, o)
	if err != nil {
		return nil, err
	}
	defer p.close()
	began := time.Now()
	if err := p.flow(ctx); err != nil {
		return nil, err
	}
	report := &Report{Seconds: time.Since(began).Seconds(), Partitions: o.Partitions, GiB: p.gib()}
	if report.Agents, report.Sinks, err = p.stop(); err != nil {
		return nil, err
	}
	for _, w := range p.writers {
		report.Rotations += w.rotations.Load()
		report.Compressed += w.compressed.Load()
	}
	return report, p.verify(ctx, report)
}

// flow writes all lines and returns when the last one is in a file.
func (p *pipe) flow(ctx context.Context) error {
	group, writing := errgroup.WithContext(ctx)
	for _, w := range p.writers {
		group.Go(func() error { return w.run(writing) })
	}
	written := make(chan error, 1)
	go func() { written <- group.Wait() }()
	view := newView(p.o)
	defer view.close()
	ticker := time.NewTicker(view.every)
	defer ticker.Stop()
	deadline := time.NewTimer(1 << 62)
	for {
		select {
		case <-ctx.Done():
			_ = group.Wait() // the reason is that of ctx
			return ctx.Err()
		case err := <-written:
			if err != nil {
				return err
			}
			written = nil
			deadline.Reset(p.o.Drain)
		case <-deadline.C:
			return fmt.Errorf("not all lines arrived within %s of the last one (see the logs in %s)", p.o.Drain, p.o.Dir)
		case <-ticker.C:
		}
		now, err := p.progress()
		if err != nil {
			return err
		}
		view.show(now)
		if written == nil && now.Committed >= p.o.Lines {
			return nil
		}
		if err := p.joinAtHalf(now); err != nil {
			return err
		}
	}
}

// joinAtHalf starts one more sink when half of the lines are written, so that the group has to share again.
func (p *pipe) joinAtHalf(now progress) error {
	if len(p.sinks) > p.o.Sinks || now.Written < p.o.Lines/2 {
		return nil
	}
	return p.startSink()
}

func (p *pipe) newWriters() error {
	each := p.o.Lines / uint64(p.o.Agents)
	for i := range p.o.Agents {
		w := &writer{
			name:  fmt.Sprintf("w%d", i),
			dir:   filepath.Join(p.o.Dir, "logs", fmt.Sprintf("w%d", i)),
			lines: each,
			limit: rate.NewLimiter(rate.Limit(max(1, p.o.Rate/p.o.Agents)), 100),
		}
		if i == 0 {
			w.lines += p.o.Lines % uint64(p.o.Agents)
		}
		w.rotate = w.lines/uint64(p.o.Rotations+1) + 1
		if err := os.MkdirAll(w.dir, 0o755); err != nil {
			return fmt.Errorf("make log directory: %w", err)
		}
		p.writers = append(p.writers, w)
	}
	return nil
}

func (r *Report) print(out io.Writer) {
	_, _ = fmt.Fprintf(out, "%.1f s, %d rotations by rename, %d of them compressed, %d files\n",
		r.Seconds, r.Rotations, r.Compressed, r.Files)
	for _, writer := range slices.Sorted(maps.Keys(r.WriterPartitions)) {
		partition := r.WriterPartitions[writer]
		if partition < 0 {
			_, _ = fmt.Fprintf(out, "%s: lines on several partitions\n", writer)
			continue
		}
		_, _ = fmt.Fprintf(out, "%s: all lines in partition %d of %d\n", writer, partition, r.Partitions)
	}
	r.printUsage(out, r.Agents)
	r.printUsage(out, r.Sinks)
	_, _ = fmt.Fprintln(out, r.Verdict)
}

// printUsage prints what each program took, and what they took together for each GiB of lines.
func (r *Report) printUsage(out io.Writer, usages []Usage) {
	var cpu float64
	for _, u := range usages {
		cpu += u.CPUSeconds
		_, _ = fmt.Fprintf(out, "%-8s peak memory %5.1f MiB, CPU %5.2f s\n", u.Name, u.PeakRSSMiB, u.CPUSeconds)
	}
	_, _ = fmt.Fprintf(out, "%-8s %.1f CPU s/GiB\n", "together", cpu/r.GiB)
}
