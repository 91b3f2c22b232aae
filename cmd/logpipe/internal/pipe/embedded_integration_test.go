package pipe

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/lines"
)

const (
	deadline = time.Minute
	poll     = 50 * time.Millisecond
)

// TestEmbedded runs the sample as the README tells to, and again after a stop: every line arrives exactly once.
func TestEmbedded(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile("../../../../config/samples/pipe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/tmp/logpipe-logs", logs, "interval: 1m", "interval: 500ms").Replace(string(sample))
	if strings.Contains(text, "/tmp/logpipe-logs") || !strings.Contains(text, "500ms") {
		t.Fatal("the sample is not what this test expects")
	}
	e := &embeddedPipe{t: t, text: text, dir: filepath.Join(dir, "data"), source: lines.NewSource("w", 1)}
	current := filepath.Join(logs, "app.log")

	stop := e.start()
	e.write(current, 4000)
	e.await(4000)
	e.write(current, 1000)
	if err := os.Rename(current, current+".1"); err != nil {
		t.Fatal(err)
	}
	e.write(current, 5000)
	e.await(10_000)
	stop()

	e.write(current, 500)
	stop = e.start()
	e.write(current, 500)
	e.await(11_000)
	stop()
	if verdict := e.check(); !verdict.Perfect() {
		t.Error(verdict)
	}
}

type embeddedPipe struct {
	t      *testing.T
	text   string
	dir    string
	source *lines.Source
}

// start runs the pipe until the function that it returns is called.
func (e *embeddedPipe) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	done := make(chan error, 1)
	set := load(e.t, e.text)
	go func() {
		done <- Run(ctx, set, Options{
			Dir: e.dir, Embedded: true, Node: agent.Node{Name: "here", IP: "127.0.0.1"},
			Progress: time.Second, Out: e.t.Output(), Log: testr.New(e.t),
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				e.t.Errorf("the pipe ended with: %v", err)
			}
		case <-time.After(deadline):
			e.t.Error("the pipe does not end")
		}
	})
	e.t.Cleanup(stop)
	return stop
}

func (e *embeddedPipe) write(path string, count int) {
	e.t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	for range count {
		if _, err := out.Write(e.source.Next(time.Now())); err != nil {
			e.t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		e.t.Fatal(err)
	}
}

// await waits until so many lines have been delivered.
func (e *embeddedPipe) await(count uint64) {
	e.t.Helper()
	var verdict lines.Verdict
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(poll) {
		if verdict = e.check(); verdict.Delivered >= count {
			return
		}
	}
	e.t.Fatalf("after %s: %s", deadline, verdict)
}

// check reads all visible files, in the order of their names, which is that of the offsets.
func (e *embeddedPipe) check() lines.Verdict {
	e.t.Helper()
	checker := lines.NewChecker()
	root := filepath.Join(e.dir, "files", "logs", "app-logs")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			checker.Add([]byte(strings.TrimSuffix(line, "\n")))
		}
		return nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return checker.Verdict(map[string]uint64{"w": e.source.Count()})
}
