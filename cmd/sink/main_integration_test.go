package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/sink"
	"github.com/logpipe/logpipe/test/servers"
)

// TestStopsOnSignal stops a sink that waits for its brokers, and one that has claimed a partition.
func TestStopsOnSignal(t *testing.T) {
	tests := map[string]struct {
		bootstrap func(t *testing.T) []string
		wantText  string // logged before the signal
	}{
		"waiting for brokers that do not answer": {
			bootstrap: func(*testing.T) []string { return []string{"127.0.0.1:1"} }, wantText: "Waiting to connect"},
		"owning a partition": {
			bootstrap: func(t *testing.T) []string { return servers.Kafka(t, 1).Bootstrap }, wantText: "Acquired partition"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := sink.Config{Name: "test/sink", Topic: strings.ToLower(servers.UniqueName(t))}
			cfg.Kafka.BootstrapServers = test.bootstrap(t)
			cfg.Store.URL = "file://" + t.TempDir()
			makeTopic(t, cfg)
			file := filepath.Join(t.TempDir(), "sink.json")
			data, err := json.Marshal(cfg)
			if err == nil {
				err = os.WriteFile(file, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd := binary(t, "--config", file, "-v", "1")
			log := &logWriter{wanted: test.wantText, seen: make(chan struct{})}
			cmd.Stderr = log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-log.seen:
			case <-time.After(time.Minute):
				t.Fatalf("did not log %q:\n%s", test.wantText, log.text)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("stopped with %v:\n%s", err, log.text)
			}
		})
	}
}

// makeTopic makes the topic if there are brokers.
func makeTopic(t *testing.T, cfg sink.Config) {
	client, err := kafka.Connect(t.Context(), cfg.Kafka, logr.Discard())
	if err != nil {
		return
	}
	defer client.Close()
	spec := kafka.TopicSpec{Name: cfg.Topic, Partitions: 1, ReplicationFactor: 1}
	if _, err := client.EnsureTopic(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
}

// logWriter closes seen when the wanted text was written.
type logWriter struct {
	wanted string
	text   string
	seen   chan struct{}
	closed bool
}

func (w *logWriter) Write(p []byte) (int, error) {
	w.text += string(p)
	if !w.closed && strings.Contains(w.text, w.wanted) {
		w.closed = true
		close(w.seen)
	}
	return len(p), nil
}
