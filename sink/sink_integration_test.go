package sink

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/logpipe/logpipe/test/servers"
)

// TestKillNine kills the sink 20 times in mid-flow. Each incarnation is a group of its own, so that it need not wait
// until Kafka has given up the one before: the group's offsets are not what a sink goes on from.
func TestKillNine(t *testing.T) {
	p := newPipe(t, servers.Kafka(t, 1), servers.HDFS(t, 1), 4)
	for i := range 20 {
		cfg := p.cfg
		cfg.ConsumerGroup = fmt.Sprintf("%s-%d", cfg.ConsumerGroup, i)
		before := p.committed()
		p.produce(3000)
		cmd := p.spawn(cfg)
		// A different moment each time, told by progress: at once, in the first roll, after some commits.
		wanted := before + int64(i%5)*1500
		p.until("the sink has come so far", func() bool { return p.progress(wanted) })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	p.start()
	p.wantAllOnce()
}

// progress tells whether so much is committed, and a session is at work on more.
func (p *pipe) progress(wanted int64) bool {
	if p.committed() < wanted {
		return false
	}
	for i := range p.sources {
		l := layout{sink: p.cfg.Name, topic: p.cfg.Topic, partition: int32(i)}
		if entries, err := p.files.ReadDir(l.sessions()); err == nil && len(entries) > 0 {
			return true
		}
	}
	return false
}

// TestRebalance has two sinks share 12 partitions, and a third join them while lines come in.
func TestRebalance(t *testing.T) {
	p := newPipe(t, servers.Kafka(t, 1), servers.HDFS(t, 1), 12)
	sinks := []*runningSink{p.start(), p.start()}
	shared := func(each int) func() bool {
		return func() bool {
			for _, s := range sinks {
				p.produce(20)
				if len(s.claims()) != each {
					return false
				}
			}
			return true
		}
	}
	p.until("two sinks have 6 partitions each", shared(6))
	kept := sinks[0].claims()
	sinks = append(sinks, p.start())
	p.until("three sinks have 4 partitions each", shared(4))
	for _, number := range sinks[0].claims() {
		if !slices.Contains(kept, number) {
			t.Errorf("partition %d came to a sink that had to give some away", number)
		}
	}
	p.produce(500)
	sinks[1].stop()
	sinks = slices.Delete(sinks, 1, 2)
	p.until("two sinks have taken over from the third", shared(6))
	p.wantAllOnce()
}

// TestQuietTopic writes a few lines and no more: the timer makes them visible.
func TestQuietTopic(t *testing.T) {
	p := newPipe(t, servers.Kafka(t, 1), servers.HDFS(t, 1), 1)
	p.start()
	p.produce(3)
	p.wantAllOnce()
	p.produce(4)
	p.wantAllOnce()
}

// TestNameNodeRestart takes HDFS away in mid-flow: the sink says so, waits, and goes on by itself.
func TestNameNodeRestart(t *testing.T) {
	hdfs := servers.PrivateHDFS(t, 1)
	p := newPipe(t, servers.Kafka(t, 1), hdfs, 3)
	s := p.start()
	p.until("lines flow", func() bool { p.produce(20); return p.committed() > 100 })
	hdfs.Kill("nn")
	down := time.Now()
	p.until("the sink says so", func() bool { p.produce(1); return s.Stats().Problem != "" })
	if took := time.Since(down); took > 30*time.Second {
		t.Errorf("the sink said so after %s", took)
	}
	hdfs.Start("nn")
	p.produce(100)
	p.wantAllOnce()
	p.until("the sink is well again", func() bool { return s.Stats().Problem == "" })
}

// TestSafeMode has a NameNode that answers, but refuses to change anything for a while.
func TestSafeMode(t *testing.T) {
	hdfs := servers.PrivateHDFS(t, 1)
	p := newPipe(t, servers.Kafka(t, 1), hdfs, 2)
	s := p.start()
	p.until("lines flow", func() bool { p.produce(20); return p.committed() > 100 })
	hdfs.Admin("-safemode", "enter")
	p.until("the sink says so", func() bool { p.produce(1); return s.Stats().Problem != "" })
	hdfs.Admin("-safemode", "leave")
	p.wantAllOnce()
}
