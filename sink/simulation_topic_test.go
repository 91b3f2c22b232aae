package sink

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/logpipe/logpipe/internal/simulation"
	"github.com/logpipe/logpipe/sink/format"
)

// simTopic is a partition of a topic. The value of a record is the topic's id and the offset, some with much behind it.
type simTopic struct {
	*world
	id         string
	start, end int64
	atOnce     int64
	skip       int64 // no record at its multiples, as after an aborted transaction; 0 is never
	away       bool
	gone       bool // it was made anew
}

func (t *simTopic) grow(n int64) {
	t.end += n
	t.Event("records", func() string { return fmt.Sprint("end ", t.end) })
}

// retain deletes the oldest records.
func (t *simTopic) retain() {
	t.start += t.Int64N(t.end - t.start + 1)
	t.Event("retention", func() string { return fmt.Sprint("start ", t.start) })
}

// recreate makes the topic anew, with as many records or fewer.
func (t *simTopic) recreate() {
	t.id, t.gone, t.start, t.end = "id-2", true, 0, t.Int64N(t.end+1)
	t.Event("topic re-created", func() string { return fmt.Sprint("end ", t.end) })
}

// simSource is the topic as one sink sees it.
type simSource struct {
	*simTopic
	process *simulation.Process
}

// ask makes one call.
func (s *simSource) ask() error {
	s.process.Wait()
	if s.away || s.Chance(s.rates.refused) {
		return errKafka
	}
	return nil
}

func (s *simSource) TopicID(context.Context) (string, error) {
	err := s.ask()
	return s.id, err
}

func (s *simSource) Bounds(context.Context) (start, end int64, err error) {
	err = s.ask()
	return s.start, s.end, err
}

func (s *simSource) Fetch(_ context.Context, offset int64) (batch, error) {
	if err := s.ask(); err != nil {
		return batch{}, err
	}
	if offset < s.start || offset > s.end {
		return batch{}, errOutOfRange
	}
	id, next := s.id, min(offset+s.atOnce, s.end)
	return batch{next: next, end: s.end, records: func(yield func(*format.Record) bool) {
		for n := offset; n < next; n++ {
			if s.skip > 0 && n%s.skip == 0 {
				continue
			}
			value := fmt.Sprintf("%s:%d", id, n)
			if n%29 == 28 {
				value += strings.Repeat(" ", 80<<10) // more than is written at once
			}
			rec := &format.Record{Topic: s.cfg.Topic, Offset: n, Time: time.Unix(1_700_000_000+n, 0),
				Key: strconv.AppendInt(nil, n%2, 10), Value: []byte(value)}
			if !yield(rec) {
				return
			}
		}
	}}, nil
}

func (s *simSource) Close() {}
