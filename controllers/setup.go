// Package controllers keeps what Topics, LogSources and HDFSSinks stand for as they say.
package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/api/v1alpha1"
	"github.com/logpipe/logpipe/controllers/desired"
)

// Options is what the manager was told.
type Options struct {
	// Objects says how pods are made.
	Objects desired.Options
	// HostRoots are the directories of nodes below which agents may read.
	HostRoots []string
	// TopicSyncInterval is how often each topic is compared with Kafka.
	TopicSyncInterval time.Duration
	// KafkaTimeout bounds all that one reconcile asks Kafka.
	KafkaTimeout time.Duration
}

// base is what all reconcilers have.
type base struct {
	client.Client
	// live reads from the API server: what the cache does not hold, such as the content of Secrets.
	live   client.Reader
	events events.EventRecorder
	Options
}

// Scheme knows the types of Kubernetes and of logpipe.
func Scheme() (*runtime.Scheme, error) {
	out := runtime.NewScheme()
	if err := scheme.AddToScheme(out); err != nil {
		return nil, fmt.Errorf("register Kubernetes types: %w", err)
	}
	if err := v1alpha1.AddToScheme(out); err != nil {
		return nil, fmt.Errorf("register logpipe types: %w", err)
	}
	return out, nil
}

// Setup adds the reconcilers to mgr.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	b := base{
		Client: mgr.GetClient(), live: mgr.GetAPIReader(), events: mgr.GetEventRecorder("logpipe"), Options: o,
	}
	if err := registerMetrics(mgr.GetClient()); err != nil {
		return err
	}
	for kind, setup := range map[string]func(ctrl.Manager) error{
		v1alpha1.KindTopic:     (&TopicReconciler{base: b}).setup,
		v1alpha1.KindLogSource: (&LogSourceReconciler{base: b}).setup,
		v1alpha1.KindHDFSSink:  (&HDFSSinkReconciler{base: b}).setup,
	} {
		if err := setup(mgr); err != nil {
			return fmt.Errorf("set up the controller of %s: %w", kind, err)
		}
	}
	return nil
}
