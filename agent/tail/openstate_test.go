package tail

import (
	"errors"
	"os"
	"testing"
)

func TestOpenState(t *testing.T) {
	text := lines("a", 50)
	for name, test := range map[string]struct {
		change  func(w *world)
		wantErr error
	}{
		"in place": {change: func(*world) {}},
		"renamed":  {change: func(w *world) { w.rename("app.log", "app.log.1") }},
		"renamed out of reach": {change: func(w *world) {
			w.must(os.Mkdir(w.path("away"), 0o755))
			w.rename("app.log", "away/app.log")
		}, wantErr: ErrNotFound},
		"compressed": {change: func(w *world) { w.gzip("app.log") }},
		"compressed under another name": {change: func(w *world) {
			w.gzip("app.log")
			w.rename("app.log.gz", "other.gz")
		}},
		"deleted":   {change: func(w *world) { w.remove("app.log") }, wantErr: ErrNotFound},
		"truncated": {change: func(w *world) { w.truncate(0) }, wantErr: ErrChanged},
		"refilled": {change: func(w *world) {
			w.truncate(0)
			w.append("app.log", lines("b", 60))
		}, wantErr: ErrChanged},
		"made anew with the same bytes": {change: func(w *world) {
			w.remove("app.log")
			w.append("app.log", text)
		}, wantErr: ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "app.log")
			w.append("app.log", text)
			w.start()
			w.scan()
			f := w.set.Lookup(w.path("app.log"))
			state := f.State(f.MarkAt(700, []byte(text)))
			w.must(w.set.Close())
			test.change(w)
			for how, knows := range map[string]bool{"known": true, "unknown": false} {
				known := map[uint32]Known{7: {State: state}}
				if !knows {
					known = nil
				}
				set, err := NewSet(w.cfg, known)
				w.must(err)
				opened, err := set.OpenState(state)
				if !errors.Is(err, test.wantErr) {
					t.Fatalf("%s: error %v, want %v", how, err, test.wantErr)
				}
				if err != nil {
					continue
				}
				buf := make([]byte, 2*len(text))
				n, err := opened.Read(buf)
				if string(buf[:n]) != text[700:] || err != nil {
					t.Errorf("%s: read %q, %v", how, buf[:n], err)
				}
				opened.Release()
			}
		})
	}
}

func TestOpenStateOfADeletedFileThatIsStillOpen(t *testing.T) {
	w := newWorld(t, "app.log")
	w.append("app.log", "one\ntwo\n")
	w.start()
	w.scan()
	f := w.set.Lookup(w.path("app.log"))
	state := f.State(f.MarkAt(4, []byte("one\ntwo\n")))
	w.remove("app.log")
	w.scan()
	again, err := w.set.OpenState(state)
	w.must(err)
	defer again.Release()
	buf := make([]byte, 100)
	if n, err := again.Read(buf); string(buf[:n]) != "two\n" || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}
