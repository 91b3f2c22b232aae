package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipe/logpipe/controllers/desired"
)

// fieldOwner owns every field that the manager sets, and no other.
const fieldOwner = client.FieldOwner("logpipe")

// errNameTaken means that an object of that name exists and belongs to someone else.
var errNameTaken = errors.New("name taken")

// applyConfiguration is what the builders of package desired return.
type applyConfiguration interface {
	runtime.ApplyConfiguration
	GetName() *string
}

// extractor returns the part of a live object that fieldOwner owns.
type extractor[L client.Object, A applyConfiguration] func(live L, fieldManager string) (A, error)

// apply makes an object as it is wanted and returns it. When the fields that are ours are so already, nothing is
// written. An object that owner does not control is left alone: errNameTaken.
func apply[L client.Object, A applyConfiguration](
	ctx context.Context, b *base, owner client.Object, want A, extract extractor[L, A],
) (L, error) {
	live := reflect.New(reflect.TypeFor[L]().Elem()).Interface().(L)
	key := client.ObjectKey{Namespace: owner.GetNamespace(), Name: *want.GetName()}
	err := b.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		err = b.live.Get(ctx, key, live) // the cache may be late, and holds only what has our label
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return live, fmt.Errorf("get %T %s: %w", live, key.Name, err)
	}
	if err == nil {
		if !metav1.IsControlledBy(live, owner) {
			return live, taken(live, key.Name)
		}
		have, err := extract(live, string(fieldOwner))
		if err != nil {
			return live, fmt.Errorf("read fields of %T %s: %w", live, key.Name, err)
		}
		if equality.Semantic.DeepEqual(have, want) {
			return live, nil
		}
	}
	if err := b.Apply(ctx, want, fieldOwner, client.ForceOwnership); err != nil {
		return live, fmt.Errorf("apply %T %s: %w", live, key.Name, err)
	}
	data, err := json.Marshal(want) // which is now what the server answered
	if err != nil {
		return live, fmt.Errorf("read answer about %T %s: %w", live, key.Name, err)
	}
	return live, json.Unmarshal(data, live)
}

func taken(object client.Object, name string) error {
	return fmt.Errorf("%w: %s %s exists and belongs to something else: delete it, or give this resource another name",
		errNameTaken, reflect.TypeOf(object).Elem().Name(), name)
}

// applyShared applies what agents and sinks have in common.
func (b *base) applyShared(
	ctx context.Context, owner client.Object, account *corev1ac.ServiceAccountApplyConfiguration,
	policy *networkingv1ac.NetworkPolicyApplyConfiguration, monitor *unstructured.Unstructured,
) error {
	if account != nil {
		if _, err := apply[*corev1.ServiceAccount](ctx, b, owner, account, corev1ac.ExtractServiceAccount); err != nil {
			return err
		}
	}
	if _, err := apply[*networkingv1.NetworkPolicy](ctx, b, owner, policy,
		networkingv1ac.ExtractNetworkPolicy); err != nil {
		return err
	}
	return b.applyPodMonitor(ctx, owner, monitor)
}

// applyPodMonitor does nothing where the Prometheus operator is not installed.
func (b *base) applyPodMonitor(ctx context.Context, owner client.Object, want *unstructured.Unstructured) error {
	kind := desired.PodMonitorKind
	if _, err := b.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("look for the resource PodMonitor: %w", err)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(kind)
	err := b.live.Get(ctx, client.ObjectKeyFromObject(want), live)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get PodMonitor %s: %w", want.GetName(), err)
	}
	if err == nil {
		if !metav1.IsControlledBy(live, owner) {
			return taken(live, want.GetName())
		}
		if within(want.Object, live.Object) {
			return nil
		}
	}
	if err := b.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), fieldOwner,
		client.ForceOwnership); err != nil {
		return fmt.Errorf("apply PodMonitor %s: %w", want.GetName(), err)
	}
	return nil
}

// within tells whether all that want says is so in have.
func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for key, value := range w {
			if !ok || !within(value, h[key]) {
				return false
			}
		}
		return ok
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			if !within(w[i], h[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(want, have)
	}
}

// applyAgents returns the DaemonSet as it is now. The pods find their configuration and facts when they start.
func (b *base) applyAgents(
	ctx context.Context, owner client.Object, facts *corev1ac.ConfigMapApplyConfiguration, want *desired.Agents,
) (*appsv1.DaemonSet, error) {
	if facts != nil {
		if _, err := apply[*corev1.ConfigMap](ctx, b, owner, facts, corev1ac.ExtractConfigMap); err != nil {
			return nil, err
		}
	}
	if _, err := apply[*corev1.ConfigMap](ctx, b, owner, want.ConfigMap, corev1ac.ExtractConfigMap); err != nil {
		return nil, err
	}
	if err := b.applyShared(ctx, owner, want.ServiceAccount, want.NetworkPolicy, want.PodMonitor); err != nil {
		return nil, err
	}
	return apply[*appsv1.DaemonSet](ctx, b, owner, want.DaemonSet, appsv1ac.ExtractDaemonSet)
}

// applySinks returns the Deployment as it is now.
func (b *base) applySinks(
	ctx context.Context, owner client.Object, want *desired.Sinks,
) (*appsv1.Deployment, error) {
	if _, err := apply[*corev1.ConfigMap](ctx, b, owner, want.ConfigMap, corev1ac.ExtractConfigMap); err != nil {
		return nil, err
	}
	if err := b.applyShared(ctx, owner, want.ServiceAccount, want.NetworkPolicy, want.PodMonitor); err != nil {
		return nil, err
	}
	if _, err := apply[*policyv1.PodDisruptionBudget](ctx, b, owner, want.PodDisruptionBudget,
		policyv1ac.ExtractPodDisruptionBudget); err != nil {
		return nil, err
	}
	return apply[*appsv1.Deployment](ctx, b, owner, want.Deployment, appsv1ac.ExtractDeployment)
}
