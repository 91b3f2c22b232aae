// Package scale_test measures the manager in a large cluster: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler and Kafka are real, and kwok stands in for the kubelets. `make scale` runs it.
//
//	LOGPIPE_SCALE_NODES   how many nodes; without it the test is skipped
//	LOGPIPE_SCALE_PIPES   how many Topics, LogSources and HDFSSinks each, default 50
//	KUBEBUILDER_ASSETS    programs of the control plane
//	KWOK                  path of kwok
package scale_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	namespace  = "pipes"
	partitions = 6
	zones      = 5
	patience   = 30 * time.Minute
	// atRest is more than the interval at which topics are compared with Kafka.
	atRest = 100 * time.Second
)

// TestScale brings all pipes up, leaves them alone, changes one of them, and moves nodes to another zone.
func TestScale(t *testing.T) {
	nodes := number(t, "LOGPIPE_SCALE_NODES", 0)
	if nodes == 0 {
		t.Skip("LOGPIPE_SCALE_NODES is not set: run make scale")
	}
	pipes := number(t, "LOGPIPE_SCALE_PIPES", 50)
	kafka := servers.Kafka(t, 1)
	c := newCluster(t)
	c.createNodes(nodes)
	c.startManager()

	before := c.manager.usage(t)
	began := time.Now()
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	prefix := servers.UniqueName(t)
	for i := range pipes {
		for _, object := range pipe(t, i, prefix, kafka.Bootstrap[0]) {
			c.create(object)
		}
	}
	c.lap(began, "%d Topics, LogSources and HDFSSinks sent", pipes)
	c.await("all reconciled", func() bool { return c.reconciled(pipes) })
	c.lap(began, "all reconciled: %d topics in Kafka, %d DaemonSets, %d Deployments", pipes, pipes, pipes)
	c.await("all Ready", func() bool { return c.ready(pipes) })
	c.lap(began, "all Ready: %d agents, %d sinks", nodes*pipes, partitions*pipes)
	c.tell("manager until all were Ready", before)

	c.settle()
	before = c.manager.usage(t)
	time.Sleep(atRest) // the time over which is measured
	after := c.tell(fmt.Sprintf("manager at rest for %v", atRest), before)
	if n := after.writes - before.writes; n != 0 {
		t.Errorf("%d writes at rest", n)
	}

	before, began = after, time.Now()
	c.patch(&v1alpha1.LogSource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pipe-0"}},
		`{"spec":{"batch":{"maxRecords":777}}}`)
	c.await("one DaemonSet to change", func() bool { return c.rolling() == 1 })
	c.lap(began, "a changed LogSource has changed its DaemonSet, and no other")
	c.tell("manager for that", before)

	before, began = c.manager.usage(t), time.Now()
	c.patch(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(0)}},
		fmt.Sprintf(`{"metadata":{"labels":{%q:"zone-moved"}}}`, corev1.LabelTopologyZone))
	c.await("the agents to be told", func() bool { return c.told("zone-moved") == pipes })
	c.lap(began, "a node's new zone is in the facts of %d LogSources", pipes)
	c.tell("manager for that", before)
}

func number(t *testing.T, name string, without int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%s: %q is not a positive number", name, text)
	}
	return n
}

// pipe is the three resources of one pipe, with keys from the zones of nodes.
func pipe(t *testing.T, i int, prefix, bootstrap string) []client.Object {
	t.Helper()
	var out []client.Object
	for kind, text := range map[string]string{
		v1alpha1.KindTopic: `
  kafka: {bootstrapServers: ["%[2]s"]}
  topicName: %[3]s-%[1]d
  partitions: %[4]d
  replicationFactor: 1`,
		v1alpha1.KindLogSource: `
  topicRef: {name: pipe-%[1]d}
  inputs: [{files: {include: [/var/log/app-%[1]d/*.log]}}]
  partitionKey: {nodeLabel: topology.kubernetes.io/zone}`,
		v1alpha1.KindHDFSSink: `
  topicRef: {name: pipe-%[1]d}
  hdfs: {url: "hdfs://namenode:8020/logs"}`,
	} {
		text = fmt.Sprintf("apiVersion: %[6]s\nkind: %[5]s\nmetadata: {name: pipe-%[1]d, namespace: "+namespace+"}\nspec:"+
			text+"\n", i, bootstrap, prefix, partitions, kind, v1alpha1.GroupVersion)
		object := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		out = append(out, &unstructured.Unstructured{Object: object})
	}
	return out
}

// reconciled tells whether every resource was looked at, and has made what it stands for.
func (c *cluster) reconciled(pipes int) bool {
	var sets appsv1.DaemonSetList
	var deployments appsv1.DeploymentList
	var topics v1alpha1.TopicList
	c.list(&sets)
	c.list(&deployments)
	c.list(&topics)
	return len(sets.Items) == pipes && len(deployments.Items) == pipes && c.countReady(&topics) == pipes
}

func (c *cluster) ready(pipes int) bool {
	var sources v1alpha1.LogSourceList
	var sinks v1alpha1.HDFSSinkList
	c.list(&sources)
	c.list(&sinks)
	return c.countReady(&sources) == pipes && c.countReady(&sinks) == pipes
}

func (c *cluster) countReady(list client.ObjectList) (n int) {
	c.Helper()
	objects, err := meta.ExtractList(list)
	c.check(err)
	for _, object := range objects {
		conditions := object.(interface{ StatusConditions() []metav1.Condition }).StatusConditions()
		if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
			n++
		}
	}
	return n
}

// rolling counts the DaemonSets that were changed after they were created.
func (c *cluster) rolling() (n int) {
	var sets appsv1.DaemonSetList
	c.list(&sets)
	for i := range sets.Items {
		if sets.Items[i].Generation > 1 {
			n++
		}
	}
	return n
}
