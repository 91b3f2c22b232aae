package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
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
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	root     = "/logs"
	user     = "logpipe" // as config/samples/pods.yaml says
	patience = 5 * time.Minute
)

// cluster is the Kubernetes cluster of KUBECONFIG, and the servers beside it.
type cluster struct {
	*testing.T
	kafka *servers.KafkaCluster
	hdfs  *servers.HDFSCluster
}

// prepare makes the namespaces, names for the servers as the samples have them, and a directory for the sinks.
func (c *cluster) prepare() {
	c.Helper()
	c.run("", "kubectl", "delete", "namespace", namespace, "--ignore-not-found")
	c.run("", "kubectl", "create", "namespace", namespace)
	c.run("", "kubectl", "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged")
	host, kafkaPort, err := net.SplitHostPort(c.kafka.Bootstrap[0])
	if err != nil {
		c.Fatal(err)
	}
	_, hdfsPort, err := net.SplitHostPort(c.hdfs.Address)
	if err != nil {
		c.Fatal(err)
	}
	text, err := os.ReadFile("testdata/servers.yaml")
	if err != nil {
		c.Fatal(err)
	}
	c.run(strings.NewReplacer("HOST", host, "KAFKA_PORT", kafkaPort, "HDFS_PORT", hdfsPort).Replace(string(text)),
		"kubectl", "apply", "-f", "-")
	c.hdfs.DFS("-mkdir", root)
	c.hdfs.DFS("-chown", user, root)
}

// readingSink is the pod of the sink that has read lines.
func (c *cluster) readingSink() string {
	c.Helper()
	for pod := range strings.FieldsSeq(c.kubectl("get", "pod", "-l", sinks, "-o", "jsonpath={.items[*].metadata.name}")) {
		var stats sink.Stats
		answer := c.run("", "kubectl", "get", "--raw",
			fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:8080/proxy/status", namespace, pod))
		if err := json.Unmarshal([]byte(answer), &stats); err != nil {
			c.Fatalf("status of %s: %v\n%s", pod, err, answer)
		}
		if stats.Records > 0 {
			return pod
		}
	}
	c.Fatal("no sink has committed records")
	return ""
}

type generations struct{ agents, sinks string }

func (c *cluster) generations() generations {
	c.Helper()
	of := func(object string) string { return c.kubectl("get", object, "-o", "jsonpath={.metadata.generation}") }
	return generations{of("daemonset/pods-agent"), of("deployment/pods-sink")}
}

func (c *cluster) managerGeneration() string {
	c.Helper()
	return c.run("", "kubectl", "-n", "logpipe-system", "get", "deployment", "logpipe", "-o",
		"jsonpath={.metadata.generation}")
}

// committed waits until at least n lines are in visible files.
func (c *cluster) committed(n int) {
	c.Helper()
	c.await(fmt.Sprintf("%d lines in HDFS", n), func() bool { return c.count() >= n })
}

func (c *cluster) await(what string, so func() bool) {
	c.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			c.Fatalf("wait for %s\n%s", what, c.kubectl("get", "pods,logpipe", "-o", "wide"))
		}
	}
}

// file is a visible file, by its name.
type file struct {
	path                   string
	partition, first, last int
}

var fileName = regexp.MustCompile(`-(\d+)-(\d{20})-(\d{20})\.log(\.gz)?$`)

func (c *cluster) files() []file {
	c.Helper()
	var out []file
	for line := range strings.SplitSeq(c.hdfs.DFS("-ls", "-R", root), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 8 || strings.Contains(line, "/_logpipe") {
			continue
		}
		if parts := fileName.FindStringSubmatch(fields[7]); parts != nil {
			out = append(out, file{fields[7], c.number(parts[1]), c.number(parts[2]), c.number(parts[3])})
		}
	}
	slices.SortFunc(out, func(a, b file) int {
		if a.partition != b.partition {
			return a.partition - b.partition
		}
		return a.first - b.first
	})
	return out
}

func (c *cluster) number(digits string) int {
	c.Helper()
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		c.Fatal(err)
	}
	return int(n)
}

// count is the number of records in visible files, by their names.
func (c *cluster) count() int {
	c.Helper()
	n := 0
	for _, f := range c.files() {
		n += f.last - f.first + 1
	}
	return n
}

// verdict reads every file with Hadoop's own shell and compares the lines with what was written. They are in order
// within a partition; growing the topic may have moved them to another.
func (c *cluster) verdict(what string) {
	c.Helper()
	truth := map[string]uint64{writer: written}
	all, outOfOrder := lines.NewChecker(), uint64(0)
	files := c.files()
	for i, next := 0, 0; i < len(files); i = next {
		order, args := lines.NewChecker(), []string{"-text"}
		for ; next < len(files) && files[next].partition == files[i].partition; next++ {
			args = append(args, files[next].path)
		}
		for line := range bytes.SplitSeq([]byte(c.hdfs.DFS(args...)), []byte("\n")) {
			if len(line) > 0 {
				all.Add(line)
				order.Add(line)
			}
		}
		outOfOrder += order.Verdict(truth).OutOfOrder
	}
	v := all.Verdict(truth)
	v.OutOfOrder = outOfOrder
	c.Logf("%s, %d files: %s", what, len(files), v)
	if !v.Perfect() {
		c.Errorf("missing: %v", all.Missing(writer, written, 10))
	}
}

func (c *cluster) kubectl(args ...string) string {
	c.Helper()
	return c.run("", "kubectl", append([]string{"-n", namespace}, args...)...)
}

func (c *cluster) run(stdin, name string, args ...string) string {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		c.Fatalf("%s: %v\n%s%s", path.Base(name)+" "+strings.Join(args, " "), err, &out, &problems)
	}
	return out.String()
}
