package faults

import (
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/test/servers"
)

// TestHDFSRefuses lets HDFS refuse what a sink asks for, or not answer, while records come in. The sink says what is
// wrong, also one that is killed and started again meanwhile, and goes on by itself when it is over.
func TestHDFSRefuses(t *testing.T) {
	t.Parallel()
	brokers, hdfs := servers.Kafka(t, 1), servers.PrivateHDFS(t, 1)
	const owner = "sink" // not a superuser, to whom nothing is forbidden
	tests := map[string]struct {
		refuse func(dir string) (end func())
		says   string
	}{
		"space quota": {says: "quota", refuse: func(dir string) func() {
			hdfs.Admin("-setSpaceQuota", "1m", dir)
			return func() { hdfs.Admin("-clrSpaceQuota", dir) }
		}},
		"name quota": {says: "quota", refuse: func(dir string) func() {
			hdfs.Admin("-setQuota", "1", dir)
			return func() { hdfs.Admin("-clrQuota", dir) }
		}},
		"permission": {says: "permission denied", refuse: func(dir string) func() {
			hdfs.DFS("-chmod", "000", dir)
			return func() { hdfs.DFS("-chmod", "755", dir) }
		}},
		"NameNode hangs": {says: "i/o timeout", refuse: func(string) func() { return hdfs.Suspend("nn") }},
		"NameNode away": {says: "connection refused|EOF", refuse: func(string) func() {
			hdfs.Stop("nn")
			return func() { hdfs.Start("nn") }
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newRecords(t, brokers, hdfs)
			dir := "/" + w.cfg.Topic
			hdfs.DFS("-mkdir", "-p", dir)
			hdfs.DFS("-chown", owner, dir)
			w.cfg.Store.User, w.cfg.Store.CallTimeout = owner, conf.Duration(failoverCallTimeout)
			w.deliver()
			for range rounds(t, 1) {
				w.refused(test.refuse, dir, regexp.MustCompile(test.says))
			}
			verdict := w.verdict()
			if !verdict.Perfect() {
				t.Error("not exactly once")
			}
			t.Logf("%s; %d lives", verdict, w.sink.lives)
		})
	}
}

// refused lets two sinks find out that HDFS refuses. The second lives to see it end.
func (w *records) refused(refuse func(dir string) func(), dir string, says *regexp.Regexp) {
	w.Helper()
	life := w.startWorking()
	end := sync.OnceFunc(refuse(dir))
	defer end() // for the tests behind this one
	w.produce()
	for range 2 {
		life.until("the sink says what is wrong", func() bool { return says.Match(life.read()) })
		life.kill()
		life = w.start("")
	}
	life.until("the sink says what is wrong", func() bool { return says.Match(life.read()) })
	began := time.Now()
	end()
	w.awaitVisible(life)
	w.Logf("all was visible %.1f s after it ended", time.Since(began).Seconds())
	life.kill()
}
