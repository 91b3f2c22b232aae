package decode

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// least is the smallest MaxRecordBytes: over-long records come often with it.
const least = minMaxRecord

// checkDecoding decodes data in chunks that a seed chooses, and from the clean offset of a record on: both give the
// records that decoding in one piece gives.
func checkDecoding(t *testing.T, cfg Config, data string, seed uint64) []out {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 8))
	all, _ := run(t, cfg, data, 0, nil)
	var cuts []int64
	for at := int64(0); at < int64(len(data)); at += int64(1 + random.IntN(400)) {
		cuts = append(cuts, at)
	}
	chunked, _ := run(t, cfg, data, 0, cuts)
	if diff := cmp.Diff(bare(all), bare(chunked)); diff != "" {
		t.Fatalf("%+v (-one chunk +many):\n%s", cfg, diff)
	}
	if len(all) == 0 {
		return all
	}
	i := random.IntN(len(all))
	again, _ := run(t, cfg, data, all[i].Clean, nil)
	var got []out
	for _, record := range again {
		if i == 0 || record.Position.Compare(all[i-1].Position) > 0 {
			got = append(got, record)
		}
	}
	if diff := cmp.Diff(bare(all[i:]), bare(got)); diff != "" {
		t.Fatalf("%+v, from record %d at %d (-want +got):\n%s", cfg, i, all[i].Clean, diff)
	}
	return all
}

// bare leaves out what may depend on the chunks: Clean may lag behind by one, and a part of an over-long last line may
// come before the flush or with it.
func bare(records []out) []out {
	records = values(clones(records))
	for i := range records {
		records[i].Flushed = false
	}
	return records
}

// FuzzLines splits arbitrary bytes into lines: put together again they are what was there.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\n\nb \xff\x00\r\nc"), uint64(1))
	f.Add([]byte(strings.Repeat("x", 600)+"\ny\n"), uint64(2))
	f.Add([]byte(strings.Repeat("x", least)+"\n"+strings.Repeat("y", least+1)), uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		cfg := Config{Format: FormatRaw, MaxRecordBytes: least}
		var got strings.Builder
		for _, record := range checkDecoding(t, cfg, string(data), seed) {
			if len(record.Value) > least || strings.Contains(record.Value, "\n") {
				t.Errorf("record %q of %d bytes", record.Value, len(record.Value))
			}
			got.WriteString(record.Value)
		}
		if want := strings.ReplaceAll(string(data), "\n", ""); got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	})
}

// FuzzCRI decodes arbitrary bytes as CRI, and what a runtime makes of an arbitrary text in parts of any size.
func FuzzCRI(f *testing.F) {
	f.Add([]byte(cri+"stdout P ab\n"+cri+"stderr P 12\n"+cri+"stdout F c\n"), []byte("text"), uint64(1))
	f.Add([]byte("2026-11-23T03:38:23.Z stdout F x\n2026-11-23T03:38:23+01:00 stderr F:t y\n"), []byte(""), uint64(2))
	f.Add([]byte("plain\n"+cri+"stdin F x\n"+cri+"stdout P\n\x00\n"), []byte(strings.Repeat("long ", 100)), uint64(3))
	f.Fuzz(func(t *testing.T, data, text []byte, seed uint64) {
		for _, format := range []Format{FormatCRI, FormatAuto} {
			for _, policy := range []OversizePolicy{OversizeSplit, OversizeTruncate, OversizeDrop} {
				checkDecoding(t, Config{Format: format, MaxRecordBytes: least, Oversize: policy}, string(data), seed)
			}
		}
		text = bytes.ReplaceAll(text, []byte("\n"), nil)
		random := rand.New(rand.NewPCG(seed, 9))
		var framed strings.Builder
		rest := string(text)
		for len(rest) > 0 && random.IntN(4) > 0 {
			n := random.IntN(len(rest) + 1)
			framed.WriteString(cri + "stdout P " + rest[:n] + "\n")
			rest = rest[n:]
		}
		framed.WriteString(cri + "stdout F " + rest + "\n")
		got, _ := run(t, Config{Format: FormatCRI}, framed.String(), 0, nil)
		if len(got) != 1 || got[0].Value != string(text) || got[0].Stream != Stdout || got[0].Raw {
			t.Errorf("%q was read as %+v, want %q", framed.String(), got, text)
		}
	})
}

