package servers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// KafkaCluster is a running Apache Kafka of one or three brokers, numbered from 1.
type KafkaCluster struct {
	*cluster

	// Bootstrap holds the address of each broker.
	Bootstrap []string
}

// Kafka returns the shared cluster when there is one of that many brokers, else a private one.
func Kafka(tb testing.TB, brokers int) *KafkaCluster {
	tb.Helper()
	require(tb)
	bootstrap := strings.Split(os.Getenv("LOGPIPE_TEST_KAFKA"), ",")
	if bootstrap[0] == "" || len(bootstrap) != brokers {
		return PrivateKafka(tb, brokers)
	}
	return &KafkaCluster{
		cluster:   shared(tb, "kafka", os.Getenv("LOGPIPE_TEST_KAFKA_DIR")),
		Bootstrap: bootstrap,
	}
}

// PrivateKafka starts a cluster whose brokers the test may stop and kill. They have these lines in their
// server.properties beside the usual ones.
func PrivateKafka(tb testing.TB, brokers int, config ...string) *KafkaCluster {
	tb.Helper()
	c, output := private(tb, "kafka", strconv.Itoa(brokers), "LOGPIPE_KAFKA_CONFIG="+strings.Join(config, "\n"))
	return &KafkaCluster{cluster: c, Bootstrap: strings.Split(value(output, "bootstrap"), ",")}
}

// Start starts a broker that was stopped or killed and waits until it serves.
func (k *KafkaCluster) Start(broker int) {
	k.tb.Helper()
	k.run("start", name(broker))
}

// Stop ends a broker as an operator would: it hands its partitions over first.
func (k *KafkaCluster) Stop(broker int) {
	k.tb.Helper()
	k.run("stop", name(broker))
}

// Kill ends a broker with SIGKILL.
func (k *KafkaCluster) Kill(broker int) {
	k.tb.Helper()
	k.run("kill", name(broker))
}

// Pause stops a broker's process, which stays as it is with all its connections, until Resume.
func (k *KafkaCluster) Pause(broker int) {
	k.tb.Helper()
	k.signal(name(broker), syscall.SIGSTOP)
}

// Resume lets a broker go on that was paused.
func (k *KafkaCluster) Resume(broker int) {
	k.tb.Helper()
	k.signal(name(broker), syscall.SIGCONT)
}

// CLI runs one of Kafka's own tools against the cluster, such as CLI("TopicCommand", "--list"), and returns its output.
func (k *KafkaCluster) CLI(class string, args ...string) string {
	k.tb.Helper()
	return k.run(append([]string{"cli", class, "--bootstrap-server", strings.Join(k.Bootstrap, ",")}, args...)...)
}

func name(broker int) string { return fmt.Sprintf("b%d", broker) }
