package kafka

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
)

// stretch is a batch of n records from an offset on.
func stretch(first int64, n int, change func(*sarama.RecordBatch)) *sarama.Records {
	batch := &sarama.RecordBatch{
		FirstOffset: first, LastOffsetDelta: int32(n) - 1, FirstTimestamp: time.UnixMilli(1000),
		MaxTimestamp: time.UnixMilli(5000),
	}
	for i := range n {
		batch.Records = append(batch.Records, &sarama.Record{
			OffsetDelta: int64(i), TimestampDelta: time.Duration(i) * time.Millisecond,
		})
	}
	if change != nil {
		change(batch)
	}
	return &sarama.Records{RecordBatch: batch}
}

func transactional(producer int64) func(*sarama.RecordBatch) {
	return func(b *sarama.RecordBatch) { b.ProducerID, b.IsTransactional = producer, true }
}

func marker(producer int64) func(*sarama.RecordBatch) {
	return func(b *sarama.RecordBatch) { b.ProducerID, b.IsTransactional, b.Control = producer, true, true }
}

func idempotent(producer int64) func(*sarama.RecordBatch) {
	return func(b *sarama.RecordBatch) { b.ProducerID = producer }
}

func TestDecodeBlock(t *testing.T) {
	partial := func(b *sarama.RecordBatch) { b.PartialTrailingRecord = true }
	aborted := func(producer, first int64) *sarama.AbortedTransaction {
		return &sarama.AbortedTransaction{ProducerID: producer, FirstOffset: first}
	}
	tests := map[string]struct {
		offset      int64
		sets        []*sarama.Records
		aborted     []*sarama.AbortedTransaction
		wantOffsets []int64
		wantNext    int64
	}{
		"nothing leaves the offset as it is": {offset: 7, wantNext: 7},
		"records follow each other over batches": {
			sets: []*sarama.Records{stretch(0, 2, nil), stretch(2, 1, nil)}, wantOffsets: []int64{0, 1, 2}, wantNext: 3,
		},
		"records before the asked offset are left out": {
			offset: 12, sets: []*sarama.Records{stretch(10, 4, nil)}, wantOffsets: []int64{12, 13}, wantNext: 14,
		},
		"a batch that ends before the asked offset does not lead back": {
			offset: 12, sets: []*sarama.Records{stretch(10, 2, nil)}, wantNext: 12,
		},
		"records that compaction took leave a gap": {
			sets: []*sarama.Records{stretch(0, 4, func(b *sarama.RecordBatch) {
				b.Records = []*sarama.Record{b.Records[1]}
			})},
			wantOffsets: []int64{1}, wantNext: 4,
		},
		"a batch that was cut off is asked for again": {
			sets: []*sarama.Records{stretch(0, 2, nil), stretch(2, 2, partial)}, wantOffsets: []int64{0, 1}, wantNext: 2,
		},
		"a marker is passed over": {
			sets:        []*sarama.Records{stretch(0, 1, transactional(1)), stretch(1, 1, marker(1)), stretch(2, 1, nil)},
			wantOffsets: []int64{0, 2}, wantNext: 3,
		},
		"an aborted transaction is left out up to its marker": {
			sets: []*sarama.Records{
				stretch(0, 2, transactional(1)), stretch(2, 2, transactional(1)), stretch(4, 1, marker(1)),
				stretch(5, 1, transactional(1)),
			},
			aborted: []*sarama.AbortedTransaction{aborted(1, 2)}, wantOffsets: []int64{0, 1, 5}, wantNext: 6,
		},
		"an aborted transaction that began before the answer is left out": {
			offset: 12, sets: []*sarama.Records{stretch(10, 4, transactional(1)), stretch(14, 1, marker(1))},
			aborted: []*sarama.AbortedTransaction{aborted(1, 3)}, wantNext: 15,
		},
		"only the producer that aborted is left out": {
			sets: []*sarama.Records{
				stretch(0, 1, transactional(1)), stretch(1, 1, transactional(2)), stretch(2, 1, idempotent(1)),
				stretch(3, 1, marker(2)), stretch(4, 1, transactional(1)), stretch(5, 1, marker(1)),
			},
			aborted: []*sarama.AbortedTransaction{aborted(1, 0)}, wantOffsets: []int64{1, 2}, wantNext: 6,
		},
		"a producer may abort twice in an answer": {
			sets: []*sarama.Records{
				stretch(0, 1, transactional(1)), stretch(1, 1, marker(1)), stretch(2, 1, transactional(1)),
				stretch(3, 1, marker(1)), stretch(4, 1, transactional(1)), stretch(5, 1, marker(1)),
			},
			aborted: []*sarama.AbortedTransaction{aborted(1, 0), aborted(1, 4)}, wantOffsets: []int64{2}, wantNext: 6,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := decodeBlock(&sarama.FetchResponseBlock{
				RecordsSet: test.sets, AbortedTransactions: test.aborted, LogStartOffset: 1, LastStableOffset: 99,
			}, test.offset)
			if err != nil {
				t.Fatal(err)
			}
			var offsets []int64
			for _, r := range got.Records {
				offsets = append(offsets, r.Offset)
			}
			if diff := cmp.Diff(test.wantOffsets, offsets); diff != "" {
				t.Errorf("offsets (-want +got):\n%s", diff)
			}
			if got.Next != test.wantNext || got.Start != 1 || got.Stable != 99 {
				t.Errorf("next %d, want %d; start %d, stable %d", got.Next, test.wantNext, got.Start, got.Stable)
			}
		})
	}
}

func TestTimeOfRecords(t *testing.T) {
	tests := map[string]struct {
		change func(*sarama.RecordBatch)
		want   time.Time
	}{
		"the producer gives each record its time": {want: time.UnixMilli(1001)},
		"the broker gives all of a batch the time of the append": {
			change: func(b *sarama.RecordBatch) { b.LogAppendTime = true }, want: time.UnixMilli(5000),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := decodeBlock(&sarama.FetchResponseBlock{
				RecordsSet: []*sarama.Records{stretch(0, 2, test.change)},
			}, 1)
			if err != nil || len(got.Records) != 1 || !got.Records[0].Time.Equal(test.want) {
				t.Errorf("got %+v, %v; want one record of %v", got, err, test.want)
			}
		})
	}
}

func TestOldRecordFormatIsAnError(t *testing.T) {
	block := &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{{MsgSet: &sarama.MessageSet{}}}}
	if got, err := decodeBlock(block, 0); err == nil {
		t.Errorf("no error but %+v", got)
	}
}

func TestAddSequence(t *testing.T) {
	tests := map[string]struct{ sequence, n, want int32 }{
		"sequences count up":       {sequence: 5, n: 7, want: 12},
		"the highest is used":      {sequence: 1<<31 - 2, n: 1, want: 1<<31 - 1},
		"0 follows the highest":    {sequence: 1<<31 - 1, n: 1, want: 0},
		"a batch may span the end": {sequence: 1<<31 - 3, n: 9, want: 6},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := addSequence(test.sequence, test.n); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	tests := map[string]struct {
		lane *lane
		want int
	}{
		"a connection without an acknowledgement takes one batch": {lane: &lane{proven: noProducer}, want: 1},
		"a proven one takes five":                                 {lane: &lane{proven: 7}, want: MaxInFlight},
		"it is proven for that producer only":                     {lane: &lane{proven: 8}, want: 1},
		"after a failure all in flight are awaited":               {lane: &lane{proven: 7, failed: true}, want: 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.lane.unsent = []*Batch{{ProducerID: 7}}
			if got := test.lane.window(); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
