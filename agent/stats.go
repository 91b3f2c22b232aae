package agent

import (
	"time"

	"github.com/logpipe/logpipe/internal/kafka"
)

// Stats are the agent's figures at one moment, counted since it started.
type Stats struct {
	Files        int
	ReadBytes    int64
	Records      int64
	AckedRecords int64
	AckedBytes   int64
	// LagBytes are in the files and not read yet.
	LagBytes    int64
	LostRecords int64
	LostBytes   int64
	// Problem says what keeps lines from reaching Kafka, "" if nothing does.
	Problem string
}

// blockedAfter is how long a partition may fail before it is a problem: leaders change in a few seconds.
const blockedAfter = 15 * time.Second

// updateStats brings the figures up to date.
func (a *Agent) updateStats() {
	a.countDecoded()
	stats := Stats{
		Files: len(a.order), ReadBytes: a.totals.readBytes, Records: a.totals.records, AckedRecords: a.totals.acked,
		AckedBytes: a.totals.ackedBytes, LostRecords: a.totals.lostRecords, LostBytes: a.totals.lostBytes,
	}
	now, soonest := a.now(), -1.0
	for _, s := range a.order {
		stats.LagBytes += s.file.Lag()
		if left := s.timeToLoss(now); left >= 0 && (soonest < 0 || left < soonest) {
			soonest = left
		}
	}
	a.metrics.timeToLoss.Set(soonest)
	blocked := 0
	for _, status := range a.producer.Status() {
		if !status.BlockedSince.IsZero() {
			blocked++
			if now.Sub(status.BlockedSince) > blockedAfter {
				stats.Problem = "a partition takes no batches: " + status.Err.Error()
			}
		}
	}
	buffered := 0
	for _, b := range a.open {
		buffered += len(b.memory) + cap(b.side)
	}
	for _, n := range a.inFlight {
		buffered += n * a.batchMemory()
	}
	a.metrics.files.Set(float64(stats.Files))
	a.metrics.lagBytes.Set(float64(stats.LagBytes))
	a.metrics.blocked.Set(float64(blocked))
	a.metrics.bufferBytes.Set(float64(buffered))
	a.snapshot.Store(&stats)
}

// keptByKubelet is how much of a container's log the kubelet keeps by default: five files of 10 MiB.
const keptByKubelet = 50 << 20

// growth estimates how fast a container's log grows.
type growth struct {
	at   time.Time
	end  int64
	rate float64 // bytes per second
}

// timeToLoss is how many seconds are left until the oldest unread byte of a container's log is rotated away, -1 if
// nothing is unread or the log does not grow.
func (s *stream) timeToLoss(now time.Time) float64 {
	if s.from.Pod == nil {
		return -1
	}
	end := s.file.Position() + s.file.Lag()
	if seconds := now.Sub(s.growth.at).Seconds(); seconds > 0 {
		s.growth.rate += (float64(end-s.growth.end)/seconds - s.growth.rate) / 4 // the last few looks count
		s.growth.at, s.growth.end = now, end
	}
	if s.file.Lag() == 0 || s.growth.rate < 1 {
		return -1
	}
	return max(0, float64(keptByKubelet-s.file.Lag())/s.growth.rate)
}

// countDecoded counts what the decoders cut off or dropped since the last time.
func (a *Agent) countDecoded() {
	d := a.decoded
	a.decoded.OversizeRecords, a.decoded.OversizeBytes, a.decoded.TruncatedRecords = 0, 0, 0
	a.decoded.TruncatedBytes, a.decoded.FilteredRecords, a.decoded.FilteredBytes = 0, 0, 0
	a.lost(lostOversize, d.OversizeRecords, d.OversizeBytes+d.TruncatedBytes)
	a.metrics.lostRecords.WithLabelValues(lostFilter).Add(float64(d.FilteredRecords))
	a.metrics.lostBytes.WithLabelValues(lostFilter).Add(float64(d.FilteredBytes))
}

// lost counts what will not reach Kafka.
func (a *Agent) lost(reason string, records, bytes int64) {
	a.totals.lostRecords += records
	a.totals.lostBytes += bytes
	a.metrics.lostRecords.WithLabelValues(reason).Add(float64(records))
	a.metrics.lostBytes.WithLabelValues(reason).Add(float64(bytes))
}

// problem shows what keeps lines from reaching Kafka, "" if nothing does.
func (a *Agent) problem(text string) {
	stats := a.Stats()
	stats.Problem = text
	a.snapshot.Store(&stats)
}

func (a *Agent) producerConfig() kafka.ProducerConfig {
	return kafka.ProducerConfig{Compression: a.cfg.Compression}
}
