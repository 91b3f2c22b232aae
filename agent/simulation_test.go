package agent

import (
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/simulation"
)

// TestSimulation runs an agent that is killed at any call to the outside, on logs that are rotated and compressed
// between any two of its looks, and on brokers that fail, forget and change leaders. Every record must arrive once,
// whole and in order; where agents deliver at least once, some come again.
func TestSimulation(t *testing.T) {
	dir := memoryDir(t)
	simulation.Run(t, runtime.GOMAXPROCS(0), func(s *simulation.Sim) { newWorld(s, dir).run() },
		"agent killed", "agent killed, its last writes lost", "session ended", "rotation", "reopened", "compression",
		"delete", "truncation", "record that may be lost", "inode used again", "Kafka away", "leader changed",
		"leader had more than others", "batch came again", "stray request",
		"batch refused", "producers forgotten", "topic grew", "producer id",
		"record came again", "clock set", "clock of batches set", "disk call failed",
		"power cut", "record came again after a power cut")
}

// TestSimulationReplays shows that a seed is all that a world depends on.
func TestSimulationReplays(t *testing.T) {
	dir := memoryDir(t)
	simulation.Replays(t, func(s *simulation.Sim) { newWorld(s, dir).run() })
}

// memoryDir returns a temporary directory, in memory where the system has a place for that.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "logpipe-agent-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// rates are how often something happens, in percent of the cases; each world has its own.
type rates struct {
	write, rotate, refused, kill, away, lead, jump, network, replicate, clock, disk int
}

// world is a machine with logs and an agent, and a topic.
type world struct {
	*simulation.Sim
	rates rates
	cfg   Config
	now   time.Time
	// ahead is how far ahead the clock is that batches are dated by.
	ahead time.Duration
	glob  bool // rotated names match, too
	// deliveries are the settings that the lives of the agent have in turns.
	deliveries []Delivery
	// power says that the machine may lose its power.
	power bool
	zip   *gzip.Writer

	disk  *simDisk
	logs  []*simLog
	topic *simTopic
	// producers are those whose connections are open.
	producers []*simProducer

	agent *simAgent
	// dir has the journal of each life of the agent, in a directory of its own.
	dir   string
	lives int
	// synced is how much of the journal was safe when a batch was sent last.
	synced int64
}

// simAgent is one life of the agent.
type simAgent struct {
	process *simulation.Process
	agent   *Agent
	disk    *agentDisk
	wake    time.Time
}

func newWorld(s *simulation.Sim, dir string) *world {
	w := &world{Sim: s, now: time.Unix(1_800_000_000, 0), zip: newZip(), glob: s.Chance(50)}
	w.dir = filepath.Join(dir, fmt.Sprint(s.Seed()))
	w.cfg = Config{
		Name: "test/agent", Topic: "lines", Kafka: kafka.Config{BootstrapServers: []string{"broker:9092"}},
		Batch: Batch{MaxRecords: s.Between(1, 6), Interval: conf.Duration(100 * time.Millisecond)},
		Node:  Node{Name: "node-1"}, BufferBytes: 1 << 20,
	}
	w.cfg.Decode.MaxRecordBytes = 4 << 10
	w.cfg.PartitionKey = [...]PartitionKey{
		{Type: KeyFile}, {Type: KeyStatic, Value: "all"}, {Type: KeyField, Field: "k"}, {Type: KeyNone},
	}[s.IntN(4)]
	switch s.IntN(3) {
	case 0:
		w.cfg.Decode.Format = decode.FormatCRI
	case 1:
		w.cfg.Decode.Format = decode.FormatRaw
		w.cfg.Decode.Multiline = &decode.Multiline{EndPattern: ";$", Timeout: conf.Duration(1000 * time.Hour)}
	default:
		w.cfg.Decode.Format = decode.FormatRaw
	}
	pattern := simDir + "/*.log"
	if w.glob {
		pattern += "*"
	}
	w.cfg.Inputs = []Input{{Files: &FilesInput{Include: []string{pattern}}}}
	w.disk = newSimDisk(w)
	for i := range s.Between(1, 2) {
		w.logs = append(w.logs, &simLog{
			world: w, name: string(rune('a' + i)), numbered: s.Chance(50), compress: s.Chance(60), copies: s.Chance(30),
			arrived: map[int]bool{}, long: map[int]bool{}, lost: map[int]bool{}, torn: map[int]bool{}, again: map[int]bool{},
		})
	}
	w.topic = &simTopic{world: w}
	for range s.Between(1, 3) {
		w.topic.grow()
	}
	w.rates = rates{
		write: s.Between(1, 10), rotate: w.rate(3), refused: w.rate(5), kill: w.rate(2), away: w.rate(1), lead: w.rate(3),
		jump: w.rate(2), network: s.Between(10, 60), replicate: s.Between(5, 60),
	}
	w.deliveries = []Delivery{ExactlyOnce}
	switch s.IntN(10) { // drawn last: the other worlds stay as they are
	case 0:
		w.deliveries = []Delivery{AtLeastOnce}
	case 1:
		w.deliveries = []Delivery{ExactlyOnce, AtLeastOnce}
	}
	if s.Chance(20) {
		w.rates.clock = s.Between(1, 3)
	}
	if s.Chance(20) {
		w.rates.disk = s.Between(1, 10)
	}
	w.power = w.mayLosePower()
	return w
}

