package agent

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/test/servers"
)

// TestClockIsSetBack dates batches two hours ahead, which a broker refuses, until somebody sets the clock right. What
// was dated before goes to Kafka then, too.
func TestClockIsSetBack(t *testing.T) {
	b := benchOn(t, servers.Kafka(t, 1).Bootstrap, 1)
	var ahead atomic.Int64
	b.out.wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a, _ := b.runLogged()
	b.write("app.log", "right\n")
	b.read(1)
	ahead.Store(int64(2 * time.Hour))
	b.write("app.log", "ahead\n")
	await(t, "the agent says what is wrong", func() bool { return strings.Contains(a.Stats().Problem, "clock") })
	b.write("app.log", "more\n")
	ahead.Store(0)
	if diff := cmp.Diff([]string{"right", "ahead", "more"}, values(b.read(3))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	await(t, "the agent is well", func() bool { return a.Stats().Problem == "" })
}
