package format

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 123_000_000, time.UTC)

func TestWriterEncodes(t *testing.T) {
	record := Record{Topic: "t", Partition: 3, Offset: 42, Time: noon, Key: []byte("k"), Value: []byte("a line")}
	tests := map[string]struct {
		format Encoding
		change func(r *Record)
		want   string
	}{
		"text is the value and a newline":   {Text, func(*Record) {}, "a line\n"},
		"text of a tombstone is empty line": {Text, func(r *Record) { r.Value = nil }, "\n"},
		"text does not alter bytes": {
			Text, func(r *Record) { r.Value = []byte("\x00\xff\r\n\x1b[0m") }, "\x00\xff\r\n\x1b[0m\n",
		},
		"json has all fields in order": {
			JSONLines, func(r *Record) { r.Headers = []Header{{[]byte("h"), []byte("1")}, {[]byte("h"), nil}} },
			`{"topic":"t","partition":3,"offset":42,"timestamp":"2026-01-31T12:00:00.123Z","key":"k",` +
				`"headers":[{"key":"h","value":"1"},{"key":"h","value":null}],"value":"a line"}` + "\n",
		},
		"json leaves out what is not there": {
			JSONLines, func(r *Record) { r.Key, r.Value = nil, nil },
			`{"topic":"t","partition":3,"offset":42,"timestamp":"2026-01-31T12:00:00.123Z","value":null}` + "\n",
		},
		"json tells an empty key from none": {
			JSONLines, func(r *Record) { r.Key, r.Value = []byte{}, []byte{} },
			`{"topic":"t","partition":3,"offset":42,"timestamp":"2026-01-31T12:00:00.123Z","key":"","value":""}` + "\n",
		},
		"json escapes": {
			JSONLines, func(r *Record) { r.Value = []byte("\"\\\n\r\t\x00\x1f\x7f<é\u2028") },
			`{"topic":"t","partition":3,"offset":42,"timestamp":"2026-01-31T12:00:00.123Z","key":"k",` +
				`"value":"\"\\\n\r\t\u0000\u001f` + "\x7f<é\u2028" + `"}` + "\n",
		},
		"json keeps bytes that are not text in base64": {
			JSONLines, func(r *Record) {
				r.Key, r.Value, r.Headers = []byte{0xff}, []byte("\xc3("), []Header{{[]byte("h"), []byte{0x80}}}
			},
			`{"topic":"t","partition":3,"offset":42,"timestamp":"2026-01-31T12:00:00.123Z","keyBase64":"/w==",` +
				`"headers":[{"key":"h","valueBase64":"gA=="}],"valueBase64":"wyg="}` + "\n",
		},
		"json has no form for a far time": {
			JSONLines, func(r *Record) { r.Time = time.Unix(1<<40, 0) },
			`{"topic":"t","partition":3,"offset":42,"timestamp":null,"key":"k","value":"a line"}` + "\n",
		},
		"json writes times in UTC": {
			JSONLines, func(r *Record) { r.Time = time.UnixMilli(-1).In(time.FixedZone("", 3600)) },
			`{"topic":"t","partition":3,"offset":42,"timestamp":"1969-12-31T23:59:59.999Z","key":"k","value":"a line"}` + "\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rec := record
			test.change(&rec)
			if diff := cmp.Diff(test.want, string(encode(t, Config{Format: test.format}, rec))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// encode returns the file that holds the records.
func encode(t testing.TB, cfg Config, records ...Record) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(cfg, &file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := w.Write(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Written() != int64(file.Len()) || w.CRC32C() != crc32.Checksum(file.Bytes(), castagnoli) {
		t.Errorf("got %d bytes with sum %x, want %d with %x",
			w.Written(), w.CRC32C(), file.Len(), crc32.Checksum(file.Bytes(), castagnoli))
	}
	return file.Bytes()
}

func unpack(t testing.TB, compression Compression, file []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(file)
	var err error
	switch compression {
	case Gzip:
		r, err = gzip.NewReader(r)
	case Zstd:
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWriterCompresses(t *testing.T) {
	tests := map[string]Config{
		"text":            {},
		"json":            {Format: JSONLines},
		"gzip":            {Compression: Gzip},
		"gzip, small":     {Compression: Gzip, Level: 9},
		"zstd":            {Compression: Zstd},
		"zstd, small":     {Compression: Zstd, Level: 4},
		"json and zstd":   {Format: JSONLines, Compression: Zstd, Level: 2},
		"json and gzip 6": {Format: JSONLines, Compression: Gzip, Level: 6},
	}
	records := sampleRecords()
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			plain := encode(t, Config{Format: cfg.Format}, records...)
			for range 3 { // from the second on with buffers of the one before
				if got := unpack(t, cfg.Compression, encode(t, cfg, records...)); !bytes.Equal(got, plain) {
					t.Fatalf("got %d other bytes, want %d", len(got), len(plain))
				}
				if got := unpack(t, cfg.Compression, encode(t, cfg)); len(got) > 0 {
					t.Fatalf("a file without records holds %q", got)
				}
			}
		})
	}
}

// sampleRecords are of all sizes around those of the buffers.
func sampleRecords() []Record {
	var records []Record
	for i, size := range []int{0, 1, 200, 4000, chunkSize - 2, chunkSize - 1, chunkSize, 7, chunkSize + 1, 1 << 20, 3} {
		value := bytes.Repeat([]byte{'a' + byte(i)}, size)
		records = append(records, Record{Topic: "t", Offset: int64(i), Time: noon.Add(time.Duration(i)), Value: value})
	}
	for i := range 5000 {
		value := []byte(strings.Repeat("word ", i%50))
		records = append(records, Record{Topic: "t", Offset: int64(i), Time: noon, Value: value})
	}
	return records
}

func TestWriterCountsRecordsAndTimes(t *testing.T) {
	w, err := NewWriter(Config{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, offset := range []time.Duration{5, 3, 9, 4} {
		if err := w.Write(&Record{Time: noon.Add(offset * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if w.Records() != 4 || !w.MinTime().Equal(noon.Add(3*time.Hour)) || !w.MaxTime().Equal(noon.Add(9*time.Hour)) {
		t.Errorf("got %d records from %v to %v", w.Records(), w.MinTime(), w.MaxTime())
	}
}

// failing takes some bytes and then no more.
type failing struct{ left int }

var errDisk = errors.New("disk on fire")

func (f *failing) Write(p []byte) (int, error) {
	if f.left < len(p) {
		return f.left, errDisk
	}
	f.left -= len(p)
	return len(p), nil
}

func TestWriterFails(t *testing.T) {
	for name, cfg := range map[string]Config{"plain": {}, "gzip": {Compression: Gzip}, "zstd": {Compression: Zstd}} {
		t.Run(name, func(t *testing.T) {
			w, err := NewWriter(cfg, &failing{left: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(&Record{Value: []byte("some")}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := w.Close(); !errors.Is(err, errDisk) {
					t.Errorf("got close error %v, want %v", err, errDisk)
				}
			}
			if err := w.Write(&Record{}); !errors.Is(err, errDisk) {
				t.Errorf("got write error %v, want %v", err, errDisk)
			}
			// The buffers are as good as new for the next file.
			if got := unpack(t, cfg.Compression, encode(t, cfg, Record{Value: []byte("x")})); string(got) != "x\n" {
				t.Errorf("the next file holds %q", got)
			}
		})
	}
}

func TestWriterDiscard(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(Config{Compression: Gzip}, &file)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&Record{Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	w.Discard()
	w.Discard()
	if err := w.Write(&Record{}); err == nil {
		t.Error("wrote after Discard")
	}
	if err := w.Close(); err == nil || file.Len() > 0 {
		t.Errorf("closed after Discard with error %v and %d bytes", err, file.Len())
	}
}

func TestConfig(t *testing.T) {
	tests := map[string]struct {
		cfg           Config
		wantError     string
		wantExtension string
	}{
		"the defaults":         {Config{}, "", ".log"},
		"json, gzip":           {Config{Format: JSONLines, Compression: Gzip}, "", ".jsonl.gz"},
		"zstd":                 {Config{Compression: Zstd, Level: 4}, "", ".log.zst"},
		"an unknown format":    {Config{Format: "Csv"}, `format: invalid value "Csv": use Text or JSONLines`, ""},
		"unknown compression":  {Config{Compression: "Lzo"}, `compression: invalid value "Lzo": use None, Gzip or Zstd`, ""},
		"a level out of range": {Config{Compression: Zstd, Level: 5}, "level: invalid value 5: use 1 to 4 for Zstd", ""},
		"a level without compression": {
			Config{Level: 3}, "level: invalid value 3: leave it out, or set compression to Gzip or Zstd", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.cfg.Default()
			var got string
			if err := test.cfg.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.wantError, got); diff != "" {
				t.Error(diff)
			}
			if got := Extension(test.cfg); test.wantError == "" && got != test.wantExtension {
				t.Errorf("got extension %q, want %q", got, test.wantExtension)
			}
		})
	}
}

// FuzzJSON shows that whatever bytes a record has come back from its line.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), []byte("header"), int64(1_769_860_800_123))
	f.Add([]byte{0xff}, []byte("\x00\"\\\u2028\n"), []byte("\xed\xa0\x80"), int64(-1))
	f.Fuzz(func(t *testing.T, key, value, header []byte, millis int64) {
		rec := Record{
			Topic: "t", Offset: 7, Time: time.UnixMilli(millis), Key: key, Value: value,
			Headers: []Header{{Key: header, Value: value}},
		}
		line := encode(t, Config{Format: JSONLines}, rec)
		if bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("not one line: %q", line)
		}
		type text struct {
			Key         *string `json:"key"`
			KeyBase64   []byte  `json:"keyBase64"`
			Value       *string `json:"value"`
			ValueBase64 []byte  `json:"valueBase64"`
		}
		var got struct {
			text
			Timestamp *time.Time `json:"timestamp"`
			Headers   []text     `json:"headers"`
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		back := func(s *string, b []byte) []byte {
			if s != nil {
				return []byte(*s)
			}
			return b
		}
		if !bytes.Equal(key, back(got.Key, got.KeyBase64)) || !bytes.Equal(value, back(got.Value, got.ValueBase64)) ||
			!bytes.Equal(header, back(got.Headers[0].Key, got.Headers[0].KeyBase64)) {
			t.Fatalf("got %s of key %q, header %q and value %q", line, key, header, value)
		}
		if got.Timestamp != nil && !got.Timestamp.Equal(rec.Time) {
			t.Fatalf("got time %v, want %v", got.Timestamp, rec.Time)
		}
	})
}
