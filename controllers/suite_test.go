package controllers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// patience bounds every wait; nothing takes nearly as long.
const patience = 60 * time.Second

var (
	apiServer  *rest.Config
	testScheme *runtime.Scheme
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests runs the tests on a real kube-apiserver and etcd, if there are any.
func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("LOGPIPE_TEST_REQUIRE_SERVERS") != "" {
			fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS is not set: use the output of hack/kube.sh assets")
			return 1
		}
		return m.Run()
	}
	ctrl.SetLogger(logr.Discard())
	env := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("..", "config", "crd")}, ErrorIfCRDPathMissing: true,
	}
	var err error
	if apiServer, err = env.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start kube-apiserver:", err)
		return 1
	}
	defer func() { _ = env.Stop() }()
	if testScheme, err = Scheme(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// world is a namespace of its own on the API server, and a manager that can be stopped and started.
type world struct {
	*testing.T
	client.Client
	namespace string
	// writes counts what the managers wrote.
	writes atomic.Int64
	// limit, if set, is after how many writes the manager dies.
	limit     int64
	stop, die func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if apiServer == nil {
		t.Skip("KUBEBUILDER_ASSETS is not set: use the output of hack/kube.sh assets")
	}
	c, err := client.New(apiServer, client.Options{Scheme: testScheme})
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	w := &world{T: t, Client: c}
	w.check(c.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	return w
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// start starts a manager that watches the namespace.
func (w *world) start() {
	w.Helper()
	skip := true
	mgr, err := ctrl.NewManager(apiServer, ctrl.Options{
		Scheme: testScheme, Cache: CacheOptions([]string{w.namespace}), Logger: logr.Discard(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &skip},
		NewClient: func(config *rest.Config, options client.Options) (client.Client, error) {
			c, err := client.NewWithWatch(config, options)
			return w.counting(c), err
		},
	})
	w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	w.die = cancel
	w.check(Setup(ctx, mgr, Options{
		Objects:   desired.Options{AgentImage: "agent:test", SinkImage: "sink:test", PullPolicy: corev1.PullIfNotPresent},
		HostRoots: []string{"/var/log"}, TopicSyncInterval: time.Second, KafkaTimeout: 20 * time.Second,
	}))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("manager: %v", err)
		}
	})
	w.Cleanup(w.stop)
}

// errDead is what the client of a dead manager returns: nothing it does reaches the API server.
var errDead = errors.New("the manager is dead")

// counting counts the requests that change something, and lets the manager die after some of them.
func (w *world) counting(c client.WithWatch) client.Client {
	write := func(do func() error) error {
		if n := w.writes.Add(1); w.limit > 0 && n > w.limit {
			w.die()
			return errDead
		}
		return do()
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return write(func() error { return c.Apply(ctx, o, opts...) })
		},
		Patch: func(
			ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption,
		) error {
			return write(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
			opts ...client.SubResourcePatchOption,
		) error {
			return write(func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
	})
}

// create makes what text describes, in the namespace.
func create[T any, P interface {
	*T
	client.Object
}](w *world, text string) P {
	w.Helper()
	object := P(new(T))
	w.check(yaml.UnmarshalStrict([]byte(text), object)) // names are spelled right
	sent := w.untyped(object, text)
	w.check(w.Create(w.Context(), sent)) // what is left out gets its default
	w.check(w.Get(w.Context(), client.ObjectKeyFromObject(sent), object))
	return object
}

// untyped is an object of the same kind as like, with what text describes and nothing else.
func (w *world) untyped(like client.Object, text string) *unstructured.Unstructured {
	w.Helper()
	kind, err := apiutil.GVKForObject(like, testScheme)
	w.check(err)
	out := &unstructured.Unstructured{}
	w.check(yaml.Unmarshal([]byte(text), &out.Object))
	out.SetGroupVersionKind(kind)
	out.SetNamespace(w.namespace)
	return out
}

// until gets an object again and again until it is as wanted.
func until[P client.Object](w *world, object P, what string, wanted func(P) bool) P {
	w.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := w.Get(w.Context(), client.ObjectKeyFromObject(object), object)
		if err == nil && wanted(object) {
			return object
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s: error %v, last seen %+v", what, err, object)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ready waits for the condition Ready to have a status and a reason.
func ready[P resource](w *world, object P, status metav1.ConditionStatus, reason string) *metav1.Condition {
	w.Helper()
	object = until(w, object, fmt.Sprintf("Ready=%s, %s", status, reason), func(o P) bool {
		c := meta.FindStatusCondition(o.StatusConditions(), v1alpha1.ConditionReady)
		return c != nil && c.Status == status && c.Reason == reason && c.ObservedGeneration == o.GetGeneration()
	})
	return meta.FindStatusCondition(object.StatusConditions(), v1alpha1.ConditionReady)
}

// readyReason is the reason of the condition Ready, if it is about the object's newest spec.
func readyReason(object resource) string {
	c := meta.FindStatusCondition(object.StatusConditions(), v1alpha1.ConditionReady)
	if c == nil || c.ObservedGeneration != object.GetGeneration() {
		return ""
	}
	return c.Reason
}

// edit patches an object as a user would.
func edit[P client.Object](w *world, object P, how func()) {
	w.Helper()
	before := object.DeepCopyObject().(client.Object)
	how()
	w.check(w.Patch(w.Context(), object, client.MergeFrom(before)))
}

// await waits until something is so.
func (w *world) await(what string, so func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("wait for %s", what)
		}
	}
}

// writesDuring counts what the manager writes while f runs.
func (w *world) writesDuring(f func()) int64 {
	before := w.writes.Load()
	f()
	return w.writes.Load() - before
}

// reconciles counts what a controller has done since the process started.
func reconciles(t *testing.T, controller string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var n float64
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "controller" && label.GetValue() == controller {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}
