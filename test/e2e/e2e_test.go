// Package e2e_test runs the operator on a real cluster, with real Kafka and HDFS beside it; hack/e2e.sh prepares all.
package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	namespace = "logpipe-e2e"
	written   = 100_000
	patience  = 5 * time.Minute
)

type cluster struct {
	*testing.T
	kafka *servers.KafkaCluster
	hdfs  *servers.HDFSCluster
	topic string
	root  string
}

// TestPipe: what a pod logs is in HDFS, every line once, while agents and sinks are deleted and the topic grows.
func TestPipe(t *testing.T) {
	if os.Getenv("LOGPIPE_E2E") == "" {
		t.Skip("LOGPIPE_E2E is not set: run make e2e")
	}
	c := &cluster{T: t, kafka: servers.Kafka(t, 1), hdfs: servers.HDFS(t, 1), topic: servers.UniqueName(t)}
	c.root = "/" + c.topic
	c.samplesAreTaken()
	c.kubectl("", "delete", "namespace", namespace, "--ignore-not-found")
	c.kubectl("", "create", "namespace", namespace)
	c.kubectl("", "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged")

	began := time.Now()
	c.apply(c.manifest())
	c.kubectl("", "wait", "topic/lines", "logsource/lines", "--for=condition=Ready", "--timeout=3m")
	c.kubectl("", "wait", "hdfssink/lines", "--for=condition=Ready", "--timeout=3m")
	t.Logf("pipe Ready after %.1f s: 2 agents, 6 sinks", time.Since(began).Seconds())

	c.committed("a tenth", written/10)
	c.kubectl("", "delete", "pod", "-l", "app.kubernetes.io/name=logpipe-agent", "--wait=false")
	c.kubectl("", "delete", c.first("app.kubernetes.io/name=logpipe-sink"), "--wait=false")
	t.Log("deleted the agents' pods and a sink's pod in mid-flow")
	c.committed("a third", written/3)
	c.kubectl("", "patch", "topic/lines", "--type=merge", "-p", `{"spec":{"partitions":12}}`)
	c.kubectl("", "wait", "hdfssink/lines", "--for=jsonpath={.status.desiredReplicas}=12", "--timeout=1m")
	c.kubectl("", "wait", "hdfssink/lines", "--for=condition=Ready", "--timeout=3m")
	t.Log("topic grew from 6 to 12 partitions, 12 sinks are ready")
	c.committed("all", written)
	c.verdict("everything")
	t.Logf("%d lines from the pod's log to HDFS in %.1f s", written, time.Since(began).Seconds())
	t.Log("\n" + c.kubectl("", "get", "logpipe"))

	c.upgradeRollsOnlyTheManager()
	c.uninstallLeavesTopicAndData()
}

// samplesAreTaken: the API server accepts every sample.
func (c *cluster) samplesAreTaken() {
	c.Helper()
	c.run("", "kubectl", "apply", "--dry-run=server", "-n", "default", "-f", "../../config/samples")
}

func (c *cluster) manifest() string {
	c.Helper()
	text, err := os.ReadFile("testdata/pipe.yaml")
	if err != nil {
		c.Fatal(err)
	}
	return strings.NewReplacer("KAFKA", c.kafka.Bootstrap[0], "TOPIC", c.topic, "NAMESPACE", namespace,
		"HDFS\"", c.hdfs.URI(c.root)+`"`, "USER", c.hdfs.User).Replace(string(text))
}

func (c *cluster) apply(manifest string) {
	c.Helper()
	c.kubectl(manifest, "apply", "-f", "-")
}

// upgradeRollsOnlyTheManager: a changed value of the chart reaches what it is about, and nothing else.
func (c *cluster) upgradeRollsOnlyTheManager() {
	c.Helper()
	generations := func() string {
		return c.kubectl("", "get", "daemonset,deployment", "-o", "jsonpath={.items[*].metadata.generation}")
	}
	before, manager := generations(), c.managerGeneration()
	c.run("", os.Getenv("HELM"), "upgrade", "logpipe", "../../charts/logpipe", "-n", "logpipe-system", "--reuse-values",
		"--wait", "--timeout", "3m", "--set", "log.verbosity=1")
	c.kubectl("", "annotate", "--overwrite", "logsource/lines", "hdfssink/lines", "touched=yes")
	c.kubectl("", "wait", "logsource/lines", "hdfssink/lines", "--for=condition=Ready", "--timeout=1m")
	if after := generations(); after != before {
		c.Errorf("agents and sinks rolled with the manager: generations %s, before %s", after, before)
	}
	if c.managerGeneration() == manager {
		c.Error("the manager did not roll")
	}
	c.Log("helm upgrade with a changed value rolled the manager and nothing else")
}

