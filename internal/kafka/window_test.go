package kafka_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/internal/kafka"
)

// TestUnknownProducerHasOneBatchInFlight lets the broker fall silent when the first batch of a producer comes, and
// counts those that come until that is noticed. Kafka takes any batch as the first of a producer that it does not know.
func TestUnknownProducerHasOneBatchInFlight(t *testing.T) {
	tests := map[string]struct {
		before int  // batches that are acknowledged before
		same   bool // they have the same producer id
		want   int32
	}{
		"one that has sent nothing yet":                   {want: 1},
		"one that follows another on the connection":      {before: 1, want: 1},
		"one that the broker knows has as many as it may": {before: 1, same: true, want: kafka.MaxInFlight},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, cluster, f := mutable(t, kafka.Config{
				DialTimeout: conf.Duration(200 * time.Millisecond), RequestTimeout: conf.Duration(300 * time.Millisecond),
			})
			p := f.producer(kafka.ProducerConfig{})
			id := f.producerID()
			f.send(p, numbered(id, 0, test.before)...)
			first := test.before
			if !test.same {
				id, first = f.producerID(), 0
			}
			var came atomic.Int32
			cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				if came.Add(1) == 1 {
					m.Store(true)
				}
				return nil, nil, false
			})
			for _, b := range numbered(id, first, 8) {
				p.Send(b)
			}
			f.await(p, blocked)
			if got := came.Load(); got != test.want {
				t.Errorf("%d batches came before an answer, want %d", got, test.want)
			}
			m.Store(false)
			for i, r := range f.results(p, 8) {
				if r.Err != nil || int(r.Batch.FirstSequence) != 10*(first+i) {
					t.Errorf("result %d is of sequence %d, error %v", i, r.Batch.FirstSequence, r.Err)
				}
			}
			stored := f.read(0, 0, 1<<20)
			if diff := cmp.Diff(lines(id, 10*first, 80), stored[max(0, len(stored)-80):]); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}
