package servers_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/logpipe/logpipe/test/servers"
)

func TestKafkaServesKafkasOwnTools(t *testing.T) {
	kafka := servers.Kafka(t, 1)
	topic := servers.UniqueName(t)
	kafka.CLI("TopicCommand", "--create", "--topic", topic, "--partitions", "3")
	if got := kafka.CLI("TopicCommand", "--list"); !strings.Contains(got, topic) {
		t.Errorf("topics are %q, want %s among them", got, topic)
	}
}

func TestHDFSServesHadoopsOwnShell(t *testing.T) {
	hdfs := servers.HDFS(t, 1)
	file := "/" + servers.UniqueName(t)
	hdfs.Put(file, strings.NewReader("a line\n"))
	if got := hdfs.DFS("-cat", file); got != "a line\n" {
		t.Errorf("read %q", got)
	}
}

func TestPrivateBrokerIsKilledAndComesBack(t *testing.T) {
	kafka := servers.PrivateKafka(t, 1)
	topic := servers.UniqueName(t)
	kafka.CLI("TopicCommand", "--create", "--topic", topic)
	kafka.Kill(1)
	if conn, err := net.Dial("tcp", kafka.Bootstrap[0]); err == nil {
		_ = conn.Close()
		t.Fatal("a killed broker still listens")
	}
	kafka.Start(1)
	if got := kafka.CLI("TopicCommand", "--list"); strings.TrimSpace(got) != topic {
		t.Errorf("topics are %q, want %s", got, topic)
	}
}

// TestServersEndWithTheirTestProcess starts a broker in a second test process and kills that process.
func TestServersEndWithTheirTestProcess(t *testing.T) {
	const helper = "LOGPIPE_TEST_PRINT_BOOTSTRAP"
	if os.Getenv(helper) == "1" {
		_, _ = os.Stdout.WriteString(servers.PrivateKafka(t, 1).Bootstrap[0] + "\n")
		select {}
	}
	if testing.Short() {
		t.Skip("needs real servers, skipped by -short")
	}
	child := exec.Command(os.Args[0], "-test.run=^TestServersEndWithTheirTestProcess$", "-test.timeout=5m")
	child.Env = append(os.Environ(), helper+"=1")
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := stdout.Read(line)
	_ = child.Process.Kill()
	_ = child.Wait()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(string(line[:n]))
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatalf("the broker at %s outlived its test", address)
		}
	}
}
