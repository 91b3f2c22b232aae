// Package servers gives tests a real Kafka and a real HDFS on loopback, run by hack/kafka.sh and hack/hdfs.sh.
//
// Servers that `make test` started are shared by all packages and named by the environment:
//
//	LOGPIPE_TEST_KAFKA             bootstrap addresses, separated by commas
//	LOGPIPE_TEST_KAFKA_DIR         the directory of that cluster
//	LOGPIPE_TEST_HDFS              hdfs://HOST:PORT
//	LOGPIPE_TEST_HDFS_DIR          the directory of that cluster
//	LOGPIPE_TEST_REQUIRE_SERVERS   1: fail, don't skip, where Java or Maven is missing
//
// Without them, or where a test asks for another size, the test gets its own servers and they end with it. A test that
// kills a process must ask for private ones. Short tests skip.
package servers

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// UniqueName returns a name made from the test's and a random part, fit for a topic, a consumer group and a directory.
func UniqueName(tb testing.TB) string {
	tb.Helper()
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, strings.TrimPrefix(tb.Name(), "Test"))
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	return name[:min(len(name), 60)] + "-" + hex.EncodeToString(random)
}

// require skips the test, or fails it, where it cannot have servers.
func require(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs real servers, skipped by -short")
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		const message = "needs real servers, and %s is missing: apt-get install openjdk-17-jre-headless maven"
		if os.Getenv("LOGPIPE_TEST_REQUIRE_SERVERS") == "1" {
			tb.Fatalf(message, program)
		}
		tb.Skipf(message, program)
	}
}

// cluster is the script of one kind of server bound to one directory.
type cluster struct {
	tb     testing.TB
	script string
	env    []string
	dir    string
}

// shared returns the cluster that runs in dir.
func shared(tb testing.TB, kind, dir string) *cluster {
	_, file, _, _ := runtime.Caller(0)
	return &cluster{
		tb:     tb,
		script: filepath.Join(filepath.Dir(file), "..", "..", "hack", kind+".sh"),
		env:    append(os.Environ(), "LOGPIPE_"+strings.ToUpper(kind)+"_DIR="+dir),
		dir:    dir,
	}
}

// private starts a cluster of its own that ends with the test. It returns what the script printed.
func private(tb testing.TB, kind, size string, env ...string) (c *cluster, output string) {
	tb.Helper()
	require(tb)
	c = shared(tb, kind, tb.TempDir())
	c.env = append(append(c.env, "LOGPIPE_"+strings.ToUpper(kind)+"_PORT=0"), env...)
	c.guard()
	return c, c.run("up", size)
}

// signal sends a signal to a process of the cluster.
func (c *cluster) signal(name string, signal syscall.Signal) {
	c.tb.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "pid", name))
	if err != nil {
		c.tb.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, signal)
	}
	if err != nil {
		c.tb.Fatalf("send %s to %s: %v", signal, name, err)
	}
}

// guard lets the script wipe the cluster when the test has ended, in whatever way: it waits for the end of a pipe whose
// other end this process holds.
func (c *cluster) guard() {
	cmd := exec.Command("bash", c.script, "guard")
	cmd.Env = c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		c.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.tb.Fatal(err)
	}
	c.tb.Cleanup(func() {
		if c.tb.Failed() {
			c.logTails()
		}
		_ = pipe.Close()
		if err := cmd.Wait(); err != nil {
			c.tb.Errorf("stop the servers of %s: %v", c.dir, err)
		}
	})
}

// run runs the script and returns its standard output; the test fails when the script does.
func (c *cluster) run(args ...string) string {
	c.tb.Helper()
	return c.runWithInput(nil, args...)
}

func (c *cluster) runWithInput(stdin io.Reader, args ...string) string {
	c.tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("bash", append([]string{c.script}, args...)...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		c.tb.Fatalf("%s %s: %v\n%s%s", filepath.Base(c.script), strings.Join(args, " "), err, &stderr, &stdout)
	}
	return stdout.String()
}

// logTails shows the end of every server's log.
func (c *cluster) logTails() {
	const tail = 2000
	logs, _ := filepath.Glob(filepath.Join(c.dir, "log", "*.log"))
	for _, name := range logs {
		text, _ := os.ReadFile(name)
		c.tb.Logf("the end of %s:\n%s", filepath.Base(name), text[max(0, len(text)-tail):])
	}
}

// value returns what follows "key=" in the lines of output.
func value(output, key string) string {
	for line := range strings.Lines(output) {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
