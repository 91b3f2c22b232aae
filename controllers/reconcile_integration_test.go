package controllers

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	yes = metav1.ConditionTrue
	no  = metav1.ConditionFalse
)

func topicYAML(bootstrap, name string, more ...string) string {
	return fmt.Sprintf("metadata: {name: t}\nspec:\n  kafka: {bootstrapServers: ['%s']}\n  topicName: %s\n"+
		"  partitions: 6\n  replicationFactor: 1\n%s", bootstrap, name, strings.Join(more, "\n"))
}

const (
	sourceYAML = "metadata: {name: s}\nspec:\n  topicRef: {name: t}\n" +
		"  inputs: [{files: {include: [/var/log/app/*.log]}}]\n"
	sinkYAML = "metadata: {name: k}\nspec:\n  topicRef: {name: t}\n  hdfs: {url: 'hdfs://namenode:8020/logs'}\n" +
		"  maxReplicas: 12\n"
)

// TestPipe takes the three resources from nothing to a running pipe that grows, and back.
func TestPipe(t *testing.T) {
	w := newWorld(t)
	kafka := servers.Kafka(t, 1)
	w.start()
	source := create[v1alpha1.LogSource](w, sourceYAML+"  partitionKey: {nodeLabel: topology.kubernetes.io/zone}\n")
	sink := create[v1alpha1.HDFSSink](w, sinkYAML)
	ready(w, source, no, v1alpha1.ReasonTopicNotFound)
	ready(w, sink, no, v1alpha1.ReasonTopicNotFound)

	name := servers.UniqueName(t)
	topic := create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], name))
	ready(w, topic, yes, v1alpha1.ReasonReady)
	set := w.daemonSet()
	deployment := w.deployment(6)
	if got := set.Spec.Template.Spec.AutomountServiceAccountToken; got == nil || *got {
		t.Error("agents have a token")
	}
	w.runAll(set, deployment)
	ready(w, source, yes, v1alpha1.ReasonReady)
	ready(w, sink, yes, v1alpha1.ReasonReady)
	until(w, topic, "users", func(x *v1alpha1.Topic) bool {
		return x.Status.UsedBy == v1alpha1.TopicUse{Sources: 1, Sinks: 1}
	})

	syncs := func(n float64) func() { // the sync interval is a second
		return func() {
			before := reconciles(t, "topic")
			w.await("reconciles of the topic", func() bool { return reconciles(t, "topic") > before+n })
		}
	}
	w.await("a world that has settled", func() bool { return w.writesDuring(syncs(2)) == 0 })
	got := w.writesDuring(func() {
		for _, object := range []client.Object{source, sink} { // what they are looked at again for
			edit(w, object, func() { object.SetLabels(map[string]string{"touched": "yes"}) })
		}
		syncs(4)()
	})
	if got > 0 {
		t.Errorf("%d writes in an unchanged world", got)
	}

	edit(w, topic, func() { topic.Spec.Partitions = 12 })
	deployment = w.deployment(12)
	w.runAll(set, deployment)
	ready(w, sink, yes, v1alpha1.ReasonReady)

	before := w.daemonSet().Spec.Template
	w.stop()
	w.start()
	edit(w, source, func() { source.Spec.Batch.MaxRecords = 77 })
	after := until(w, set, "a new configuration", func(d *appsv1.DaemonSet) bool { return d.Generation > 1 })
	if hash(&before) == hash(&after.Spec.Template) {
		t.Error("the agents do not roll")
	}
	if got := w.deployment(12).Generation; got != 2 { // created, grown
		t.Errorf("the sinks' Deployment has generation %d, want 2", got)
	}

	w.check(w.Delete(w.Context(), topic))
	ready(w, source, no, v1alpha1.ReasonTopicNotFound)
	if got := w.daemonSet(); got.Generation != after.Generation {
		t.Error("agents changed because their Topic went away")
	}
}

