package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/conf"
)

// TestPendingOfADeletedFile builds a batch again that began in a file which was deleted. What lies in the others comes,
// of a record that began in the deleted one the rest.
func TestPendingOfADeletedFile(t *testing.T) {
	at := func(end int64, index int32) decode.Position { return decode.Position{End: end, Index: index} }
	const line, lines = criTime + "stdout F rest\n", criTime + "stdout F rest\n" + criTime + "stdout F two\n"
	const own, flushed = 1, 1 << 20 // what completed a record: its own line, or a flush
	tests := map[string]struct {
		decode decode.Config
		left   []string       // the files behind the deleted one
		spans  []journal.Span // of the deleted one, and of these
		want   []string
	}{
		"records ended by a line": {
			decode: decode.Config{Format: decode.FormatRaw, Multiline: &decode.Multiline{EndPattern: `end$`}},
			left:   []string{"rest end\ntwo end\n"},
			spans:  []journal.Span{{Last: at(8, own), Count: 1}, {First: at(9, own), Last: at(17, own), Count: 2}},
			want:   []string{"rest end", "two end"},
		},
		"records ended by the next": {
			decode: decode.Config{Format: decode.FormatRaw, Multiline: &decode.Multiline{StartPattern: `^#`}},
			left:   []string{" rest\n#two\n#three\n"},
			spans:  []journal.Span{{}, {First: at(11, 0), Last: at(18, 0), Count: 2}},
			want:   []string{" rest", "#two"},
		},
		"a record that had come to its end": {
			decode: decode.Config{Format: decode.FormatRaw, Multiline: &decode.Multiline{StartPattern: `^#`}},
			left:   []string{"#two\n#three\n"},
			spans:  []journal.Span{{}, {First: at(5, 0), Last: at(12, flushed), Count: 3, Flush: true}},
			want:   []string{"#two", "#three"},
		},
		"a record over three files": {
			decode: decode.Config{Format: decode.FormatRaw, Multiline: &decode.Multiline{EndPattern: `end$`}},
			left:   []string{"middle\n", "rest end\n"},
			spans:  []journal.Span{{}, {}, {First: at(9, own), Last: at(9, own), Count: 1}},
			want:   []string{"middle\nrest end"},
		},
		"parts of CRI": {
			decode: decode.Config{Format: decode.FormatCRI},
			left:   []string{lines},
			spans:  []journal.Span{{}, {First: at(int64(len(line)), own), Last: at(int64(len(lines)), own), Count: 2}},
			want:   []string{"rest", "two"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := tail.NewSet(tail.Config{Include: []string{filepath.Join(dir, "*.log")}}, nil)
			t.Cleanup(func() { _ = files.Close() })
			for i, text := range test.left {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".log")), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a := &Agent{files: files, streams: map[journal.FileRef]*stream{}}
			for i, found := range files.Scan().New {
				ref := journal.FileRef(i + 2)
				found.File.Ref = uint32(ref)
				a.streams[ref] = &stream{ref: ref, file: found.File}
				test.spans[i+1].Clean = found.File.MarkAt(0, nil)
			}
			batch := journal.Batch{Spans: test.spans}
			for i := range batch.Spans {
				batch.Spans[i].File, batch.Spans[i].Carry = journal.FileRef(i+1), i > 0
				batch.Count += batch.Spans[i].Count
			}

			test.decode.Oversize, test.decode.MaxRecordBytes = decode.OversizeSplit, 256
			if joined := test.decode.Multiline; joined != nil {
				joined.MaxLines, joined.Timeout = 10, conf.Duration(5*time.Second)
			}
			stored, err := json.Marshal(settings{Decode: test.decode})
			if err != nil {
				t.Fatal(err)
			}
			kept, open, err := a.rebuild(batch, stored)
			if err == nil || kept.Count != int32(len(test.want)) || kept.Spans[0].Carry {
				t.Fatalf("got %+v, error: %v", kept, err)
			}
			if diff := cmp.Diff(test.want, recordValues(open)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if again, _, err := a.rebuild(kept, stored); err != nil || again.Checksum != kept.Checksum {
				t.Errorf("what is left is not built again: %+v, error: %v", again, err)
			}
		})
	}
}

func recordValues(b *openBatch) (out []string) {
	for _, r := range b.records {
		out = append(out, string(r.Value))
	}
	return out
}