func (c *cluster) managerGeneration() string {
	c.Helper()
	return c.run("", "kubectl", "-n", "logpipe-system", "get", "deployment", "logpipe", "-o",
		"jsonpath={.metadata.generation}")
}

func (c *cluster) uninstallLeavesTopicAndData() {
	c.Helper()
	c.run("", os.Getenv("HELM"), "uninstall", "logpipe", "-n", "logpipe-system", "--wait")
	c.kubectl("", "get", "logsource/lines", "daemonset/lines-agent", "deployment/lines-sink")
	c.kubectl("", "delete", "namespace", namespace, "--timeout=3m")
	if out := c.kafka.CLI("TopicCommand", "--list"); !strings.Contains(out, c.topic) {
		c.Errorf("the topic is gone: %s", out)
	}
	c.verdict("what is left after helm uninstall and the namespace's deletion")
}

// committed waits until at least n lines are in visible files.
func (c *cluster) committed(what string, n int) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := c.count()
		if got >= n {
			return
		}
		if time.Now().After(deadline) {
			c.kubectl("", "get", "pods,logpipe", "-o", "wide")
			c.Fatalf("%s: %d of %d lines after %v", what, got, n, patience)
		}
		time.Sleep(time.Second)
	}
}

var fileName = regexp.MustCompile(`-(\d+)-(\d{20})-(\d{20})\.log$`)

// file is a visible file, by its name.
type file struct {
	path                   string
	partition, first, last int
}

func (c *cluster) files() []file {
	c.Helper()
	var out []file
	for line := range strings.SplitSeq(c.hdfs.DFS("-ls", "-R", c.root), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 8 || strings.Contains(line, "/_logpipe") {
			continue
		}
		parts := fileName.FindStringSubmatch(fields[7])
		if parts == nil {
			continue
		}
		f := file{path: fields[7]}
		for i, to := range []*int{&f.partition, &f.first, &f.last} {
			n, err := strconv.Atoi(strings.TrimLeft(parts[i+1], "0") + "")
			if err != nil && strings.Trim(parts[i+1], "0") != "" {
				c.Fatal(err)
			}
			*to = n
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b file) int {
		if a.partition != b.partition {
			return a.partition - b.partition
		}
		return a.first - b.first
	})
	return out
}

// count is the number of records in visible files, by their names.
func (c *cluster) count() int {
	n := 0
	for _, f := range c.files() {
		n += f.last - f.first + 1
	}
	return n
}

// verdict reads every file and compares the lines with what was written. A pod's lines are in order within a partition;
// growing a topic moves them to another.
func (c *cluster) verdict(what string) {
	c.Helper()
	all, order, last := lines.NewChecker(), lines.NewChecker(), -1
	outOfOrder := uint64(0)
	truth := map[string]uint64{"writer-1": written}
	var paths []string
	flush := func() {
		if len(paths) == 0 {
			return
		}
		order = lines.NewChecker()
		for line := range bytes.SplitSeq([]byte(c.hdfs.DFS(append([]string{"-cat"}, paths...)...)), []byte("\n")) {
			if len(line) > 0 {
				all.Add(line)
				order.Add(line)
			}
		}
		outOfOrder += order.Verdict(truth).OutOfOrder
		paths = nil
	}
	files := c.files()
	for _, f := range files {
		if f.partition != last {
			flush()
		}
		last = f.partition
		paths = append(paths, f.path)
	}
	flush()
	v := all.Verdict(truth)
	v.OutOfOrder = outOfOrder
	c.Logf("%s, %d files: %s", what, len(files), v)
	if !v.Perfect() {
		c.Errorf("missing: %v", all.Missing("writer-1", written, 10))
	}
}

func (c *cluster) first(selector string) string {
	c.Helper()
	return strings.Fields(c.kubectl("", "get", "pod", "-l", selector, "-o", "name"))[0]
}

func (c *cluster) kubectl(stdin string, args ...string) string {
	c.Helper()
	return c.run(stdin, "kubectl", append([]string{"-n", namespace}, args...)...)
}

func (c *cluster) run(stdin, name string, args ...string) string {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.Fatalf("%s: %v\n%s", path.Base(name)+" "+fmt.Sprint(args), err, out)
	}
	return string(out)
}
