package servers

import (
	"strings"
	"testing"
)

// HAHDFSCluster is a running HDFS of two NameNodes, "nn1" and "nn2", of which one is active and the other stands by, of
// three JournalNodes, "jn1" to "jn3", and three DataNodes, "dn1" to "dn3". Its Address is the name of a nameservice,
// which Conf knows.
type HAHDFSCluster struct {
	*HDFSCluster

	// NameNodes are the HOST:PORT addresses of both.
	NameNodes []string
}

// HAHDFS starts such a cluster. Its processes may be stopped and killed by the test.
func HAHDFS(tb testing.TB) *HAHDFSCluster {
	tb.Helper()
	c, output := private(tb, "hdfs", "ha")
	return &HAHDFSCluster{
		HDFSCluster: newHDFS(c, value(output, "namenode")),
		NameNodes:   strings.Split(value(output, "namenodes"), ","),
	}
}

// Active returns the name of the active NameNode, or nothing when there is none.
func (h *HAHDFSCluster) Active() string {
	h.tb.Helper()
	return strings.TrimSpace(h.run("active"))
}

// Failover makes the other NameNode active. The one that was stands by from then on, unless it is dead or hangs.
func (h *HAHDFSCluster) Failover() {
	h.tb.Helper()
	h.run("failover")
}
