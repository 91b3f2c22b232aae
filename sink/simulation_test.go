package sink

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"

	"github.com/logpipe/logpipe/internal/simulation"
	"github.com/logpipe/logpipe/sink/format"
)

// TestSimulation runs sinks, which take a partition from each other, are killed and go on when they should not, on a
// topic and a namenode that answer late, twice or not at all. After each step, what readers see is right; in the end
// every record is visible once, in order, or is noted as a gap.
func TestSimulation(t *testing.T) {
	simulation.Run(t, runtime.GOMAXPROCS(0), func(s *simulation.Sim) { newWorld(s).run() },
		"sink started", "sink killed", "sink revoked", "takeover", "store call refused", "store call late",
		"late call carried out", "store call twice", "store answer lost", "file completed short", "write failed",
		"store away", "Kafka away", "retention", "topic re-created", "commit", "gap")
}

// TestSimulationReplays shows that a seed is all that a world depends on.
func TestSimulationReplays(t *testing.T) {
	simulation.Replays(t, func(s *simulation.Sim) { newWorld(s).run() })
}

// rates are how often something goes wrong, in percent of the cases; each world has its own.
type rates struct {
	refused, late, twice, unanswered, short int
	kill, start, revoke, away, retention    int
}

// world is a partition of a topic, a namenode, and the sinks that think the partition is theirs.
type world struct {
	*simulation.Sim
	rates rates
	cfg   Config
	path  *format.Path
	now   time.Time

	topic     *simTopic
	nn        *namenode
	posix     bool // directories are removed file by file
	storeAway bool
	late      []func()
	answering bool // a late call is being carried out
	sinks     []*simSink

	// begin is the first offset that any sink claimed to go on at, next is behind the last commit; -1 before that.
	begin, next int64
	gaps        []offsetRange
}

// shared figures of all worlds: nobody looks at them, and making them takes longer than a world.
var simMetrics = newMetrics(func() Stats { return Stats{} })

func newWorld(s *simulation.Sim) *world {
	w := &world{Sim: s, now: time.Unix(1_800_000_000, 0), begin: -1, next: -1}
	w.nn = newNamenode(s.Fail)
	w.cfg = Config{Name: "test/sink", Topic: "lines", Path: "{topic}/key={key}"}
	w.cfg.Default()
	w.cfg.Roll.MaxRecords, w.cfg.MaxOpenFiles = int64(s.Between(1, 6)), s.Between(1, 3)
	if s.Chance(30) {
		w.cfg.InitialOffset = Latest
	}
	w.posix = s.Chance(30)
	var err error
	if w.path, err = format.ParsePath(w.cfg.Path, w.cfg.TimeZone); err != nil {
		s.Fail("%v", err)
	}
	w.topic = &simTopic{world: w, id: "id-1", end: int64(s.Between(0, 10)), atOnce: int64(s.Between(1, 5))}
	if s.Chance(30) {
		w.topic.skip = int64(s.Between(2, 5))
	}
	w.rates = rates{
		refused: w.rate(8), late: w.rate(5), twice: w.rate(5), unanswered: w.rate(8), short: w.rate(10),
		kill: w.rate(5), start: w.rate(5), revoke: w.rate(4), away: w.rate(2), retention: w.rate(3),
	}
	return w
}

// rate is 0 in half of the worlds: few kinds of faults at once lead further than all of them.
func (w *world) rate(most int) int {
	if w.Chance(50) {
		return 0
	}
	return w.Between(1, most)
}

func (w *world) run() {
	for range w.Between(100, 400) {
		w.happen()
		w.turn()
	}
	w.heal()
	w.check()
}

// happen lets something happen to the world, or nothing.
func (w *world) happen() {
	switch {
	case len(w.sinks) == 0 || len(w.sinks) < 3 && w.Chance(w.rates.start):
		w.start()
	case w.Chance(w.rates.kill):
		victim := w.sinks[w.IntN(len(w.sinks))]
		w.Event("sink killed", func() string { return victim.name })
		victim.process.Kill()
	case w.Chance(w.rates.revoke):
		victim := w.sinks[w.IntN(len(w.sinks))]
		w.Event("sink revoked", func() string { return victim.name })
		victim.cancel()
	case w.Chance(w.rates.away):
		w.storeAway = !w.storeAway
		w.Event("store away", func() string { return fmt.Sprint(w.storeAway) })
	case w.Chance(w.rates.away):
		w.topic.away = !w.topic.away
		w.Event("Kafka away", func() string { return fmt.Sprint(w.topic.away) })
	case len(w.late) > 0 && w.Chance(10):
		w.answerLate()
	case w.Chance(10):
		w.topic.grow(int64(w.Between(1, 4)))
	case w.Chance(w.rates.retention):
		w.topic.retain()
	case w.rates.retention > 0 && w.begin >= 0 && w.IntN(1000) == 0:
		w.topic.recreate()
	}
}

func (w *world) answerLate() {
	i := w.IntN(len(w.late))
	do := w.late[i]
	w.late = slices.Delete(w.late, i, i+1)
	w.answering = true
	do()
	w.answering = false
}

// turn gives one sink its turn. When all of them wait for the clock, it goes on.
func (w *world) turn() {
	w.sinks = slices.DeleteFunc(w.sinks, func(s *simSink) bool { return s.process.Ended })
	if len(w.sinks) == 0 {
		return
	}
	awake := slices.DeleteFunc(slices.Clone(w.sinks), func(s *simSink) bool { return s.wake.After(w.now) })
	if len(awake) == 0 {
		next := slices.MinFunc(w.sinks, func(a, b *simSink) int { return a.wake.Compare(b.wake) })
		w.now = next.wake
		awake = []*simSink{next}
	}
	awake[w.IntN(len(awake))].process.Step()
}

