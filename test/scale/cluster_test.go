package scale_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/logpipe/logpipe/controllers"
)

// cluster is a control plane with kwok as its kubelets.
type cluster struct {
	*testing.T
	client.Client
	kubeconfig string
	logs       string
	manager    *process
}

// process is one program of the cluster.
type process struct {
	pid     int
	metrics string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	env := &envtest.Environment{
		CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true,
		ControlPlaneStopTimeout: time.Minute,
	}
	env.ControlPlane.GetAPIServer().Configure().
		Set("max-requests-inflight", "2000").Set("max-mutating-requests-inflight", "1000")
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	user, err := env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{T: t, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), logs: t.TempDir()}
	c.check(os.WriteFile(c.kubeconfig, kubeconfig, 0o600))
	config.QPS, config.Burst = 500, 1000
	scheme, err := controllers.Scheme()
	c.check(err)
	c.Client, err = client.New(config, client.Options{Scheme: scheme})
	c.check(err)

	assets := os.Getenv("KUBEBUILDER_ASSETS")
	common := []string{"--kubeconfig=" + c.kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=1000", "--kube-api-burst=2000"}
	c.start(filepath.Join(assets, "kube-controller-manager"), append(common, "--concurrent-daemonset-syncs=8",
		"--node-monitor-grace-period=10m")...) // kwok renews the leases of nodes late when the machine is busy
	c.start(filepath.Join(assets, "kube-scheduler"), common...)
	c.start(os.Getenv("KWOK"), "--kubeconfig="+c.kubeconfig, "--manage-all-nodes=true",
		"--config=../../hack/kube/kwok-stages.yaml", "--node-lease-duration-seconds=120")
	return c
}

// start starts a program that ends with the test.
func (c *cluster) start(path string, args ...string) *process {
	c.Helper()
	name := filepath.Base(path)
	log, err := os.Create(filepath.Join(c.logs, name+".log"))
	c.check(err)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.check(cmd.Start())
	c.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if text, _ := os.ReadFile(log.Name()); c.Failed() {
			c.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-3000):])
		}
	})
	return &process{pid: cmd.Process.Pid}
}

// startManager builds the manager and runs it with the defaults of the chart.
func (c *cluster) startManager() {
	c.Helper()
	path := filepath.Join(c.TempDir(), "manager")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "../../cmd/manager")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		c.Fatalf("build the manager: %v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	c.check(err)
	address := listener.Addr().String()
	c.check(listener.Close())
	c.manager = c.start(path, "--agent-image=agent:test", "--sink-image=sink:test", "--leader-elect=false",
		"--metrics-bind-address="+address, "--health-probe-bind-address=0")
	c.manager.metrics = "http://" + address + "/metrics"
}

func nodeName(i int) string { return fmt.Sprintf("node-%04d", i) }

// createNodes creates nodes in several zones and waits until kwok has made them Ready.
func (c *cluster) createNodes(n int) {
	c.Helper()
	began := time.Now()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < n; i += 8 {
				c.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Labels: map[string]string{
					corev1.LabelHostname: nodeName(i), corev1.LabelOSStable: "linux",
					corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%zones),
				}}})
			}
		})
	}
	group.Wait()
	c.await("nodes", func() bool {
		var list corev1.NodeList
		c.check(c.List(c.Context(), &list))
		ready := 0
		for i := range list.Items {
			for _, condition := range list.Items[i].Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == n
	})
	c.lap(began, "%d nodes are Ready", n)
}

func (c *cluster) check(err error) {
	c.Helper()
	if err != nil {
		c.Error(err)
		panic(err) // also in other goroutines than the test's
	}
}

func (c *cluster) create(object client.Object) {
	c.Helper()
	c.check(c.Create(c.Context(), object))
}

func (c *cluster) patch(object client.Object, patch string) {
	c.Helper()
	c.check(c.Patch(c.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
}

func (c *cluster) list(list client.ObjectList) {
	c.Helper()
	c.check(c.List(c.Context(), list, client.InNamespace(namespace)))
}

// told counts the ConfigMaps of facts in which a text is.
func (c *cluster) told(text string) (n int) {
	var maps corev1.ConfigMapList
	c.list(&maps)
	for i := range maps.Items {
		if strings.Contains(maps.Items[i].Data["nodes.json"], text) {
			n++
		}
	}
	return n
}

func (c *cluster) await(what string, so func() bool) {
	c.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("wait for %s", what)
		}
	}
}

func (c *cluster) lap(began time.Time, format string, args ...any) {
	c.Helper()
	c.Logf("%6.1f s  "+format, append([]any{time.Since(began).Seconds()}, args...)...)
}

// usage is what a process has used up so far.
type usage struct {
	writes, reads int
	cpu           time.Duration
	rss, peak     int // MiB
}

var requestMetric = regexp.MustCompile(`^rest_client_requests_total\{.*method="(\w+)".*\} (\S+)$`)

// usage reads the metrics of a process, and what the kernel counts of it.
func (p *process) usage(t *testing.T) usage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	u := p.kernelUsage(t)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	for ctx.Err() == nil && err != nil { // it may just start
		time.Sleep(100 * time.Millisecond)
		response, err = http.DefaultClient.Do(request)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if match := requestMetric.FindStringSubmatch(lines.Text()); match != nil {
			n, _ := strconv.ParseFloat(match[2], 64)
			if match[1] == http.MethodGet {
				u.reads += int(n)
			} else {
				u.writes += int(n)
			}
		}
	}
	return u
}

func (p *process) kernelUsage(t *testing.T) (u usage) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			u.rss = kib >> 10
		case "VmHWM":
			u.peak = kib >> 10
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	const userTime, systemTime, tick = 11, 12, 10 * time.Millisecond // proc_pid_stat(5), behind the name
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, i := range []int{userTime, systemTime} {
		n, _ := strconv.Atoi(fields[i])
		u.cpu += time.Duration(n) * tick
	}
	return u
}

// tell prints what the manager used since before.
func (c *cluster) tell(what string, before usage) usage {
	c.Helper()
	now := c.manager.usage(c.T)
	c.Logf("          %s: %d writes and %d reads of the API, CPU %.1f s, RSS %d MiB, peak %d MiB", what,
		now.writes-before.writes, now.reads-before.reads, (now.cpu - before.cpu).Seconds(), now.rss, now.peak)
	return now
}

// settle waits until the manager has written nothing for a while.
func (c *cluster) settle() {
	c.Helper()
	c.await("a manager that has settled", func() bool {
		before := c.manager.usage(c.T).writes
		time.Sleep(10 * time.Second)
		return c.manager.usage(c.T).writes == before
	})
}
