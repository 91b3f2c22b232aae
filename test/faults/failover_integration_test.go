package faults

import (
	"fmt"
	"testing"

	"github.com/logpipe/logpipe/test/servers"
)

// defaultFailovers is how many failovers, and how many deaths of a DataNode, keep the test short.
const defaultFailovers = 2

// TestSinksThroughFailovers lets two sinks write while the NameNodes take turns, one after another: because they are
// told to, because the active one is killed, and because it hangs and wakes up when the other one is active. DataNodes
// are killed, before or after that, and hang. Every line must become visible once and in order.
func TestSinksThroughFailovers(t *testing.T) {
	f := newFailovers(t, servers.Kafka(t, 1), servers.HAHDFS(t))
	f.start()
	for i := range rounds(t, defaultFailovers) {
		t.Logf("round %d", i+1)
		f.round(i)
	}
	f.finish()
	verdict := f.verdict()
	t.Logf("%s; %d commits; the longest time without a new commit:\n%s", verdict, f.commits.count(), f.pauses)
	if !verdict.Perfect() {
		t.Error("not exactly once")
	}
}

// round lets the other NameNode take over and kills a DataNode, in any order: so the second fault finds HDFS without a
// server. Then it lets a DataNode hang, now and then.
func (f *failovers) round(i int) {
	f.Helper()
	dataNode := fmt.Sprintf("dn%d", 1+f.random.IntN(3))
	down := []string{dataNode}
	killDataNode := func() {
		f.Helper()
		f.fault("DataNode killed", func() { f.hdfs.Kill(dataNode) })
	}
	first := f.random.IntN(2) == 0
	if first {
		killDataNode()
	}
	down = append(down, f.takeover(i)...)
	if !first {
		killDataNode()
	}
	f.hdfs.Start(down...)
	if i%4 == 1 {
		f.hang(fmt.Sprintf("dn%d", 1+f.random.IntN(3)))
	}
}

// takeover makes the other NameNode active, and returns which one is to be started again.
func (f *failovers) takeover(i int) (down []string) {
	f.Helper()
	active := f.hdfs.Active()
	switch i % 5 {
	case 0, 2:
		f.fault("NameNodes change places", f.hdfs.Failover)
		return nil
	case 4:
		f.fault("active NameNode hangs", func() {
			resume := f.hdfs.Suspend(active)
			f.hdfs.Failover()
			resume() // it does not know that it is no longer the active one
		})
		f.hdfs.Kill(active) // unless it has found out and ended itself
	default:
		f.fault("active NameNode killed", func() {
			f.hdfs.Kill(active)
			f.hdfs.Failover()
		})
	}
	return []string{active}
}

func (f *failovers) hang(dataNode string) {
	f.Helper()
	resume := func() {}
	f.fault("DataNode hangs", func() { resume = f.hdfs.Suspend(dataNode) })
	resume()
}