// TestRestartOfUserIsKept: kubectl rollout restart sets an annotation that is not ours.
func TestRestartOfUserIsKept(t *testing.T) {
	w := newWorld(t)
	kafka := servers.Kafka(t, 1)
	w.start()
	create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], servers.UniqueName(t)))
	source := create[v1alpha1.LogSource](w, sourceYAML)
	set := w.daemonSet()
	const restarted = "kubectl.kubernetes.io/restartedAt"
	edit(w, set, func() {
		set.Spec.Template.Annotations[restarted] = "now"
		set.Spec.Template.Spec.Containers[0].Image = "not:ours" // and what is ours is put right
	})
	set = until(w, set, "the image", func(d *appsv1.DaemonSet) bool {
		return d.Spec.Template.Spec.Containers[0].Image == "agent:test"
	})
	if set.Spec.Template.Annotations[restarted] != "now" {
		t.Error("the restart was undone")
	}
	edit(w, source, func() { source.Annotations = map[string]string{v1alpha1.PausedAnnotation: "true"} })
	until(w, source, "paused", func(s *v1alpha1.LogSource) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionProgressing)
		return c.Reason == v1alpha1.ReasonPaused
	})
	edit(w, source, func() { source.Spec.Batch.MaxRecords = 78 })
	until(w, source, "seen", func(s *v1alpha1.LogSource) bool { return s.Status.ObservedGeneration == s.Generation })
	if got := w.daemonSet(); hash(&got.Spec.Template) != hash(&set.Spec.Template) {
		t.Error("a paused LogSource was changed")
	}
}

// TestBadStates shows what each problem looks like, and that what runs goes on meanwhile.
func TestBadStates(t *testing.T) {
	tests := map[string]struct {
		source  string
		reason  string
		message []string
	}{
		"a path outside the allowed roots": {
			source: "metadata: {name: s}\nspec:\n  topicRef: {name: t}\n  inputs: [{files: {include: [/etc/*]}}]\n",
			reason: v1alpha1.ReasonPathNotAllowed, message: []string{"spec.inputs[0].files.include[0]", "/var/log"},
		},
		"a Secret is missing": {
			source: sourceYAML + "  kafka: {bootstrapServers: ['k:1'], " +
				"sasl: {mechanism: ScramSha512, secretRef: {name: user}}}\n",
			reason: v1alpha1.ReasonSecretNotFound, message: []string{`Secret "user"`, "create it with username and password"},
		},
		"a partition that is not there": {
			source: sourceYAML + "  assignment: {zone-a: [6]}\n",
			reason: v1alpha1.ReasonInvalidSpec, message: []string{"spec.assignment[zone-a][0]", "use 0 to 5"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any"))
			source := create[v1alpha1.LogSource](w, tc.source)
			got := ready(w, source, no, tc.reason)
			for _, part := range tc.message {
				if !strings.Contains(got.Message, part) {
					t.Errorf("message %q lacks %q", got.Message, part)
				}
			}
		})
	}
}

// TestSecretRollsPods: the pods that use a Secret roll when it changes, and no others.
func TestSecretRollsPods(t *testing.T) {
	w := newWorld(t)
	w.start()
	secret := create[corev1.Secret](w, "metadata: {name: user}\nstringData: {username: u, password: p}\n")
	create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any"))
	const own = "  kafka: {bootstrapServers: ['k:1'], sasl: {mechanism: ScramSha512, secretRef: {name: user}}}\n"
	create[v1alpha1.LogSource](w, sourceYAML+own)
	other := create[v1alpha1.LogSource](w, strings.Replace(sourceYAML, "name: s", "name: other", 1))
	set := w.daemonSet()
	before := hash(&set.Spec.Template)
	untouched := until(w, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.namespace, Name: desired.AgentName(other),
	}}, "the other DaemonSet", func(*appsv1.DaemonSet) bool { return true })
	edit(w, secret, func() { secret.Data["password"] = []byte("q") })
	until(w, set, "rolling", func(d *appsv1.DaemonSet) bool { return hash(&d.Spec.Template) != before })
	w.check(w.Get(w.Context(), client.ObjectKeyFromObject(untouched), untouched))
	if untouched.Generation != 1 {
		t.Error("agents roll that do not use the Secret")
	}
}

// TestNameTaken: an object of that name that belongs to someone else is left alone.
func TestNameTaken(t *testing.T) {
	w := newWorld(t)
	foreign := create[corev1.ConfigMap](w, "metadata: {name: s-agent}\ndata: {mine: yes please}\n")
	w.start()
	create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any"))
	source := create[v1alpha1.LogSource](w, sourceYAML)
	ready(w, source, no, v1alpha1.ReasonNameTaken)
	w.check(w.Get(w.Context(), client.ObjectKeyFromObject(foreign), foreign))
	if foreign.Data["mine"] != "yes please" || len(foreign.OwnerReferences) > 0 {
		t.Errorf("the ConfigMap was changed: %+v", foreign)
	}
}

