package sink

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/logpipe/logpipe/sink/store"
)

// troubleGrace is how long trouble that usually passes by itself, such as a new leader, stays out of the log and
// /readyz.
const troubleGrace = 10 * time.Second

// Stats is what a sink has done since it started, and where it is.
type Stats struct {
	// Records, Bytes (as written) and Files committed, in so many Commits.
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	Files   int64 `json:"files"`
	Commits int64 `json:"commits"`
	// GapRecords are offsets that Kafka had deleted before they were read.
	GapRecords int64 `json:"gapRecords"`
	// Lag is how many offsets of the claimed partitions are not read yet; Uncommitted, how many are read but not
	// committed.
	Lag         int64 `json:"lag"`
	Uncommitted int64 `json:"uncommitted"`
	// OpenFiles of all claimed partitions.
	OpenFiles int `json:"openFiles"`
	// Partitions that are claimed now, by number.
	Partitions []PartitionStats `json:"partitions"`
	// Problem is why the sink, or a partition of it, does not go on at the moment.
	Problem string `json:"problem,omitempty"`
}

// PartitionStats is where a claimed partition is.
type PartitionStats struct {
	Partition int32 `json:"partition"`
	// Committed is the first offset that is not in the store yet, -1 when that is not known.
	Committed int64 `json:"committed"`
	// Read is the first offset that has not been read, -1 when that is not known.
	Read int64 `json:"read"`
	// End is the offset that the next record will get, as far as the last fetch could tell; -1 before it.
	End int64 `json:"end"`
	// Behind is the age of the record read last, 0 when there is nothing left to read.
	Behind time.Duration `json:"behind"`
	// OpenFiles that are being written.
	OpenFiles int `json:"openFiles"`
	// LastCommit is when this sink committed last; zero if it has not yet.
	LastCommit time.Time `json:"lastCommit"`
	// Reason and Problem say why the partition is paused; empty when it is not.
	Reason  string `json:"reason,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// lag is the number of offsets not read yet.
func (s PartitionStats) lag() int64 {
	if s.Read < 0 || s.End < 0 {
		return 0
	}
	return max(0, s.End-s.Read)
}

func (s PartitionStats) uncommitted() int64 {
	if s.Committed < 0 {
		return 0
	}
	return max(0, s.Read-s.Committed)
}

// state is what others may see of a partition.
type state struct {
	mu      sync.Mutex // guards the following
	stats   PartitionStats
	newest  time.Time // of the record read last
	err     error     // nil when there is no trouble
	since   time.Time // when the trouble began
	told    bool      // it was announced
	backoff time.Duration
	step    time.Time // when the step that is going on began
}

func newState(partition int32, now time.Time) *state {
	return &state{step: now, stats: PartitionStats{Partition: partition, Committed: -1, Read: -1, End: -1}}
}

// setPosition notes where the next roll begins.
func (s *state) setPosition(committed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Committed, s.stats.Read, s.stats.OpenFiles = committed, committed, 0
}

// drop notes that what was read since the last commit has to be read again.
func (s *state) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Read, s.stats.OpenFiles = s.stats.Committed, 0
}

func (s *state) setEnd(end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.End = end
}

func (s *state) read(got batch, newest time.Time, r *roll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Read, s.stats.End, s.stats.OpenFiles = r.next, got.end, len(r.order)
	if !newest.IsZero() {
		s.newest = newest
	}
}

func (s *state) commit(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.LastCommit = now
}

// trouble notes err and returns how long to wait, and whether to say so now: once, and not before its grace is over.
func (s *state) trouble(err error, now time.Time) (wait time.Duration, announce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.since, s.backoff = now, minBackoff
	} else {
		s.backoff = min(2*s.backoff, maxBackoff)
	}
	if reasonOf(s.err) != reasonOf(err) {
		s.told = false
	}
	s.err = err
	announce = !s.told && now.Sub(s.since) >= grace(err)
	s.told = s.told || announce
	return s.backoff, announce
}

// recovered forgets the trouble and tells whether it had been announced.
func (s *state) recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.told
	s.err, s.told = nil, false
	return told
}

func (s *state) setStep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step = now
}

func (s *state) lastStep() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.step
}

func (s *state) snapshot(now time.Time) PartitionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	if out.lag() > 0 && !s.newest.IsZero() {
		out.Behind = max(0, now.Sub(s.newest))
	}
	if s.err != nil && now.Sub(s.since) >= grace(s.err) {
		out.Reason, out.Problem = reasonOf(s.err), s.err.Error()
	}
	return out
}

func grace(err error) time.Duration {
	if errors.Is(err, errKafka) || errors.Is(err, errFenced) {
		return troubleGrace
	}
	return 0
}

// The reasons of trouble; the values of a metric's label.
const (
	reasonHalted      = "halted"           // a person must decide
	reasonFenced      = "fenced"           // another sink has the partition
	reasonKafka       = "kafka"            // Kafka can't be read
	reasonUnavailable = "storeUnavailable" // the store does not answer, or has no place to write to
	reasonBlocked     = "storeBlocked"     // the store refuses: permission, quota, disk full
	reasonStore       = "store"            // anything else of the store
)

func reasonOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errHalted):
		return reasonHalted
	case errors.Is(err, errFenced):
		return reasonFenced
	case errors.Is(err, errKafka):
		return reasonKafka
	case store.Blocked(err):
		return reasonBlocked
	case store.Unavailable(err):
		return reasonUnavailable
	default:
		return reasonStore
	}
}

// sum adds up what the partitions report.
func (s *Stats) sum(partitions []PartitionStats) {
	slices.SortFunc(partitions, func(a, b PartitionStats) int { return int(a.Partition - b.Partition) })
	s.Partitions = partitions
	for _, p := range partitions {
		s.Lag += p.lag()
		s.Uncommitted += p.uncommitted()
		s.OpenFiles += p.OpenFiles
		if p.Problem != "" && s.Problem == "" {
			s.Problem = "partition " + strconv.Itoa(int(p.Partition)) + ": " + p.Problem
		}
	}
}