// heal ends all faults and lets one sink write what is left.
func (w *world) heal() {
	w.rates, w.storeAway, w.topic.away = rates{}, false, false
	w.topic.grow(1)
	w.leave(w.sinks...) // for ever, two that think the partition is theirs would only fence each other
	last := w.start()
	for i := range 20_000 {
		if w.settled(i) {
			w.leave(last)
			break
		}
		w.turn()
	}
	for len(w.late) > 0 {
		w.answerLate()
	}
}

// settled tells whether the last sink has done all it can after some turns: where the topic was made anew, no offset
// says so, as the end of the new one means nothing to the commits of the old one.
func (w *world) settled(turns int) bool {
	if w.topic.gone {
		return turns > 500
	}
	return w.safe() == w.topic.end
}

// leave tells sinks to end and waits for them.
func (w *world) leave(sinks ...*simSink) {
	sinks = slices.Clone(sinks)
	for _, s := range sinks {
		s.cancel()
	}
	for range 20_000 {
		w.turn()
		if !slices.ContainsFunc(sinks, func(s *simSink) bool { return !s.process.Ended }) {
			return
		}
	}
	w.Fail("sinks do not end")
}

// committed looks at a commit the moment it is made.
func (w *world) committed(dir string) {
	at := layout{sink: w.cfg.Name, topic: w.cfg.Topic}
	node := w.nn.at(path.Join(dir, manifestName))
	if path.Dir(dir) != at.commits() || node == nil {
		return
	}
	m, err := parseManifest(node.data, at)
	if err != nil {
		w.Fail("commit %s: %v", dir, err)
	}
	w.Event("commit", func() string { return fmt.Sprint(m.First, " to ", m.Last) })
	if w.next < 0 {
		w.next = w.begin
	}
	if m.First != w.next {
		w.Fail("commit %s begins at %d, the one before it ended before %d", dir, m.First, w.next)
	}
	w.next = m.Last + 1
	if m.Gap != nil {
		w.Event("gap", func() string { return fmt.Sprint(*m.Gap) })
		w.gaps = append(w.gaps, *m.Gap)
	}
}

// told takes what a sink tells the group: everything before next is safe.
func (w *world) told(next int64) {
	if w.begin < 0 {
		w.begin = next
	}
	if next > w.safe() {
		w.Fail("a sink says that all before %d is safe, but only what is before %d is", next, w.safe())
	}
}

// safe is the first offset that is not in the store.
func (w *world) safe() int64 { return max(w.begin, w.next) }

// check looks at the whole when all is done.
func (w *world) check() {
	if !w.topic.gone && w.safe() != w.topic.end {
		w.Fail("all before %d is committed, the topic ends at %d", w.safe(), w.topic.end)
	}
	seen := map[int64]bool{}
	w.nn.files(func(name string, data []byte) {
		last := int64(-1)
		for line := range bytes.Lines(data) {
			id, offset := parseValue(w, line)
			if id != "id-1" || seen[offset] || offset <= last {
				w.Fail("%s has offset %d of topic %s after %d; seen before: %v", name, offset, id, last, seen[offset])
			}
			seen[offset], last = true, offset
		}
	})
	for offset := max(w.begin, 0); offset < w.next; offset++ {
		gap := slices.ContainsFunc(w.gaps, func(g offsetRange) bool { return g.First <= offset && offset <= g.Last })
		there := w.topic.skip == 0 || offset%w.topic.skip != 0
		if there && seen[offset] == gap {
			w.Fail("offset %d: visible %v, in a gap %v", offset, seen[offset], gap)
		}
		delete(seen, offset)
	}
	if len(seen) > 0 {
		w.Fail("visible, but not committed: %v", seen)
	}
}

func parseValue(w *world, line []byte) (id string, offset int64) {
	text := strings.TrimRight(string(line), " \n")
	if _, err := fmt.Sscanf(text, "%4s:%d", &id, &offset); err != nil {
		w.Fail("record %q: %v", text, err)
	}
	return id, offset
}

// simSink is a sink that has been given the partition.
type simSink struct {
	name    string
	process *simulation.Process
	cancel  context.CancelFunc
	wake    time.Time
}

func (w *world) start() *simSink {
	kind := "sink started"
	if len(w.sinks) > 0 {
		kind = "takeover"
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &simSink{cancel: cancel, name: w.newID()}
	w.Event(kind, func() string { return s.name })
	s.process = simulation.Start(func(process *simulation.Process) {
		w.tools(s, process).partition().run(ctx)
	})
	w.sinks = append(w.sinks, s)
	return s
}

func (w *world) tools(s *simSink, process *simulation.Process) *simTools {
	files := &simStore{world: w, process: process}
	return &simTools{world: w, tools: tools{
		cfg: &w.cfg, files: files, path: w.path, slots: make(chan struct{}, 1), metrics: simMetrics,
		open: func(int32) source { return &simSource{simTopic: w.topic, process: process} },
		outside: outside{
			now: func() time.Time { return w.now }, newID: w.newID,
			pause: func(ctx context.Context, least, jitter time.Duration) {
				s.wake = w.now.Add(least + time.Duration(w.Int64N(int64(jitter)+1)))
				for ctx.Err() == nil && w.now.Before(s.wake) {
					process.Wait()
				}
				s.wake = time.Time{}
			},
		},
	}}
}

type simTools struct {
	*world
	tools
}

func (t *simTools) partition() *partition {
	return newPartition(&t.tools, 0, logr.Discard(), t.told)
}

// newID is a UUID that the seed decides.
func (w *world) newID() string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(w.IntN(256))
	}
	return id.String()
}
