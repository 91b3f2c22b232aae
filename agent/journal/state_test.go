package journal

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

// applyAll applies records to a state that start made.
func applyAll(t *testing.T, records ...Record) *State {
	t.Helper()
	s := newState()
	for _, r := range append(start(), records...) {
		if err := r.apply(s); err != nil {
			t.Fatalf("apply %T: %v", r, err)
		}
	}
	return s
}

func TestApplyRefuses(t *testing.T) {
	fiveSeals := []Record{
		seal(0, 0, 1, 1, 1), seal(0, 1, 1, 2, 1), seal(0, 2, 1, 3, 1), seal(0, 3, 1, 4, 1), seal(0, 4, 1, 5, 1),
	}
	withSpan := func(change func(b *Batch)) Seal {
		s := seal(0, 0, 1, 1, 4)
		change(&s.Batches[0])
		return s
	}
	otherProducer := Producer{ID: 4001, ClusterID: producerA.ClusterID, TopicID: producerA.TopicID}
	tests := map[string]struct {
		given   []Record
		record  Record
		wantErr string
	}{
		"a seal that leaves a gap in the sequences": {
			record:  seal(0, 1, 1, 1, 4),
			wantErr: "batch starts at sequence 1 instead of 0",
		},
		"a second batch of one seal that does not follow the first": {
			record: Seal{
				Batches: []Batch{batch(0, 0, lines(1, 1, 4)), batch(0, 0, lines(2, 1, 4))},
				Moves:   []Move{moveTo(1, 4), moveTo(2, 4)},
			},
			wantErr: "batch starts at sequence 0 instead of 4",
		},
		"a sixth pending batch on one partition": {
			given:   fiveSeals,
			record:  seal(0, 5, 1, 6, 1),
			wantErr: "5 batches are pending already",
		},
		"spans that do not add up to the batch": {
			record:  withSpan(func(b *Batch) { b.Count = 3 }),
			wantErr: "spans hold 4 of 3 records",
		},
		"a batch of nothing": {
			record:  withSpan(func(b *Batch) { b.Count, b.Spans = 0, nil }),
			wantErr: "batch of 0 records",
		},
		"a span that ends before it begins": {
			record:  withSpan(func(b *Batch) { b.Spans[0].Last.End = 50 }),
			wantErr: "span 0 of file 1 is invalid",
		},
		"a first span that carries on": {
			record:  withSpan(func(b *Batch) { b.Spans[0].Carry = true }),
			wantErr: "nothing to carry on from",
		},
		"a span of an unknown file": {
			record:  withSpan(func(b *Batch) { b.Spans[0].File = 9 }),
			wantErr: "file 9 is unknown",
		},
		"unknown settings": {
			record:  withSpan(func(b *Batch) { b.Settings = 2 }),
			wantErr: "settings 2 are unknown",
		},
		"records that were sealed before": {
			given:   []Record{seal(0, 0, 1, 1, 4)},
			record:  seal(1, 0, 1, 4, 2),
			wantErr: "is not between the positions",
		},
		"a seal that does not move its file": {
			record:  Seal{Batches: []Batch{batch(0, 0, lines(1, 1, 4))}},
			wantErr: "is not between the positions",
		},
		"a seal of an unknown file's position": {
			record:  Seal{Batches: []Batch{batch(0, 0, lines(1, 1, 4))}, Moves: []Move{moveTo(1, 4), moveTo(7, 1)}},
			wantErr: "file 7: unknown",
		},
		"a position that moves back": {
			given:   []Record{moveTo(1, 4)},
			record:  moveTo(1, 3),
			wantErr: "file 1: moved back",
		},
		"an acknowledgement out of order": {
			given:   fiveSeals,
			record:  Ack{Partition: 0, FirstSequence: 1, Count: 1},
			wantErr: "acknowledged sequence 1 (1 records) instead of 0 (1 records)",
		},
		"an acknowledgement of another count": {
			given:   fiveSeals,
			record:  Ack{Partition: 0, Count: 2},
			wantErr: "acknowledged sequence 0 (2 records) instead of 0 (1 records)",
		},
		"an acknowledgement of nothing": {
			given:   fiveSeals,
			record:  Ack{Partition: 1, Count: 1},
			wantErr: "nothing is pending",
		},
		"an acknowledgement at an impossible offset": {
			given:   fiveSeals,
			record:  Ack{Partition: 0, Count: 1, BaseOffset: math.MaxInt64},
			wantErr: "acknowledged at offset",
		},
		"to forget a file that is pending": {
			given:   fiveSeals,
			record:  Forget{File: 1},
			wantErr: "file 1: still pending on partition 0",
		},
		"to forget a file twice": {
			given:   []Record{Forget{File: 2}},
			record:  Forget{File: 2},
			wantErr: "file 2: unknown",
		},
		"a reference for a second file": {
			given:   []Record{Forget{File: 1}},
			record:  PutFile{Ref: 1, File: testFile("/c")},
			wantErr: "the reference was used before",
		},
		"the id of older settings": {
			record:  PutSettings{ID: 1, JSON: []byte(`{}`)},
			wantErr: "settings 1: not above 1",
		},
		"the same producer again": {
			record:  Renew{Producer: producerA},
			wantErr: "its sequences were used already",
		},
		"a renewed batch that was not pending": {
			given:   []Record{seal(0, 0, 1, 1, 4)},
			record:  Renew{Producer: otherProducer, Batches: []Batch{batch(0, 0, lines(1, 5, 4))}},
			wantErr: "a renewed batch was not pending",
		},
		"renewed batches in another order": {
			given:   []Record{seal(0, 0, 1, 1, 4), seal(0, 4, 1, 5, 4)},
			record:  Renew{Producer: otherProducer, Batches: []Batch{batch(0, 0, lines(1, 5, 4)), batch(0, 4, lines(1, 1, 4))}},
			wantErr: "a renewed batch was not pending",
		},
		"a renewed batch with its spans in another order": {
			given: []Record{Seal{
				Batches: []Batch{batch(0, 0, lines(1, 1, 4), lines(2, 1, 4))}, Moves: []Move{moveTo(1, 4), moveTo(2, 4)},
			}},
			record:  Renew{Producer: otherProducer, Batches: []Batch{batch(0, 0, lines(2, 1, 4), lines(1, 1, 4))}},
			wantErr: "a renewed batch was not pending",
		},
		"renewed batches with their old sequences": {
			given: []Record{seal(0, 0, 1, 1, 4), Ack{Count: 4}, seal(0, 4, 1, 5, 4)},
			record: Renew{Producer: otherProducer, Batches: []Batch{
				batch(0, 4, lines(1, 5, 4)),
			}},
			wantErr: "batch starts at sequence 4 instead of 0",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := applyAll(t, tc.given...)
			before := string(appendSnapshot(nil, s))
			err := tc.record.apply(s)
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error %v, want one with %q", err, tc.wantErr)
			}
			if string(appendSnapshot(nil, s)) != before {
				t.Error("the refused record changed the state")
			}
		})
	}
}

