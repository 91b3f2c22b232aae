package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/logpipe/logpipe/internal/pause"
)

// factsPatience is how long an agent waits for the labels of its node, or of a pod, before it goes on without them. The
// kubelet takes up to about 90 s to bring a changed ConfigMap into a pod.
const factsPatience = 2 * time.Minute

// facts are the labels of nodes by name, or of pods by UID. The manager writes them into a file, because an agent may
// not ask the API server; without a file nothing is known and nothing is waited for.
type facts struct {
	file     string
	modified time.Time
	labels   map[string]map[string]string
	// missing tells since when something is asked for that is not known.
	missing map[string]time.Time
}

// reload reads the file again if it changed. A file that is not there yet is no error: all is then simply unknown.
func (f *facts) reload() error {
	if f.file == "" {
		return nil
	}
	info, err := os.Stat(f.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stat facts: %w", err)
	}
	if info.ModTime().Equal(f.modified) {
		return nil
	}
	data, err := os.ReadFile(f.file)
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	labels := map[string]map[string]string{}
	if err := json.Unmarshal(data, &labels); err != nil {
		return fmt.Errorf("parse facts %s: %w", f.file, err)
	}
	f.modified, f.labels = info.ModTime(), labels
	return nil
}

// settled tells whether the labels of id are known, or were waited for long enough.
func (f *facts) settled(id string, now time.Time) bool {
	if f.file == "" {
		return true
	}
	if _, ok := f.labels[id]; ok {
		delete(f.missing, id)
		return true
	}
	if f.missing == nil {
		f.missing = map[string]time.Time{}
	}
	since, ok := f.missing[id]
	if !ok {
		f.missing[id] = now
		return false
	}
	return now.Sub(since) >= factsPatience
}

// knowNode waits for the labels of this node, and takes them. Keys are chosen by them when a file is first seen, and
// kept.
func (a *Agent) knowNode(ctx context.Context) error {
	f, name := a.origins.nodes, a.cfg.Node.Name
	for {
		if err := f.reload(); err != nil {
			a.report(f.file, err)
		}
		if f.settled(name, time.Now()) {
			break
		}
		a.problem(fmt.Sprintf("waiting for the labels of node %q in %s, which the manager writes", name, f.file))
		if !pause.For(ctx, time.Second) {
			return ctx.Err()
		}
	}
	if _, ok := f.labels[name]; f.file != "" && !ok {
		a.log.Info("Labels of this node are not known, keys fall back", "node", name, "file", f.file)
	}
	a.takeNodeLabels()
	return nil
}

// takeNodeLabels brings the labels of the node up to date.
func (a *Agent) takeNodeLabels() {
	if labels, ok := a.origins.nodes.labels[a.cfg.Node.Name]; ok {
		a.cfg.Node.Labels = labels
	}
}
