package pipe

import (
	"context"
	"fmt"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/sink"
)

// tell writes how far the programs are, every now and then.
func (p *pipe) tell(ctx context.Context) {
	ticker := time.NewTicker(p.o.Progress)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			p.tellOnce(now)
		}
	}
}

func (p *pipe) tellOnce(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.programs {
		state := "waiting for its topic"
		if at.describe != nil {
			state = at.describe()
		}
		_, _ = fmt.Fprintf(p.o.Out, "%s %s: %s\n", now.Format(time.TimeOnly), at.name, state)
	}
}

func describeAgent(s agent.Stats) string {
	text := fmt.Sprintf("%d files, %d lines read, %d sent, %s behind",
		s.Files, s.Records, s.AckedRecords, size(s.LagBytes))
	if s.LostRecords > 0 || s.LostBytes > 0 {
		text += fmt.Sprintf(", LOST %d lines, %s", s.LostRecords, size(s.LostBytes))
	}
	return text + because(s.Problem)
}

func describeSink(s sink.Stats) string {
	text := fmt.Sprintf("%d lines committed in %d files, %d in open files, %d not read yet",
		s.Records, s.Files, s.Uncommitted, s.Lag)
	if s.GapRecords > 0 {
		text += fmt.Sprintf(", LOST %d that Kafka had deleted", s.GapRecords)
	}
	return text + because(s.Problem)
}

func because(problem string) string {
	if problem == "" {
		return ""
	}
	return "; " + problem
}

// size writes a number of bytes for people.
func size(bytes int64) string {
	const unit = 1024
	value, name := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < unit {
			break
		}
		value, name = value/unit, next
	}
	if name == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, name)
}
