// Package e2e_test runs the operator on a real cluster, with real Kafka and HDFS beside it; hack/e2e.sh prepares all.
package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/logpipe/logpipe/test/servers"
)

const (
	namespace = "shop" // which config/samples/pods.yaml reads
	topic     = "pods"
	writer    = "writer-1"
	atOnce    = 100_000            // as testdata/writer.yaml says
	written   = atOnce + atOnce/10 // the rest when the topic has grown
	agents    = "app.kubernetes.io/name=logpipe-agent"
	sinks     = "app.kubernetes.io/name=logpipe-sink"
)

// TestPipe applies the samples as they are. What a pod logs is in HDFS, every line once, while agents and sinks are
// deleted and the topic grows; helm upgrade rolls what changed, and helm uninstall leaves topic and data.
func TestPipe(t *testing.T) {
	if os.Getenv("LOGPIPE_E2E") == "" {
		t.Skip("LOGPIPE_E2E is not set: run make e2e")
	}
	c := &cluster{T: t, kafka: servers.Kafka(t, 3), hdfs: servers.HDFS(t, 1)}
	c.run("", "kubectl", "apply", "--dry-run=server", "-n", "default", "-f", "../../config/samples")
	c.prepare()

	began := time.Now()
	c.kubectl("apply", "-f", "../../config/samples/pods.yaml")
	c.kubectl("patch", "hdfssink/pods", "--type=merge", "-p", `{"spec":{"roll":{"interval":"5s"}}}`)
	c.kubectl("wait", "topic/pods", "logsource/pods", "hdfssink/pods", "--for=condition=Ready", "--timeout=3m")
	c.sinksFollow(6)
	t.Logf("%.1f s after kubectl apply the pipe is Ready: 2 agents, 6 sinks", time.Since(began).Seconds())

	began = time.Now()
	c.kubectl("apply", "-f", "testdata/writer.yaml")
	c.committed(atOnce / 10)
	sink := c.readingSink()
	c.kubectl("delete", "pod", "-l", agents, "--wait=false")
	c.kubectl("delete", "pod", sink, "--wait=false")
	t.Logf("deleted the agents and, of the sinks, %s, which reads the lines", sink)
	c.committed(atOnce / 3)
	c.kubectl("patch", "topic/pods", "--type=merge", "-p", `{"spec":{"partitions":12}}`)
	c.sinksFollow(12)
	c.kubectl("exec", writer, "--", "/writer", "rest")
	t.Log("the topic grew from 6 to 12 partitions; 12 sinks are ready")
	c.committed(written)
	c.verdict("everything")
	t.Logf("%d lines from the pod's log to HDFS in %.1f s", written, time.Since(began).Seconds())
	t.Log("\n" + c.kubectl("get", "logpipe"))

	c.kubectl("scale", "hdfssink/pods", "--replicas=3")
	c.sinksFollow(3)
	c.upgradeRollsWhatChanged()
	c.leaderIsReplaced()
	c.uninstallLeavesTopicAndData()
}

// sinksFollow waits until there are n sinks and all are ready.
func (c *cluster) sinksFollow(n int) {
	c.Helper()
	c.await("the sinks to follow the topic", func() bool {
		return fmt.Sprintf("%d %d", n, n) == c.kubectl("get", "hdfssink/pods", "-o",
			"jsonpath={.status.desiredReplicas} {.status.readyReplicas}")
	})
	c.kubectl("wait", "hdfssink/pods", "--for=condition=Ready", "--timeout=3m")
}

// upgradeRollsWhatChanged changes a value of the manager, which reaches nothing else, and then one of the sinks' image,
// which reaches the sinks alone.
func (c *cluster) upgradeRollsWhatChanged() {
	c.Helper()
	before, manager := c.generations(), c.managerGeneration()
	c.upgrade("log.verbosity=1")
	if c.managerGeneration() == manager {
		c.Error("a changed value did not roll the manager")
	}
	c.touched()
	if after := c.generations(); after != before {
		c.Errorf("agents and sinks rolled with the manager: generations %v, before %v", after, before)
	}
	c.Log("helm upgrade with a changed value of the manager rolled the manager and nothing else")

	c.upgrade("namespaces={" + namespace + "}") // with rights in this one only
	c.touched()
	c.Log("the manager works with rights in one namespace only")

	c.upgrade("image.sink.repository=sink-renamed") // which is not there, so that the roll begins and does not end
	c.touched()
	c.await("the sinks to roll", func() bool { return c.generations().sinks != before.sinks })
	if after := c.generations(); after.agents != before.agents {
		c.Errorf("agents rolled with the sinks: generations %v, before %v", after, before)
	}
	c.Log("helm upgrade with another image of the sinks rolls the sinks and not the agents")
}

func (c *cluster) upgrade(value string) {
	c.Helper()
	c.run("", os.Getenv("HELM"), "upgrade", "logpipe", "../../charts/logpipe", "-n", "logpipe-system", "--reuse-values",
		"--wait", "--timeout", "3m", "--set", value)
}

// touched makes the manager look at all resources again, and waits until it has.
func (c *cluster) touched() {
	c.Helper()
	for _, resource := range []string{"logsource/pods", "hdfssink/pods"} {
		c.kubectl("patch", resource, "--type=merge", "-p", `{"spec":{"managementState":"Unmanaged"}}`)
		c.kubectl("patch", resource, "--type=merge", "-p", `{"spec":{"managementState":"Managed"}}`)
		c.await("the manager to have seen "+resource, func() bool {
			got := strings.Fields(c.kubectl("get", resource, "-o",
				"jsonpath={.metadata.generation} {.status.observedGeneration}"))
			return len(got) == 2 && got[0] == got[1]
		})
	}
}

// leaderIsReplaced: of two managers one works, and the other takes over when it goes.
func (c *cluster) leaderIsReplaced() {
	c.Helper()
	leader := func() string {
		holder := c.run("", "kubectl", "-n", "logpipe-system", "get", "lease/manager.logpipe.dev", "-o",
			"jsonpath={.spec.holderIdentity}")
		pod, _, _ := strings.Cut(holder, "_")
		return pod
	}
	c.upgrade("replicas=2")
	before := leader()
	began := time.Now()
	c.run("", "kubectl", "-n", "logpipe-system", "delete", "pod", before, "--wait=false")
	c.await("another leader", func() bool { now := leader(); return now != "" && now != before })
	c.Logf("%.1f s after the leading manager's pod was deleted another one leads", time.Since(began).Seconds())
	c.touched()
}

// uninstallLeavesTopicAndData: without the manager everything goes on, and without the resources the topic and the
// files stay.
func (c *cluster) uninstallLeavesTopicAndData() {
	c.Helper()
	c.run("", os.Getenv("HELM"), "uninstall", "logpipe", "-n", "logpipe-system", "--wait")
	c.kubectl("get", "logsource/pods", "daemonset/pods-agent", "deployment/pods-sink")
	c.run("", "kubectl", "delete", "namespace", namespace, "--timeout=3m")
	if out := c.kafka.CLI("TopicCommand", "--describe", "--topic", topic); !strings.Contains(out, "PartitionCount: 12") {
		c.Errorf("the topic is not as it was: %s", out)
	}
	c.verdict("what is left after helm uninstall and the namespace's deletion")
}
