package journal

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/tail"
)

func TestRecordsSurviveEncoding(t *testing.T) {
	extreme := Span{
		File: math.MaxUint32, Clean: tail.Mark{Offset: math.MaxInt64, Hash: math.MaxUint64}, Count: math.MaxInt32,
		First: decode.Position{End: math.MinInt64, Index: math.MinInt32}, Last: decode.Position{End: math.MaxInt64},
		Flush: true, Carry: true,
	}
	producer := Producer{ID: math.MaxInt64, Epoch: math.MaxInt16, ClusterID: "c", TopicID: "t"}
	tests := map[string]Record{
		"Renew":              Renew{Producer: producer, Batches: []Batch{batch(1, 2, lines(3, 4, 5))}},
		"Renew with nothing": Renew{},
		"PutSettings":        PutSettings{ID: math.MaxUint32, JSON: []byte("{}")},
		"PutFile":            PutFile{Ref: 7, File: testFile("/a\xff")},
		"Seal":               Seal{Batches: []Batch{batch(math.MaxInt32, 5, extreme)}, Moves: []Move{moveTo(1, 2)}},
		"Move":               Move{File: 1, Mark: markAt(5), Sealed: decode.Position{End: 4, Index: 3}, Finished: true},
		"Ack":                Ack{Partition: 1, FirstSequence: math.MaxInt32, Count: 3, BaseOffset: -1},
		"Forget":             Forget{File: math.MaxUint32},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			r := &reader{data: want.append([]byte{want.kind()})}
			got := r.record()
			if r.err != nil || len(r.data) > 0 {
				t.Fatalf("error %v, %d bytes left", r.err, len(r.data))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	tooBig := binary.AppendUvarint(nil, math.MaxUint32+1)
	tooBigSigned := binary.AppendVarint(nil, math.MaxInt32+1)
	tests := map[string]struct {
		data    []byte
		wantErr string
	}{
		"an unknown kind":                     {data: []byte{99}, wantErr: "unknown kind of record 99"},
		"a snapshot among the records":        {data: []byte{kindSnapshot}, wantErr: "unknown kind of record 1"},
		"nothing behind the kind":             {data: []byte{kindAck}, wantErr: "ends too early"},
		"a reference of more than 32 bits":    {data: append([]byte{kindForget}, tooBig...), wantErr: "is above 4294967295"},
		"a partition of more than 32 bits":    {data: append([]byte{kindAck}, tooBigSigned...), wantErr: "more than 32 bits"},
		"an epoch of more than 16 bits":       {data: []byte{kindRenew, 2, 0x80, 0x80, 0x04, 0, 0, 0}, wantErr: "16 bits"},
		"a string longer than the record":     {data: []byte{kindSettings, 1, 5, '{', '}'}, wantErr: "ends too early"},
		"more batches than the record holds":  {data: []byte{kindSeal, 0xff, 0x7f}, wantErr: "ends too early"},
		"a truth value that is neither":       {data: append(Move{}.append([]byte{kindMove})[:13], 2), wantErr: "is above 1"},
		"a number that does not end":          {data: []byte{kindForget, 0x80, 0x80}, wantErr: "ends too early"},
		"a hash that is cut off":              {data: []byte{kindMove, 1, 0, 1, 2, 3}, wantErr: "ends too early"},
		"a batch that ends in its checksum":   {data: []byte{kindSeal, 1, 0, 0, 0, 0, 0, 0, 0}, wantErr: "ends too early"},
		"a batch with more spans than follow": {data: []byte{kindSeal, 1, 11: 9}, wantErr: "ends too early"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := newState().replayFrame(tc.data)
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error %v, want one with %q", err, tc.wantErr)
			}
		})
	}
}
