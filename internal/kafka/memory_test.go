package kafka_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/logpipe/logpipe/internal/kafka"
)

// TestAcknowledgedBatchesAreLetGo has a partition that had much to send and is idle then: callers count a batch as
// free memory once they have its result.
func TestAcknowledgedBatchesAreLetGo(t *testing.T) {
	_, f := faulty(t)
	p := f.producer(kafka.ProducerConfig{})
	batches := sendAndForget(f, p, 50)
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		held := 0
		for _, b := range batches {
			if b.Value() != nil {
				held++
			}
		}
		if held == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d batches are held", held, len(batches))
		}
	}
}

//go:noinline
func sendAndForget(f *fixture, p *kafka.Producer, n int) (out []weak.Pointer[kafka.Batch]) {
	batches := numbered(f.producerID(), 0, n)
	for _, b := range batches {
		out = append(out, weak.Make(b))
	}
	f.send(p, batches...)
	return out
}
