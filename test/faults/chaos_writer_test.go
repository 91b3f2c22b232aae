package faults

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/internal/lines"
)

// chaosWriter writes a log, which an agent of its own reads into a partition of its own.
type chaosWriter struct {
	c         *chaos
	agent     process
	partition int
	live      string
	source    *lines.Source
	random    *rand.Rand
	rotated   []rotated // and still there
	rotations int
}

func newChaosWriter(c *chaos, i int, settings kafka.Config) *chaosWriter {
	p := newProgram(c.T, "agent")
	w := &chaosWriter{
		c: c, agent: process{program: p}, partition: i, live: filepath.Join(p.dir, "app.log"),
		source: lines.NewSource(writerName(i), c.seed), random: c.random(i),
	}
	p.configure(agent.Config{
		Name: "test/faults", StateDir: filepath.Join(p.dir, "state"), Topic: c.topic, Kafka: settings,
		Node: agent.Node{Name: "n"}, Decode: decode.Config{Format: decode.FormatRaw, MaxRecordBytes: 4 << 10},
		Inputs:       []agent.Input{{Files: &agent.FilesInput{Include: []string{w.live + "*"}}}},
		Batch:        agent.Batch{MaxBytes: 64 << 10, Interval: conf.Duration(20 * time.Millisecond)},
		PartitionKey: agent.PartitionKey{Type: agent.KeyStatic, Value: "k"},
		Assignment:   map[string][]int32{"k": {int32(i)}},
		ScanInterval: conf.Duration(100 * time.Millisecond),
	})
	return w
}

// write writes lines in pieces that end anywhere in a line, and rotates now and then, until ctx is done. The last line
// is whole.
func (w *chaosWriter) write(ctx context.Context) {
	var file *os.File
	var text []byte
	flush := func(n int) bool {
		if file == nil {
			var err error
			if file, err = os.OpenFile(w.live, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
				w.c.Error(err)
				return false
			}
		}
		if _, err := file.Write(text[:n]); err != nil {
			w.c.Error(err)
			return false
		}
		text = append(text[:0], text[n:]...)
		return true
	}
	for sleep(ctx, w.random, 20*time.Millisecond) {
		for range 100 {
			text = append(text, w.source.Next(time.Unix(1_800_000_000, 0))...)
		}
		if !flush(w.random.IntN(len(text))) {
			return
		}
		if w.random.IntN(100) == 0 && flush(len(text)) {
			_ = file.Close()
			file = nil
			if err := w.rotate(ctx); err != nil {
				w.c.Errorf("rotate: %v", err)
				return
			}
		}
	}
	flush(len(text))
	_ = file.Close()
}

// rotate renames the log, as logrotate does, compresses the one before, as the kubelet does, and deletes the oldest of
// which Kafka has every line.
func (w *chaosWriter) rotate(ctx context.Context) error {
	w.rotations++
	w.c.rotations.Add(1)
	plain := fmt.Sprintf("%s-20261123-%06d", w.live, w.rotations)
	if err := os.Rename(w.live, plain); err != nil {
		return err
	}
	if n := len(w.rotated); n > 0 {
		before := &w.rotated[n-1]
		if err := compress(before.name); err != nil {
			return err
		}
		before.name += ".gz"
	}
	w.rotated = append(w.rotated, rotated{plain, w.partition, int64(w.source.Count())})
	w.note("%s holds lines below %d", plain, w.source.Count())
	_, end, err := w.c.client.Offsets(ctx, w.c.topic, int32(w.partition))
	for err == nil && len(w.rotated) > 2 && end >= w.rotated[0].upTo { // without an answer they stay
		if err := os.Remove(w.rotated[0].name); err != nil {
			return err
		}
		w.note("%s is deleted: Kafka has %d lines", w.rotated[0].name, end)
		w.rotated = w.rotated[1:]
	}
	return nil
}

// note keeps what was done to the log beside it, for who has to explain a failure.
func (w *chaosWriter) note(format string, args ...any) {
	file, err := os.OpenFile(filepath.Join(filepath.Dir(w.live), "history"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.c.Error(err)
		return
	}
	_, err = fmt.Fprintf(file, "%s "+format+"\n", append([]any{time.Now().UTC().Format("15:04:05.000")}, args...)...)
	if err := errors.Join(err, file.Close()); err != nil {
		w.c.Error(err)
	}
}

// compress replaces a file with its compressed form.
func compress(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(name + ".tmp")
	if err != nil {
		return err
	}
	zip := gzip.NewWriter(out)
	if _, err := io.Copy(zip, in); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name+".gz"); err != nil {
		return err
	}
	return os.Remove(name)
}