// rate is 0 in some of the worlds: few kinds of faults at once lead further than all of them.
func (w *world) rate(most int) int {
	if w.Chance(30) {
		return 0
	}
	return w.Between(1, most)
}

// tick makes each change come at a time of its own.
func (w *world) tick() time.Time {
	w.now = w.now.Add(time.Duration(w.Between(1, 1000)) * time.Microsecond)
	return w.now
}

func (w *world) run() {
	defer func() { _ = os.RemoveAll(w.dir) }()
	w.start()
	for range w.Between(300, 1500) {
		w.happen()
		w.turn()
	}
	w.heal()
	w.check()
	w.agent.end()
}

// happen lets something happen to the world, or nothing.
func (w *world) happen() {
	log := w.logs[w.IntN(len(w.logs))]
	switch {
	case w.Chance(w.rates.write):
		log.write()
	case w.Chance(w.rates.rotate):
		log.rotate()
	case w.Chance(w.rates.rotate):
		log.reopen()
	case w.Chance(3 * w.rates.rotate):
		log.tidy()
	case w.power && w.Chance(3):
		log.writeBack()
	case w.IntN(300) < w.rates.kill:
		w.kill()
	case w.IntN(200) < w.rates.away:
		w.topic.away = !w.topic.away
		w.Event("Kafka away", func() string { return fmt.Sprint(w.topic.away) })
	case w.Chance(w.rates.network):
		w.network()
	case w.IntN(300) < w.rates.jump:
		w.jump()
	case w.rates.clock > 0 && w.IntN(300) < w.rates.clock:
		w.disk.setClock()
	case w.rates.clock > 0 && w.IntN(300) < w.rates.clock:
		w.ahead = time.Duration(w.Between(-3*3600, 3*3600)) * time.Second
		w.Event("clock of batches set", w.ahead.String)
	case w.rates.jump > 0 && w.IntN(2000) == 0 && len(w.topic.partitions) < 6:
		w.topic.grow()
		w.topic.grew = true
		w.Event("topic grew", func() string { return fmt.Sprint(len(w.topic.partitions)) })
	}
}

// network lets something happen between agent and brokers, or among these.
func (w *world) network() {
	for _, p := range slices.Clone(w.producers) {
		for _, l := range p.lanes {
			l.move()
		}
	}
	p := w.topic.partitions[w.IntN(len(w.topic.partitions))]
	switch {
	case w.Chance(w.rates.replicate):
		p.replicate()
	case w.Chance(10):
		p.stray()
	case w.Chance(2 * w.rates.lead):
		for _, producer := range w.producers {
			if l := producer.lane(p.number); l != nil {
				l.cut()
			}
		}
		p.lead()
	}
}

// jump lets time pass, sometimes more than brokers remember a producer for that does not write.
func (w *world) jump() {
	w.advance(w.now.Add(time.Duration(w.Between(1, 60)) * time.Second))
	if w.Chance(20) && len(w.producers) == 0 {
		w.advance(w.now.Add(25 * time.Hour))
		w.Event("producers forgotten", func() string { return "" })
		for _, p := range w.topic.partitions {
			p.strays = nil
			for p.replicated < len(p.log) {
				p.replicate()
			}
			p.forgotten = len(p.log)
		}
	}
}

// advance lets time pass. A rotation does not take long: a rotated file that is quiet for 5 s is taken as ended.
func (w *world) advance(to time.Time) {
	for _, l := range w.logs {
		for len(l.copying) > 0 && to.Sub(l.rotatedAt) > 2*time.Second {
			l.copyOn()
		}
		if (l.lags() || l.file == nil && len(l.rotated) > 0) && to.Sub(l.rotatedAt) > 2*time.Second {
			l.reopen()
		}
	}
	w.now = to
}

// turn gives the agent its turn. When it waits for the clock, that goes on.
func (w *world) turn() {
	if w.agent == nil {
		if w.Chance(5) {
			w.start()
		}
		return
	}
	if w.now.Before(w.agent.wake) && !w.answered() {
		if w.Chance(50) {
			return // there is time for others
		}
		w.advance(w.agent.wake)
	}
	w.agent.process.Step()
}

// answered tells whether there is something that wakes the agent up.
func (w *world) answered() bool {
	return slices.ContainsFunc(w.producers, func(p *simProducer) bool { return len(p.results) > 0 })
}

