package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/logpipe/logpipe/api/v1alpha1"
)

// TestMessagesAreStable: what differs each time would be a write each time.
func TestMessagesAreStable(t *testing.T) {
	first := stable(errors.New("read tcp 10.0.0.1:41234->10.0.0.2:9092: i/o timeout"))
	second := stable(errors.New("read tcp 10.0.0.1:51111->10.0.0.2:9092: i/o timeout"))
	if first != second || !strings.Contains(first, "10.0.0.2:9092") {
		t.Errorf("got %q and %q", first, second)
	}
	if got := bounded(strings.Repeat("ü", maxMessage)); len(got) > maxMessage+10 {
		t.Errorf("a message of %d bytes", len(got))
	}
	if got := eventNote(strings.Repeat("ü", 1000)); len(got) > 1024 {
		t.Errorf("a note of %d bytes", len(got))
	}
}

func TestPodSecurityOfNamespace(t *testing.T) {
	for level, forbidden := range map[string]bool{"": false, "privileged": false, "baseline": true, "restricted": true} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{podSecurityLabel: level}}}
		if got := podSecurity(namespace); (got != nil) != forbidden {
			t.Errorf("level %q: %+v", level, got)
		}
	}
}

// TestFirst: exactly one of two Topics is first, whichever way one asks.
func TestFirst(t *testing.T) {
	topic := func(uid string, second int, claimed bool) *v1alpha1.Topic {
		return &v1alpha1.Topic{
			ObjectMeta: metav1.ObjectMeta{
				UID: types.UID(uid), CreationTimestamp: metav1.NewTime(time.Unix(int64(second), 0)),
			},
			Status: v1alpha1.TopicStatus{Claimed: claimed},
		}
	}
	tests := map[string]struct{ first, second *v1alpha1.Topic }{
		"the older one":                        {topic("b", 1, false), topic("a", 2, true)},
		"in one second, the one that made it":  {topic("b", 1, true), topic("a", 1, false)},
		"in one second, none has made it":      {topic("a", 1, false), topic("b", 1, false)},
		"in one second, both claim to have it": {topic("a", 1, true), topic("b", 1, true)},
	}
	for name, tc := range tests {
		if !first(tc.first, tc.second) || first(tc.second, tc.first) {
			t.Errorf("%s: %v and %v", name, first(tc.first, tc.second), first(tc.second, tc.first))
		}
	}
}

func TestWithin(t *testing.T) {
	have := map[string]any{"a": "1", "list": []any{map[string]any{"x": "y", "more": "z"}}, "default": true}
	tests := map[string]struct {
		want any
		is   bool
	}{
		"a part":            {map[string]any{"a": "1", "list": []any{map[string]any{"x": "y"}}}, true},
		"another value":     {map[string]any{"a": "2"}, false},
		"a field more":      {map[string]any{"b": "1"}, false},
		"a shorter list":    {map[string]any{"list": []any{}}, false},
		"a list that is no": {map[string]any{"a": []any{"1"}}, false},
	}
	for name, tc := range tests {
		if got := within(tc.want, have); got != tc.is {
			t.Errorf("%s: %v", name, got)
		}
	}
}
