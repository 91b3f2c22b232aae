package servers

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// HDFSCluster is a running HDFS of one NameNode, "nn", and one or three DataNodes, "dn1" to "dn3".
type HDFSCluster struct {
	*cluster

	// Address is the HOST:PORT of the NameNode.
	Address string
	// Conf is a directory with core-site.xml and hdfs-site.xml.
	Conf string
	// User is the superuser.
	User string
}

// HDFS returns the shared cluster when it is of that size, else a private one.
func HDFS(tb testing.TB, datanodes int) *HDFSCluster {
	tb.Helper()
	require(tb)
	uri, dir := os.Getenv("LOGPIPE_TEST_HDFS"), os.Getenv("LOGPIPE_TEST_HDFS_DIR")
	size, err := os.ReadFile(filepath.Join(dir, "size"))
	if uri == "" || err != nil || strings.TrimSpace(string(size)) != strconv.Itoa(datanodes) {
		return PrivateHDFS(tb, datanodes)
	}
	return newHDFS(shared(tb, "hdfs", dir), uri)
}

// PrivateHDFS starts a cluster whose processes the test may stop and kill.
func PrivateHDFS(tb testing.TB, datanodes int) *HDFSCluster {
	tb.Helper()
	c, output := private(tb, "hdfs", strconv.Itoa(datanodes))
	return newHDFS(c, value(output, "namenode"))
}

func newHDFS(c *cluster, uri string) *HDFSCluster {
	owner, err := user.Current()
	if err != nil {
		c.tb.Fatal(err)
	}
	return &HDFSCluster{
		cluster: c,
		Address: strings.TrimPrefix(uri, "hdfs://"),
		Conf:    filepath.Join(c.dir, "conf"),
		User:    owner.Username,
	}
}

// DataDir is the directory in which a process has its data.
func (h *HDFSCluster) DataDir(name string) string { return filepath.Join(h.dir, "data", name) }

// URI returns path as a hdfs:// address.
func (h *HDFSCluster) URI(path string) string { return "hdfs://" + h.Address + path }

// DFS runs Hadoop's own FsShell, such as DFS("-cat", "/x"), and returns its output.
func (h *HDFSCluster) DFS(args ...string) string {
	h.tb.Helper()
	return h.run(append([]string{"dfs"}, args...)...)
}

// Put writes a file with Hadoop's own FsShell.
func (h *HDFSCluster) Put(path string, content io.Reader) {
	h.tb.Helper()
	h.runWithInput(content, "dfs", "-put", "-", path)
}

// Admin runs Hadoop's own DFSAdmin, such as Admin("-safemode", "enter"), and returns its output.
func (h *HDFSCluster) Admin(args ...string) string {
	h.tb.Helper()
	return h.run(append([]string{"admin"}, args...)...)
}

// Start starts processes that were stopped or killed and waits until they serve.
func (h *HDFSCluster) Start(names ...string) {
	h.tb.Helper()
	h.run(append([]string{"start"}, names...)...)
}

// Stop ends a process with SIGTERM.
func (h *HDFSCluster) Stop(name string) {
	h.tb.Helper()
	h.run("stop", name)
}

// Kill ends a process with SIGKILL.
func (h *HDFSCluster) Kill(name string) {
	h.tb.Helper()
	h.run("kill", name)
}

// Suspend stops a process with SIGSTOP, so that it hangs until resume is called.
func (h *HDFSCluster) Suspend(name string) (resume func()) {
	h.tb.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "pid", name))
	h.check(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	h.check(err)
	h.check(syscall.Kill(pid, syscall.SIGSTOP))
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		h.check(err)
		if strings.Contains(string(stat), ") T ") {
			break
		}
		if time.Now().After(deadline) {
			h.tb.Fatalf("%s does not stop: %s", name, stat)
		}
	}
	return func() {
		h.tb.Helper()
		h.check(syscall.Kill(pid, syscall.SIGCONT))
	}
}

func (h *HDFSCluster) check(err error) {
	h.tb.Helper()
	if err != nil {
		h.tb.Fatal(err)
	}
}
