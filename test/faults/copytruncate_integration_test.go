package faults

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

// fewTruncations is how many there are without LOGPIPE_FAULTS_ROUNDS.
const fewTruncations = 30

// TestCopyTruncate rotates a log by copying and truncating it, with the agent killed and started again at every moment
// of that. docs/limits.md says what may be lost then, and the test knows which lines these are: those written between
// the copy and the truncation, and, where copies are not configured, those of a log that no agent had read anything of.
// Of the first, those that no agent lived to see must be lost. All others come exactly once; their order is not kept
// across truncations that no agent saw.
func TestCopyTruncate(t *testing.T) {
	brokers := servers.Kafka(t, 1).Bootstrap
	tests := map[string]struct {
		copies bool // are configured
	}{
		"copies are read": {copies: true},
		"copies are not":  {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTailed(t, brokers, func(w *tailed, cfg *agent.Config) {
				if test.copies {
					cfg.Inputs[0].Files.Include = []string{w.live + "*"}
				}
			})
			c := &copyTruncate{
				tailed: w, copies: test.copies,
				seen: map[uint64]bool{}, may: map[uint64]bool{}, must: map[uint64]bool{},
			}
			began := time.Now()
			c.toggle()
			w.write(1)
			c.awaitAll()
			for range rounds(t, fewTruncations) {
				c.round()
			}
			c.revive()
			w.write(1)
			c.awaitAll()
			w.agent.kill()
			checker, verdict := w.judge(w.source)
			lost := checker.Missing(writerName(0), w.source.Count(), int(w.source.Count()))
			t.Logf("%d truncations in %.0f s, %d agents; %d lines could be lost, %d had to be: %s", w.rotations,
				time.Since(began).Seconds(), w.lives.Load(), len(c.may), len(c.must), verdict)
			c.compare(lost)
			if verdict.Duplicated+verdict.Corrupt > 0 {
				t.Error("lines came twice or not whole")
			}
		})
	}
}

// copyTruncate is a log that is copied and truncated.
type copyTruncate struct {
	*tailed
	copies bool
	alive  bool
	// diedAt is the number of the first line that the last agent could not see.
	diedAt uint64
	// first is the first line since the last truncation, settled up to where all lines are in Kafka or may be lost.
	first, settled uint64
	// seen are the lines among the looked first records in Kafka.
	seen   map[uint64]bool
	looked int64
	// may and must are the lines that can be lost, and those that no one could read.
	may, must map[uint64]bool
}

func (c *copyTruncate) toggle() {
	c.Helper()
	if c.alive = !c.alive; c.alive {
		c.start()
		return
	}
	c.agent.kill()
	c.diedAt = c.source.Count()
}

func (c *copyTruncate) revive() {
	c.Helper()
	if !c.alive {
		c.toggle()
	}
}

// maybe kills the agent, or starts one.
func (c *copyTruncate) maybe() {
	c.Helper()
	if c.random.IntN(5) == 0 {
		c.toggle()
	}
}

// awaitAll waits until all lines are in Kafka that can't be lost.
func (c *copyTruncate) awaitAll() {
	c.Helper()
	c.await("all lines are in Kafka", func() bool { return c.firstMissing() == c.source.Count() })
}

// firstMissing is the first line that is not in Kafka and can't be lost.
func (c *copyTruncate) firstMissing() uint64 {
	c.Helper()
	for c.look(); c.seen[c.settled] || c.may[c.settled]; {
		c.settled++
	}
	return c.settled
}

// look notes which lines have come to Kafka.
func (c *copyTruncate) look() {
	c.Helper()
	fetcher := kafka.NewFetcher(c.client, c.topic, 0, logr.Discard())
	defer fetcher.Close()
	for end := c.end(); c.looked < end; {
		fetched, err := fetcher.Fetch(c.Context(), c.looked, 1<<20)
		c.check(err)
		for _, r := range fetched.Records {
			if _, sequence, ok := lines.Parse(r.Value); ok {
				c.seen[sequence] = true
			}
		}
		c.looked = fetched.Next
	}
}

func (c *copyTruncate) round() {
	c.Helper()
	c.maybe()
	c.write(20 + c.random.IntN(100)) // by which a copy is known
	c.maybe()
	if c.random.IntN(2) == 0 {
		c.revive()
		c.awaitAll()
	}
	c.maybe()
	c.write(c.random.IntN(20))
	copied, wasAlive := c.source.Count(), c.alive
	name := c.rotatedName()
	c.check(copyFile(c.live, name))
	c.maybe()
	if c.random.IntN(2) == 0 {
		c.write(c.random.IntN(20))
	}
	wasAlive = wasAlive || c.alive
	c.maybe()
	c.truncate(copied, wasAlive || c.alive)
	c.rotated = append(c.rotated, rotated{name: name})
	c.maybe()
	c.write(1 + c.random.IntN(100))
	if len(c.rotated) > kept || c.random.IntN(2) == 0 {
		c.revive()
		c.awaitAll()
	}
	if len(c.rotated) > kept {
		for _, old := range c.rotated {
			c.check(os.Remove(old.name))
		}
		c.rotated = nil
	}
}

// truncate notes which lines may be lost by it. Those below copied are in the copy; seen says that an agent lived after
// the copy was made.
func (c *copyTruncate) truncate(copied uint64, seen bool) {
	c.Helper()
	from, end := c.firstMissing(), c.source.Count()
	if c.copies || c.seen[c.first] {
		from = copied
	}
	for i := from; i < end; i++ {
		c.may[i] = true
	}
	for i := copied; i < end && !seen; i++ {
		c.must[i] = true
	}
	c.check(os.Truncate(c.live, 0))
	c.first = end
}

// compare reports lines that were lost and need not, or are there and can't be.
func (c *copyTruncate) compare(lost []uint64) {
	c.Helper()
	var readable []uint64
	for _, i := range lost {
		if !c.may[i] {
			readable = append(readable, i)
		}
	}
	if len(readable) > 0 {
		c.Errorf("lines that were readable are lost: %v", readable)
	}
	for i := range c.must {
		if !slices.Contains(lost, i) {
			c.Errorf("line %d is there, but no agent could read it", i)
		}
	}
}

// copyFile copies as logrotate does: under the final name, with the original untouched.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(filepath.Clean(to))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