func TestRenewNumbersPendingBatchesAnew(t *testing.T) {
	s := applyAll(t,
		seal(0, 0, 1, 1, 4), Ack{Count: 4, BaseOffset: 100},
		seal(0, 4, 1, 5, 4),
		Seal{Batches: []Batch{batch(0, 8, lines(1, 9, 4), lines(2, 1, 3))}, Moves: []Move{moveTo(1, 12), moveTo(2, 3)}},
		seal(1, 0, 2, 4, 2))
	kept := append([]Batch{}, s.Pending[1:]...)
	kept[0].Count, kept[0].Spans = 3, kept[0].Spans[1:]
	next := Producer{ID: 5000, ClusterID: producerA.ClusterID, TopicID: producerA.TopicID}
	if err := (Renew{Producer: next, Batches: Renumber(kept)}).apply(s); err != nil {
		t.Fatal(err)
	}
	kept[0].FirstSequence, kept[1].FirstSequence = 0, 0
	if diff := cmp.Diff(kept, s.Pending); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	want := map[int32]Partition{0: {NextSequence: 3, AckedOffset: 103}, 1: {NextSequence: 2, AckedOffset: -1}}
	if diff := cmp.Diff(want, s.Partitions); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
}

func TestRenewForgetsOffsetsOfAnotherTopic(t *testing.T) {
	s := applyAll(t, seal(0, 0, 1, 1, 4), Ack{Count: 4, BaseOffset: 100})
	next := Producer{ID: 5000, ClusterID: producerA.ClusterID, TopicID: "created again"}
	if err := (Renew{Producer: next}).apply(s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Partition{AckedOffset: -1}, s.Partition(0)); diff != "" {
		t.Errorf("partition (-want +got):\n%s", diff)
	}
}

