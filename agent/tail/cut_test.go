package tail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"time"
)

// TestCompressedInPlace finds a compressed log that is just being written, under its name and with no plain form beside
// it. What is there is read, and the rest when it comes.
func TestCompressedInPlace(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := io.WriteString(w, lines(0, 2000))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	half := zipped.Len() / 2
	tests := map[string]func(l *lab){
		"while it is read":                   func(*lab) {},
		"over a restart":                     func(l *lab) { l.restart(); l.scan() },
		"looked at again before it is whole": func(l *lab) { l.scan(); readCut(l) },
	}
	for name, between := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(cfg *Config) { cfg.Include[0] += "*" })
			l.append("app.log.1.gz", zipped.String()[:half])
			l.scan()
			got := readCut(l)
			if got == "" || l.order[0].Final() {
				t.Fatalf("read %d bytes of the first half, final %v", len(got), l.order[0].Final())
			}
			between(l)
			l.append("app.log.1.gz", zipped.String()[half:])
			l.scan()
			if got += l.read(l.order[0]); got != lines(0, 2000) || !l.order[0].Final() {
				t.Errorf("read %d bytes, want all %d; final %v", len(got), len(lines(0, 2000)), l.order[0].Final())
			}
		})
	}
}

// readCut reads whole lines of the first file until its compressed form ends early.
func readCut(l *lab) string {
	l.t.Helper()
	var out bytes.Buffer
	buf := make([]byte, 1000)
	for f := l.order[0]; ; {
		n, err := f.Read(buf)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return out.String()
		}
		l.check(err)
		n = bytes.LastIndexByte(buf[:n], '\n') + 1
		if n == 0 {
			return out.String() // the rest of the line is to come
		}
		out.Write(buf[:n])
		f.Advance(n, buf[:n])
	}
}

// TestCompressedLogIsNeverWhole gives up the rest of a compressed file that nobody goes on with, so that it does not
// hold up what is behind it for ever.
func TestCompressedLogIsNeverWhole(t *testing.T) {
	l := newLab(t, func(cfg *Config) { cfg.Include[0] += "*" })
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := io.WriteString(w, lines(0, 2000))
	l.check(errors.Join(err, w.Close()))
	l.append("app.log.1.gz", zipped.String()[:zipped.Len()/2])
	l.scan()
	readCut(l)
	for _, step := range []struct {
		wait time.Duration
		want bool
	}{{0, false}, {cutGrace / 2, false}, {cutGrace, true}} {
		l.now = l.now.Add(step.wait)
		l.scan()
		if got := l.order[0].Final(); got != step.want {
			t.Errorf("after another %s final is %v", step.wait, got)
		}
	}
}