// TestNodeLabelsReachAgents: the facts follow the nodes, and no pod rolls for it.
func TestNodeLabelsReachAgents(t *testing.T) {
	w := newWorld(t)
	w.start()
	create[v1alpha1.Topic](w, topicYAML("127.0.0.1:1", "any"))
	create[v1alpha1.LogSource](w, sourceYAML)
	set := w.daemonSet()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: w.namespace, Labels: map[string]string{corev1.LabelTopologyZone: "zone-a", "other": "label"},
	}}
	w.check(w.Create(w.Context(), node))
	defer func() { w.check(client.IgnoreNotFound(w.Delete(t.Context(), node))) }()
	facts := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "s-facts"}}
	want := fmt.Sprintf(`"%s":{"%s":"zone-a"}`, node.Name, corev1.LabelTopologyZone)
	until(w, facts, "the node's zone", func(c *corev1.ConfigMap) bool {
		return strings.Contains(c.Data["nodes.json"], want)
	})
	if got := w.daemonSet(); got.Generation != set.Generation {
		t.Error("agents roll because of a node")
	}
}

func hash(template *corev1.PodTemplateSpec) string {
	return template.Annotations[desired.ConfigHashAnnotation]
}

func (w *world) daemonSet() *appsv1.DaemonSet {
	w.Helper()
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "s-agent"}}
	return until(w, set, "the DaemonSet", func(*appsv1.DaemonSet) bool { return true })
}

func (w *world) deployment(replicas int32) *appsv1.Deployment {
	w.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "k-sink"}}
	return until(w, d, fmt.Sprintf("%d replicas", replicas), func(d *appsv1.Deployment) bool {
		return *d.Spec.Replicas == replicas
	})
}

// runAll reports what the controllers of Kubernetes, which are not there, would: all pods run.
func (w *world) runAll(set *appsv1.DaemonSet, d *appsv1.Deployment) {
	w.Helper()
	set.Status = appsv1.DaemonSetStatus{
		ObservedGeneration: set.Generation, DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, NumberReady: 3,
		UpdatedNumberScheduled: 3,
	}
	w.check(w.Status().Update(w.Context(), set))
	n := *d.Spec.Replicas
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, ReadyReplicas: n, UpdatedReplicas: n}
	w.check(w.Status().Update(w.Context(), d))
}

// TestTopicDeletion deletes topics in Kafka, or not, and always lets the Topic go.
func TestTopicDeletion(t *testing.T) {
	w := newWorld(t)
	kafka := servers.Kafka(t, 1)
	w.start()
	name := servers.UniqueName(t)
	topic := create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], name, "  deletionPolicy: Delete"))
	ready(w, topic, yes, v1alpha1.ReasonReady)
	source := create[v1alpha1.LogSource](w, sourceYAML)
	until(w, topic, "a user", func(x *v1alpha1.Topic) bool { return x.Status.UsedBy.Sources == 1 })
	w.check(w.Delete(w.Context(), topic))
	ready(w, topic, no, v1alpha1.ReasonInUse)
	w.check(w.Delete(w.Context(), source))
	w.gone(topic)

	again := create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], name, "  adoptionPolicy: MustNotExist"))
	ready(w, again, yes, v1alpha1.ReasonReady) // it was deleted in Kafka
	w.check(w.Delete(w.Context(), again))
	w.gone(again)
	third := create[v1alpha1.Topic](w, topicYAML(kafka.Bootstrap[0], name, "  adoptionPolicy: MustNotExist"))
	ready(w, third, no, v1alpha1.ReasonTopicExists) // it was retained
	edit(w, third, func() { third.Spec.AdoptionPolicy = v1alpha1.Adopt })
	ready(w, third, yes, v1alpha1.ReasonReady)
	w.check(w.Delete(w.Context(), third))

	away := create[v1alpha1.Topic](w, strings.Replace(topicYAML("127.0.0.1:1", "away", "  deletionPolicy: Delete"),
		"name: t", "name: away", 1))
	ready(w, away, no, v1alpha1.ReasonBrokerUnreachable)
	w.check(w.Delete(w.Context(), away))
	w.gone(away) // it never made anything
}

func (w *world) gone(object client.Object) {
	w.Helper()
	w.await("deletion", func() bool {
		return apierrors.IsNotFound(w.Get(w.Context(), client.ObjectKeyFromObject(object), object))
	})
}
