package tail

import (
	"context"
	"slices"
	"testing"
	"time"
)

// expect waits until the watcher told what is wanted, or the test's patience ends.
func expect(t *testing.T, w *Watcher, is func(written []string, scan bool) bool) {
	t.Helper()
	patience := time.After(10 * time.Second)
	for {
		select {
		case <-w.Wake():
			if is(w.Take()) {
				return
			}
		case <-patience:
			t.Fatal("the watcher does not tell")
		}
	}
}

func TestWatcher(t *testing.T) {
	w := newWorld(t, "*/*.log")
	w.append("a/x.log", "one\n")
	w.start()
	watcher, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- watcher.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.must(watcher.Close())
	}()
	scan := func() {
		c, err := w.set.Scan(ctx)
		w.must(err)
		w.must(watcher.Watch(c.Directories))
	}
	wantScan := func(_ []string, scan bool) bool { return scan }
	wrote := func(name string) func([]string, bool) bool {
		return func(written []string, _ bool) bool { return slices.Contains(written, w.path(name)) }
	}

	scan()
	expect(t, watcher, wantScan) // something may have come between the scan and the watch
	w.append("a/x.log", "two\n")
	expect(t, watcher, wrote("a/x.log"))
	if w.set.Lookup(w.path("a/x.log")) == nil {
		t.Error("the file that was written to is not known by its name")
	}
	w.append("b/y.log", "one\n")
	expect(t, watcher, wantScan)
	scan()
	expect(t, watcher, wantScan)
	w.append("b/y.log", "two\n")
	expect(t, watcher, wrote("b/y.log"))
	w.rename("b/y.log", "b/y.log.1")
	expect(t, watcher, wantScan)

	w.remove("b/y.log.1")
	w.remove("b")
	w.append("b/z.log", "one\n") // in a directory made anew under the same name
	scan()
	expect(t, watcher, wantScan)
	w.append("b/z.log", "two\n")
	expect(t, watcher, wrote("b/z.log"))
}
