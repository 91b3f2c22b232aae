package tail

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// maxWritten bounds the names kept between two calls of Take.
const maxWritten = 4096

// Watcher tells at once that files may have changed. It misses some and makes up others: Scan makes it right.
type Watcher struct {
	events *fsnotify.Watcher
	wake   chan struct{}
	// dirs belong to the goroutine that calls Watch.
	dirs map[Directory]bool

	mu      sync.Mutex
	written map[string]bool
	scan    bool
}

// NewWatcher makes a watcher that watches nothing yet. Close ends it.
func NewWatcher() (*Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	return &Watcher{events: events, wake: make(chan struct{}, 1), written: map[string]bool{}}, nil
}

// Close ends Run.
func (w *Watcher) Close() error { return w.events.Close() }

// Wake has a value when Take has something to return.
func (w *Watcher) Wake() <-chan struct{} { return w.wake }

// Watch replaces the directories that are watched by Changes.Directories; nil leaves them as they are. What can't be
// watched, because the kernel allows no more, is left to scans, and told in the error.
func (w *Watcher) Watch(dirs []Directory) error {
	if dirs == nil {
		return nil
	}
	now, paths := make(map[Directory]bool, len(dirs)), make(map[string]bool, len(dirs))
	var failed error
	for _, dir := range dirs {
		paths[dir.Path] = true
		if !w.dirs[dir] {
			if err := w.events.Add(dir.Path); err != nil {
				failed = fmt.Errorf("watch %s: %w", dir.Path, err)
				continue
			}
			w.note("") // what came into it between the scan and now
		}
		now[dir] = true
	}
	for dir := range w.dirs {
		if !paths[dir.Path] {
			_ = w.events.Remove(dir.Path) // most often it is gone
		}
	}
	w.dirs = now
	return failed
}

// Take returns the names written to since the last call, and whether a scan is due because files came or went.
func (w *Watcher) Take() (written []string, scan bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.written {
		written = append(written, name)
	}
	scan = w.scan
	clear(w.written)
	w.scan = false
	return written, scan
}

// Run collects what the kernel tells until ctx is done or the watcher is closed.
func (w *Watcher) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-w.events.Events:
			if !ok {
				return nil
			}
			w.take(event)
		case err, ok := <-w.events.Errors:
			if !ok {
				return nil
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch files: %w", err)
			}
			w.note("")
		}
	}
}

func (w *Watcher) take(event fsnotify.Event) {
	switch {
	case event.Has(fsnotify.Create), event.Has(fsnotify.Remove), event.Has(fsnotify.Rename):
		w.note("")
	case event.Has(fsnotify.Write):
		w.note(event.Name)
	}
}

// note remembers a name that was written to, or with no name that a scan is due.
func (w *Watcher) note(name string) {
	w.mu.Lock()
	if name == "" || len(w.written) >= maxWritten {
		w.scan = true
	} else {
		w.written[name] = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
