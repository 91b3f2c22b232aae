package faults

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/test/faults/guest"
	"github.com/logpipe/logpipe/test/servers"
)

// machine is one of its own, with a disk: a kernel that is a process, see hack/uml.sh. An agent runs in it, which
// follows a log into a topic of one partition, and a writer of that log.
type machine struct {
	*program
	fileSystem string
	root, disk string
	ports      []int
	topic      string
	client     *kafka.Client
	boots      int
	process    *exec.Cmd
	ended      chan struct{}
}

// newMachine makes a machine whose disk has a file system.
func newMachine(t *testing.T, fileSystem string, brokers []string) *machine {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("Debian has the kernel for amd64 only")
	}
	for _, needed := range []string{"apt-get", "mkfs." + fileSystem} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("%s is missing", needed)
		}
	}
	m := &machine{program: newProgram(t, "machine"), fileSystem: fileSystem, topic: servers.UniqueName(t)}
	m.root, m.disk = filepath.Join(m.dir, "root"), filepath.Join(m.dir, "disk")
	for _, name := range []string{"proc", "sys", "dev", "tmp", guest.Disk} {
		m.check(os.MkdirAll(filepath.Join(m.root, name), 0o755))
	}
	bin, err := programs()
	m.check(err)
	m.check(os.Link(filepath.Join(bin, "agent"), filepath.Join(m.root, "agent")))
	m.check(os.Link(filepath.Join(bin, "init"), filepath.Join(m.root, "init")))
	m.check(os.WriteFile(m.disk, nil, 0o600))
	m.check(os.Truncate(m.disk, 400<<20))
	m.command("mkfs."+fileSystem, "-q", m.disk)
	m.command("../../hack/uml.sh", "install")
	cfg := agent.Config{
		Name: "test/faults", StateDir: guest.Disk + "/state", Topic: m.topic,
		Kafka: kafka.Config{BootstrapServers: brokers}, Node: agent.Node{Name: "n"},
		Inputs:       []agent.Input{{Files: &agent.FilesInput{Include: []string{guest.Log + "*"}}}},
		Decode:       decode.Config{Format: decode.FormatRaw, MaxRecordBytes: 4 << 10},
		Batch:        agent.Batch{MaxBytes: 16 << 10, Interval: conf.Duration(5 * time.Millisecond)},
		PartitionKey: agent.PartitionKey{Type: agent.KeyStatic, Value: "k"},
		ScanInterval: conf.Duration(100 * time.Millisecond),
	}
	m.put(guest.AgentConfig, cfg)
	for _, address := range brokers {
		m.ports = append(m.ports, port(t, address))
	}
	m.client = connect(t, cfg.Kafka)
	_, err = m.client.EnsureTopic(t.Context(), kafka.TopicSpec{Name: m.topic, Partitions: 1, ReplicationFactor: 1})
	m.check(err)
	return m
}

func port(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (m *machine) command(name string, args ...string) {
	m.Helper()
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		m.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}

// put writes a file that the machine sees.
func (m *machine) put(name string, content any) {
	m.Helper()
	data, err := json.Marshal(content)
	m.check(err)
	m.check(os.WriteFile(filepath.Join(m.root, name), data, 0o600))
}

// boot starts the machine.
func (m *machine) boot(o guest.Order) {
	m.Helper()
	m.boots++
	o.Boot, o.FileSystem, o.Ports = m.boots, m.fileSystem, m.ports
	m.put(guest.File, o)
	console, err := os.Create(m.console())
	m.check(err)
	m.process = exec.Command("../../hack/uml.sh", "run", m.root, m.disk)
	m.process.Stdout, m.process.Stderr = console, console
	m.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the kernel is several processes
	m.check(m.process.Start())
	m.check(console.Close())
	m.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(m.process, m.ended)
	m.Cleanup(m.cut)
}

// cut takes the machine's power: from all of its processes, so that none writes to the disk when it is started again.
func (m *machine) cut() {
	group := -m.process.Process.Pid
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-m.ended
	for deadline := time.Now().Add(patience); syscall.Kill(group, 0) == nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// console is the file that has what the machine said since it was started last.
func (m *machine) console() string {
	return filepath.Join(m.dir, fmt.Sprintf("console-%d.log", m.boots))
}

func (m *machine) said() string {
	m.Helper()
	text, err := os.ReadFile(m.console())
	m.check(err)
	return string(text)
}

func (m *machine) tail() string {
	text := m.said()
	return text[max(0, len(text)-4000):]
}

var syncedLines = regexp.MustCompile(`guest: synced (\d+)`)

// synced is how many lines are on the disk for good, by the machine's last word.
func (m *machine) synced() uint64 {
	m.Helper()
	said := syncedLines.FindAllStringSubmatch(m.said(), -1)
	if len(said) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(said[len(said)-1][1], 10, 64)
	m.check(err)
	return n
}

// awaitDone waits until all lines are written that the machine was to write, and the last of them is in Kafka.
func (m *machine) awaitDone() {
	m.Helper()
	m.await("all lines are in Kafka", func() bool {
		return strings.Contains(m.said(), "guest: done") && newest(m.T, m.client, m.topic, 0) == m.synced()
	})
}

// await polls what the machine has done.
func (m *machine) await(what string, done func() bool) {
	m.Helper()
	for deadline := time.Now().Add(slow); !done(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-m.ended:
			m.Fatalf("the machine ended by itself: %s; its console ends:\n%s", m.process.ProcessState, m.tail())
		default:
		}
		if time.Now().After(deadline) || strings.Contains(m.said(), "guest: ended") {
			m.Fatalf("waited too long until %s; the console ends:\n%s", what, m.tail())
		}
	}
}
