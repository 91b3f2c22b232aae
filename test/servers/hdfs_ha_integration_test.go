package servers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/logpipe/logpipe/test/servers"
)

func TestTheOtherNameNodeTakesOver(t *testing.T) {
	hdfs := servers.HAHDFS(t)
	if len(hdfs.NameNodes) != 2 || slices.Contains(hdfs.NameNodes, "") || hdfs.NameNodes[0] == hdfs.NameNodes[1] {
		t.Fatalf("the NameNodes are %q, want two", hdfs.NameNodes)
	}
	if got := hdfs.Active(); got != "nn1" {
		t.Fatalf("active is %q, want nn1", got)
	}
	hdfs.Put("/a", strings.NewReader("a line\n"))
	hdfs.Failover()
	if got := hdfs.Active(); got != "nn2" {
		t.Errorf("active is %q after a failover, want nn2", got)
	}
	hdfs.Kill("nn2")
	if got := hdfs.Active(); got != "" {
		t.Errorf("active is %q, want none", got)
	}
	hdfs.Failover()
	if got := hdfs.Active(); got != "nn1" {
		t.Errorf("active is %q after the other one's death, want nn1", got)
	}
	if got := hdfs.DFS("-cat", "/a"); got != "a line\n" {
		t.Errorf("read %q", got)
	}
	hdfs.Start("nn2")
}
