package cost

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
)

// tick is how often lines are appended at a steady rate.
const tick = 5 * time.Millisecond

// prepare writes a file of lines.
func prepare(path string, count int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out, source := bufio.NewWriterSize(file, 1<<20), lines.NewSource("w", 1)
	for range count {
		if _, err := out.Write(source.Next(time.Unix(1_800_000_000, 0))); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := file.Sync(); err != nil { // so that nothing is written back while the agent is measured
		return err
	}
	return file.Close()
}

// log is written at a steady rate, and knows when.
type log struct {
	mu sync.Mutex
	// at is when the lines before each number of the other were written.
	at   []time.Time
	upTo []int64
}

// write appends lines to path until it is time to stop.
func (l *log) write(path string, perSecond int, until time.Time) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	source, ticker := lines.NewSource("w", 1), time.NewTicker(tick)
	defer ticker.Stop()
	began := time.Now()
	var text []byte
	for now := range ticker.C {
		if !now.Before(until) {
			return file.Close()
		}
		text = text[:0]
		for due := int64(now.Sub(began).Seconds() * float64(perSecond)); int64(source.Count()) < due; {
			text = append(text, source.Next(now)...)
		}
		l.note(int64(source.Count())) // before a consumer can have them
		if _, err := file.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func (l *log) note(count int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.upTo = append(l.at, time.Now()), append(l.upTo, count)
}

// writtenAt is when the line of a number was written.
func (l *log) writtenAt(number int64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearch(l.upTo, number+1)
	return l.at[i]
}

func (l *log) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.upTo) == 0 {
		return 0
	}
	return l.upTo[len(l.upTo)-1]
}

// steady has the agent follow a log to which lines come at a steady rate. A line is visible when a consumer has it.
func (b *bench) steady(d agent.Delivery, interval conf.Duration) measured {
	b.Helper()
	path := filepath.Join(b.TempDir(), "app.log")
	b.check(os.WriteFile(path, nil, 0o600))
	r := b.start(d, path, interval)
	began := time.Now()
	l, written := &log{}, make(chan error, 1)
	go func() { written <- l.write(path, *rate, began.Add(*during)) }()
	fetcher := kafka.NewFetcher(r.client, r.topic, 0, logr.Discard())
	defer fetcher.Close()
	var delays []time.Duration
	for offset, ended := int64(0), false; !ended || offset < l.count(); {
		fetched, err := fetcher.Fetch(b.Context(), offset, 4<<20)
		b.check(err)
		now := time.Now()
		for _, record := range fetched.Records {
			delays = append(delays, now.Sub(l.writtenAt(record.Offset)))
		}
		offset = fetched.Next
		select {
		case err := <-written:
			b.check(err)
			ended = true
		default:
		}
		if now.Sub(began) > *during+patience {
			b.Fatalf("%d of %d lines came", offset, l.count())
		}
	}
	took := time.Since(began)
	cpu := r.stop()
	delays = delays[len(delays)/5:] // the agent had to start
	slices.Sort(delays)
	return measured{
		cpuShare: 100 * cpu.Seconds() / took.Seconds(),
		delay50:  milliseconds(delays[len(delays)/2]),
		delay99:  milliseconds(delays[len(delays)*99/100]),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