// FuzzDocker decodes arbitrary bytes as Docker's JSON. The short way must give what the long one gives, and a text that
// Docker wrote must come back.
func FuzzDocker(f *testing.F) {
	line := `{"log":"a \"b\" \u003c\n","stream":"stdout","time":"2026-11-23T03:38:23.1Z"}`
	f.Add([]byte(line+"\n"), "text", uint64(1))
	f.Add([]byte(`{"log":"a\n","stream":"stderr","time":"2026-11-23T03:38:23.123456789Z"}`), "\x00\u2028<>&", uint64(2))
	f.Add([]byte(`{"log":"a","stream":"stdout","time":"2026-11-23T03:38:23+01:00"}`+"\n"+`{"log":1}`), "\r\n", uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, text string, seed uint64) {
		for _, format := range []Format{FormatDocker, FormatAuto} {
			checkDecoding(t, Config{Format: format, MaxRecordBytes: least}, string(data), seed)
		}
		for one := range bytes.SplitSeq(data, []byte("\n")) {
			compareDocker(t, one)
		}
		text = strings.ReplaceAll(text, "\n", "")
		if !utf8.ValidString(text) {
			return
		}
		fields := map[string]string{"log": text + "\n", "stream": "stderr", "time": "2026-11-23T03:38:23Z"}
		written, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := run(t, Config{Format: FormatDocker}, string(written)+"\n", 0, nil)
		if len(got) != 1 || got[0].Value != text || got[0].Stream != Stderr || got[0].Raw {
			t.Errorf("%s was read as %+v, want %q", written, got, text)
		}
	})
}

// compareDocker compares the short way, where it takes the line, with encoding/json.
func compareDocker(t *testing.T, line []byte) {
	t.Helper()
	d := &Decoder{}
	text, ok := d.dockerPlain(line)
	if !ok {
		return
	}
	var want struct {
		Log, Stream string
		Time        time.Time
	}
	if err := json.Unmarshal(line, &want); err != nil {
		t.Fatalf("%s is taken but no JSON: %v", line, err)
	}
	log := string(text)
	if !d.framing.partial {
		log += "\n"
	}
	if log != want.Log || dockerStream(want.Stream) != d.framing.stream || !want.Time.Equal(d.framing.time) {
		t.Errorf("%s is read as %q, %v, %v", line, log, d.framing.stream, d.framing.time)
	}
}

// FuzzMultiline joins arbitrary lines by each kind of pattern. Without a bound nothing but newlines may get lost.
func FuzzMultiline(f *testing.F) {
	for seed := range uint64(8) {
		_, data := random(seed)
		f.Add([]byte(data), uint8(seed), uint8(seed/3), seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, kind, lines uint8, seed uint64) {
		if len(data) > 1<<16 {
			return
		}
		patterns := []Multiline{{StartPattern: "^[a-c#]"}, {ContinuePattern: `^[\sa-c]`}, {EndPattern: "[a-c;]$"}}
		m := patterns[kind%3]
		m.MaxLines = 1 + int(lines)
		for _, format := range []Format{FormatRaw, FormatAuto} {
			for _, policy := range []OversizePolicy{OversizeSplit, OversizeTruncate, OversizeDrop} {
				cfg := Config{Format: format, MaxRecordBytes: least, Oversize: policy, Multiline: &m}
				checkDecoding(t, cfg, string(data), seed)
			}
		}
		var got strings.Builder
		whole, _ := run(t, Config{Format: FormatRaw, MaxRecordBytes: 1 << 17, Multiline: &m}, string(data), 0, nil)
		for _, record := range whole {
			if n := strings.Count(record.Value, "\n") + 1; n > m.MaxLines {
				t.Errorf("a record has %d lines, more than %d", n, m.MaxLines)
			}
			got.WriteString(strings.ReplaceAll(record.Value, "\n", ""))
		}
		if want := strings.ReplaceAll(string(data), "\n", ""); got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	})
}
