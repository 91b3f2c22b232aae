package sink

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

func TestEndpoints(t *testing.T) {
	tests := map[string]struct {
		arrange  func(s *Sink)
		path     string
		wantCode int
		wantText string
	}{
		"not ready before it has joined": {
			arrange: func(*Sink) {}, path: "/readyz", wantCode: 503, wantText: "starting"},
		"alive before it has joined": {arrange: func(*Sink) {}, path: "/healthz", wantCode: 200},
		"ready with nothing to do": {
			arrange: func(s *Sink) { s.setProblem("") }, path: "/readyz", wantCode: 200},
		"not ready while a partition is paused": {
			arrange: func(s *Sink) { s.setProblem(""); s.claim(7, errors.New("no quota")) },
			path:    "/readyz", wantCode: 503, wantText: "partition 7: no quota"},
		"not alive without a client": {
			arrange: func(s *Sink) { s.setFatal(errGroupClosed) }, path: "/healthz", wantCode: 503, wantText: "was closed"},
		"not alive when a partition is stuck": {
			arrange: func(s *Sink) {
				s.claim(3, nil)
				s.partitions[3].state.setStep(time.Now().Add(-2 * stuckAfter))
			},
			path: "/healthz", wantCode: 503, wantText: "partition 3 is stuck"},
		"metrics name the paused partition": {
			arrange: func(s *Sink) { s.claim(7, errHalted) },
			path:    "/metrics", wantCode: 200, wantText: `logpipe_sink_paused{partition="7",reason="halted"} 1`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := New(validConfig(), logr.Discard())
			if err != nil {
				t.Fatal(err)
			}
			test.arrange(s)
			answer := httptest.NewRecorder()
			s.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, test.path, nil))
			if answer.Code != test.wantCode || !strings.Contains(answer.Body.String(), test.wantText) {
				t.Errorf("got %d %q, want %d with %q", answer.Code, answer.Body, test.wantCode, test.wantText)
			}
		})
	}
}

// claim adds a partition that is in trouble, or not.
func (s *Sink) claim(number int32, trouble error) {
	p := &partition{at: layout{partition: number}, state: newState(number, time.Now())}
	if trouble != nil {
		p.state.trouble(trouble, time.Now())
	}
	s.claimed(p)
}

func TestStatusIsJSON(t *testing.T) {
	s, err := New(validConfig(), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	s.claim(1, nil)
	answer := httptest.NewRecorder()
	s.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/status", nil))
	var stats Stats
	if err := json.Unmarshal(answer.Body.Bytes(), &stats); err != nil || len(stats.Partitions) != 1 {
		t.Errorf("got %s, %v", answer.Body, err)
	}
}