// heal ends all faults and waits until every record is there.
func (w *world) heal() {
	w.rates, w.topic.away, w.ahead = rates{network: 100, replicate: 60}, false, 0
	for _, l := range w.logs {
		for len(l.copying) > 0 {
			l.copyOn()
		}
		for l.whole() < l.n || l.file == nil || l.lags() {
			l.reopen()
			l.write()
		}
	}
	if w.agent == nil {
		w.start()
	}
	for i := range 100_000 {
		w.network()
		w.turn()
		if i%50 == 0 && !slices.ContainsFunc(w.logs, func(l *simLog) bool { return !l.settled(l.n) }) {
			break
		}
	}
	for range 2_000 { // what comes twice may come late
		w.network()
		w.turn()
	}
}

func (w *world) check() {
	for _, l := range w.logs {
		for n := range l.n {
			if !l.arrived[n] && !l.lost[n] {
				w.Fail("record %d of %s, of %d, is lost", n, l.name, l.n)
			}
		}
	}
	// What came before, and comes again, counts as lost when its file is deleted meanwhile.
	if lost := w.agent.agent.totals.lostRecords; lost > 0 && !w.mayBeLost() && !w.loose() {
		w.Fail("the agent says that it lost %d records", lost)
	}
}

// start begins a life of the agent.
func (w *world) start() {
	s := &simAgent{disk: &agentDisk{simDisk: w.disk, handles: map[*simHandle]bool{}}}
	w.Event("agent started", func() string { return fmt.Sprint(w.lives) })
	w.cfg.StateDir, w.cfg.Delivery = w.stateDir(), w.deliveries[w.lives%len(w.deliveries)]
	s.process = simulation.Start(func(process *simulation.Process) {
		s.disk.process = process
		s.live(w, process)
	})
	w.agent = s
}

func (w *world) stateDir() string { return filepath.Join(w.dir, fmt.Sprint(w.lives)) }

// live is Agent.Run in simulated time.
func (s *simAgent) live(w *world, process *simulation.Process) {
	ctx := context.Background()
	var err error
	s.agent, err = newAgent(ctx, w.cfg, w.log(), outside{
		now: func() time.Time { return w.now }, wall: func() time.Time { return w.now.Add(w.ahead) }, disk: s.disk,
		connect: func(context.Context, kafka.Config, logr.Logger) (cluster, error) {
			c := &simCluster{simTopic: w.topic, process: process}
			return c, c.ask()
		},
	})
	if err == nil {
		w.noteSynced()
		err = s.agent.openFiles()
	}
	if err != nil {
		w.Fail("the agent does not start: %v", err)
	}
	for {
		err := s.session(ctx, w)
		w.Event("session ended", func() string { return err.Error() })
		s.sleep(w, retryFirst)
	}
}

// log makes events of what the agent says.
func (w *world) log() logr.Logger {
	return funcr.New(func(_, args string) { w.Event("log", func() string { return args }) }, funcr.Options{Verbosity: 1})
}

// session is Agent.session in simulated time.
func (s *simAgent) session(ctx context.Context, w *world) error {
	if err := s.agent.begin(ctx); err != nil {
		return err
	}
	defer s.agent.producer.Close()
	if err := s.agent.resume(ctx); err != nil {
		return err
	}
	for {
		wait, err := s.agent.step(ctx, w.now)
		if err != nil {
			return err
		}
		s.sleep(w, wait)
	}
}

func (s *simAgent) sleep(w *world, d time.Duration) {
	s.wake = w.now.Add(max(d, time.Microsecond))
	for s.process.Wait(); w.now.Before(s.wake) && !w.answered(); {
		s.process.Wait()
	}
	s.wake = time.Time{}
}

// kill ends the agent as kill -9 does, or as a loss of power: then what it wrote without a sync may be lost, too.
func (w *world) kill() {
	if w.agent == nil {
		return
	}
	dead := w.agent
	w.agent = nil
	dead.process.Kill()
	for _, p := range slices.Clone(w.producers) {
		p.Close()
	}
	dead.disk.died()
	data, err := os.ReadFile(filepath.Join(w.stateDir(), "journal"))
	kind := "agent killed"
	power := w.Chance(30)
	if power && err == nil && int64(len(data)) > w.synced {
		kind = "agent killed, its last writes lost"
		data = data[:w.synced+w.Int64N(int64(len(data))-w.synced)]
	}
	w.Event(kind, func() string { return fmt.Sprint(len(data)) })
	w.synced = int64(len(data))
	if power && w.power {
		w.losePower()
	}
	dead.end()
	_ = os.RemoveAll(w.stateDir())
	// The dead agent's lock ends only with this process: the next one gets a directory of its own.
	w.lives++
	if err == nil {
		if err = os.MkdirAll(w.stateDir(), 0o700); err == nil {
			err = os.WriteFile(filepath.Join(w.stateDir(), "journal"), data, 0o600)
		}
		if err != nil {
			w.Fail("%v", err)
		}
	}
}

// end closes what this process holds for a life of the agent, when nobody looks any more at what that writes.
func (s *simAgent) end() {
	s.process.Kill()
	if s.agent != nil {
		_ = s.agent.close()
	}
}

// noteSynced notes that all of the journal is on the disk.
func (w *world) noteSynced() {
	if info, err := os.Stat(filepath.Join(w.stateDir(), "journal")); err == nil {
		w.synced = info.Size()
	}
}