func TestSettingsLiveAsLongAsTheyAreNamed(t *testing.T) {
	s := applyAll(t, seal(0, 0, 1, 1, 4), PutSettings{ID: 2}, PutSettings{ID: 3})
	if _, ok := s.Settings[1]; !ok || len(s.Settings) != 2 {
		t.Errorf("settings %v while a batch names 1, want 1 and 3", s.Settings)
	}
	if err := (Ack{Count: 4}).apply(s); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Settings[3]; !ok || len(s.Settings) != 1 {
		t.Errorf("settings %v with nothing pending, want 3", s.Settings)
	}
}

func TestPutFileKeepsPositions(t *testing.T) {
	s := applyAll(t, seal(0, 0, 1, 1, 4), Ack{Count: 4}, seal(0, 4, 1, 5, 4),
		PutFile{Ref: 1, File: testFile("/var/log/a.log.1")})
	want := testFile("/var/log/a.log.1")
	want.State.Mark, want.State.Trail = markAt(800), tail.Trail{markAt(400)}
	want.Sealed = decode.Position{End: 800}
	if diff := cmp.Diff(want, s.Files[1]); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

// TestFinishedFileKeepsItsTrail finishes a file: a power cut may still undo that it was renamed.
func TestFinishedFileKeepsItsTrail(t *testing.T) {
	s := applyAll(t, seal(0, 0, 1, 1, 4), Ack{Count: 4},
		Move{File: 1, Mark: markAt(500), Sealed: decode.Position{End: 500}, Finished: true})
	if diff := cmp.Diff(tail.Trail{markAt(400)}, s.Files[1].State.Trail); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestSequencesWrap(t *testing.T) {
	tests := map[string]struct {
		sequence, n, want int32
	}{
		"in the middle":       {sequence: 5, n: 10, want: 15},
		"to the last":         {sequence: math.MaxInt32 - 1, n: 1, want: math.MaxInt32},
		"from the last":       {sequence: math.MaxInt32, n: 1, want: 0},
		"across the end":      {sequence: math.MaxInt32 - 2, n: 10, want: 7},
		"as far as one can":   {sequence: math.MaxInt32, n: math.MaxInt32, want: math.MaxInt32 - 1},
		"by nothing":          {sequence: math.MaxInt32, n: 0, want: math.MaxInt32},
		"to exactly the wrap": {sequence: 1, n: math.MaxInt32, want: 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := AddSequence(tc.sequence, tc.n); got != tc.want {
				t.Errorf("AddSequence(%d, %d) = %d, want %d", tc.sequence, tc.n, got, tc.want)
			}
		})
	}
}

func TestBatchesAcrossTheWrap(t *testing.T) {
	big := lines(1, 1, math.MaxInt32-1)
	s := applyAll(t,
		Seal{Batches: []Batch{batch(0, 0, big)}, Moves: []Move{moveTo(1, math.MaxInt32-1)}},
		seal(0, math.MaxInt32-1, 1, math.MaxInt32, 5),
		seal(0, 3, 1, math.MaxInt32+5, 1))
	if got := s.Partition(0).NextSequence; got != 4 {
		t.Errorf("next sequence %d, want 4", got)
	}
}
