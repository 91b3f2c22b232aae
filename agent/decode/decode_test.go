package decode

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/conf"
)

const cri = "2026-11-23T03:38:23.183036048Z "

// out is what a test looks at of a record.
type out struct {
	Value    string
	Stream   Stream
	Raw      bool
	Flushed  bool
	Position Position
	Clean    int64
}

// run decodes data from offset from, in chunks that end at the given cuts, and flushes at the end.
func run(t testing.TB, cfg Config, data string, from int64, cuts []int64) ([]out, Stats) {
	t.Helper()
	cfg.Default()
	plan, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var stats Stats
	d := New(plan, from, &stats)
	var got []out
	collect := func() {
		var rec Record
		for d.Next(&rec) {
			got = append(got, out{string(rec.Value), rec.Stream, rec.Raw, rec.Flushed, rec.Position, rec.Clean})
		}
	}
	at := from
	for _, cut := range append(cuts, int64(len(data))) {
		if cut <= at {
			continue
		}
		d.Feed([]byte(data[at:cut]), at)
		collect()
		if d.Consumed() == 0 && cut-at > int64(cfg.MaxRecordBytes) {
			d.FeedFull()
			collect()
		}
		at += int64(d.Consumed())
	}
	d.Flush([]byte(data[at:]))
	collect()
	if d.Clean() != int64(len(data)) {
		t.Errorf("clean offset after flush is %d, want %d", d.Clean(), len(data))
	}
	return got, stats
}

func TestDecode(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		data string
		want []string
	}{
		"plain lines are taken as they are": {
			data: "a\n\nb \xff\x00\r\nc\n",
			want: []string{"a", "", "b \xff\x00\r", "c"},
		},
		"an unterminated tail comes with the flush": {
			data: "a\nbc",
			want: []string{"a", "bc"},
		},
		"CRI lines lose their framing": {
			data: cri + "stdout F hello\n" + cri + "stderr F \n" + cri + "stdout F:x y\n",
			want: []string{"hello", "", "y"},
		},
		"CRI parts are joined per stream": {
			data: cri + "stdout P ab\n" + cri + "stderr P 12\n" + cri + "stdout F c\n" + cri + "stderr F 3\n",
			want: []string{"abc", "123"},
		},
		"a CRI part without its end comes with the flush": {
			data: cri + "stdout P ab\n",
			want: []string{"ab"},
		},
		"what is not CRI in a CRI file is kept": {
			cfg:  Config{Format: FormatCRI},
			data: "plain\n" + cri + "stdin F x\n" + cri + "stdout F y\n" + "\x00\n",
			want: []string{"plain", cri + "stdin F x", "y", "\x00"},
		},
		"Docker lines are unescaped and joined": {
			data: `{"log":"a \"b\" \u003c \ud83d\ude00\n","stream":"stdout","time":"2026-11-23T03:38:23.1Z"}` + "\n" +
				`{"log":"part ","stream":"stderr","time":"2026-11-23T03:38:23.1Z"}` + "\n" +
				`{"log":"plain\n","stream":"stdout","time":"2026-11-23T03:38:23.1Z"}` + "\n" +
				`{"log":"end\n","stream":"stderr","time":"2026-11-23T03:38:23.1Z"}` + "\n",
			want: []string{`a "b" < 😀`, "plain", "part end"},
		},
		"what is not Docker's JSON is kept": {
			data: `{"log":"a` + "\n" + `{"log":1}` + "\n",
			want: []string{`{"log":"a`, `{"log":1}`},
		},
		"a long line is split": {
			cfg:  Config{MaxRecordBytes: 256},
			data: strings.Repeat("x", 600) + "\ny\n",
			want: []string{strings.Repeat("x", 256), strings.Repeat("x", 256), strings.Repeat("x", 88), "y"},
		},
		"a long line is truncated": {
			cfg:  Config{MaxRecordBytes: 256, Oversize: OversizeTruncate},
			data: strings.Repeat("x", 600) + "\ny\n",
			want: []string{strings.Repeat("x", 256), "y"},
		},
		"a long line is dropped": {
			cfg:  Config{MaxRecordBytes: 256, Oversize: OversizeDrop},
			data: strings.Repeat("x", 600) + "\ny\n",
			want: []string{"y"},
		},
		"joined parts are split": {
			cfg:  Config{MaxRecordBytes: 256},
			data: cri + "stdout P " + strings.Repeat("x", 200) + "\n" + cri + "stdout F " + strings.Repeat("y", 200) + "\n",
			want: []string{strings.Repeat("x", 200) + strings.Repeat("y", 56), strings.Repeat("y", 144)},
		},
		"a start pattern joins": {
			cfg:  Config{Multiline: &Multiline{StartPattern: `^\S`}},
			data: "Exception\n at a\n at b\nnext\n",
			want: []string{"Exception\n at a\n at b", "next"},
		},
		"a continue pattern joins": {
			cfg:  Config{Multiline: &Multiline{ContinuePattern: `^\s`}},
			data: " orphan\nfirst\n more\nsecond\n",
			want: []string{" orphan", "first\n more", "second"},
		},
		"an end pattern joins": {
			cfg:  Config{Multiline: &Multiline{EndPattern: `;$`}},
			data: "a\nb;\nc;\nd\n",
			want: []string{"a\nb;", "c;", "d"},
		},
		"multi-line records are bounded by lines": {
			cfg:  Config{Multiline: &Multiline{StartPattern: `^#`, MaxLines: 2}},
			data: "#1\na\nb\nc\n#2\n",
			want: []string{"#1\na", "b\nc", "#2"},
		},
		"multi-line records of two streams are kept apart": {
			cfg:  Config{Multiline: &Multiline{StartPattern: `^\S`}},
			data: cri + "stdout F A\n" + cri + "stderr F X\n" + cri + "stdout F  a\n" + cri + "stderr F  x\n",
			want: []string{"A\n a", "X\n x"},
		},
		"filters drop and redact": {
			cfg: Config{Filters: []Filter{
				{Drop: &Drop{Match: "health"}},
				{Redact: &Redact{Pattern: `(card=)\d+`, Replacement: "${1}####"}},
			}},
			data: "GET /health\npay card=1234 ok\nplain\n",
			want: []string{"pay card=#### ok", "plain"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			records, _ := run(t, test.cfg, test.data, 0, nil)
			var got []string
			for _, r := range records {
				got = append(got, r.Value)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatsNameWhatIsLost(t *testing.T) {
	long := strings.Repeat("x", 300) + "\n"
	_, stats := run(t, Config{MaxRecordBytes: 256, Oversize: OversizeDrop, Filters: []Filter{{Drop: &Drop{Match: "^no"}}}},
		long+"no\nyes\n", 0, nil)
	want := Stats{Lines: 3, Records: 1, OversizeRecords: 1, OversizeBytes: 300, FilteredRecords: 1, FilteredBytes: 2}
	if diff := cmp.Diff(want, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// random makes input with everything that may be in a log, and a configuration to read it with.
func random(seed uint64) (Config, string) {
	r := rand.New(rand.NewPCG(seed, 7))
	policies := []OversizePolicy{OversizeSplit, OversizeTruncate, OversizeDrop}
	cfg := Config{MaxRecordBytes: 256, Oversize: policies[r.IntN(3)]}
	cfg.Format = []Format{FormatAuto, FormatRaw, FormatCRI, FormatDocker}[r.IntN(4)]
	switch r.IntN(4) {
	case 0:
		cfg.Multiline = &Multiline{StartPattern: "^[a-c]", MaxLines: 4}
	case 1:
		cfg.Multiline = &Multiline{ContinuePattern: "^[a-c]"}
	case 2:
		cfg.Multiline = &Multiline{EndPattern: "[a-c]$"}
	}
	if r.IntN(2) == 0 {
		cfg.Filters = []Filter{{Drop: &Drop{Match: "bb"}}, {Redact: &Redact{Pattern: "cc+"}}}
	}
	var b strings.Builder
	for range 5 + r.IntN(60) {
		text := make([]byte, r.IntN(20))
		if r.IntN(8) == 0 {
			text = make([]byte, r.IntN(900))
		}
		for i := range text {
			text[i] = "abcdefgh \xff"[r.IntN(10)]
		}
		stream := []string{"stdout", "stderr"}[r.IntN(2)]
		switch r.IntN(4) {
		case 0:
			b.Write(text)
		case 1, 2:
			fmt.Fprintf(&b, "%s%s %s %s", cri, stream, []string{"P", "F"}[r.IntN(2)], text)
		default:
			fmt.Fprintf(&b, `{"log":"%s%s","stream":"%s","time":"2026-11-23T03:38:23Z"}`, strings.ToValidUTF8(string(text), "?"),
				[]string{"", `\n`}[r.IntN(2)], stream)
		}
		b.WriteByte('\n')
	}
	return cfg, b.String()
}

// TestChunksDoNotMatter cuts the same input in many ways.
func TestChunksDoNotMatter(t *testing.T) {
	for seed := range uint64(400) {
		cfg, data := random(seed)
		want, _ := run(t, cfg, data, 0, nil)
		r := rand.New(rand.NewPCG(seed, 8))
		var cuts []int64
		for at := int64(0); at < int64(len(data)); at += int64(1 + r.IntN(400)) {
			cuts = append(cuts, at)
		}
		got, _ := run(t, cfg, data, 0, cuts)
		if diff := cmp.Diff(values(want), values(got)); diff != "" {
			t.Fatalf("seed %d, %+v (-one chunk +many):\n%s", seed, cfg, diff)
		}
	}
}

// values leaves Clean out: it may lag behind by a chunk.
func values(records []out) []out {
	for i := range records {
		records[i].Clean = 0
	}
	return records
}

// TestResumeAnywhere starts again at the clean offset of every record and expects it and all behind it, once.
func TestResumeAnywhere(t *testing.T) {
	for seed := range uint64(400) {
		cfg, data := random(seed)
		all, _ := run(t, cfg, data, 0, nil)
		for i, first := range all {
			if i > 0 && all[i-1].Position.Compare(first.Position) >= 0 {
				t.Fatalf("seed %d: record %d at %v is not behind %v", seed, i, first.Position, all[i-1].Position)
			}
			again, _ := run(t, cfg, data, first.Clean, nil)
			var got []out
			for _, record := range again {
				if i == 0 || record.Position.Compare(all[i-1].Position) > 0 {
					got = append(got, record)
				}
			}
			if diff := cmp.Diff(values(clones(all[i:])), values(got)); diff != "" {
				t.Fatalf("seed %d, %+v, from record %d at %d (-want +got):\n%s\n%s", seed, cfg, i, first.Clean, diff, data)
			}
		}
	}
}

func clones(records []out) []out { return append([]out(nil), records...) }

func TestPartsGoOverToTheNextFile(t *testing.T) {
	cfg := Config{}
	cfg.Default()
	plan, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := New(plan, 0, &Stats{})
	old := cri + "stdout P be\n"
	d.Feed([]byte(old), 0)
	var rec Record
	if d.Next(&rec) {
		t.Fatalf("got %q from a part", rec.Value)
	}
	d.NextFile(0)
	if !d.CarriesOver() {
		t.Fatal("nothing is carried over")
	}
	d.Feed([]byte(cri+"stderr F other\n"+cri+"stdout F gin\n"), 0)
	var got []string
	for d.Next(&rec) {
		got = append(got, string(rec.Value))
	}
	if diff := cmp.Diff([]string{"other", "begin"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if d.CarriesOver() {
		t.Error("the file before is still needed")
	}
}

func TestInvalidConfig(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"unknown format": {
			Config{Format: "XML"}, `format: invalid value "XML": use Auto, Raw, CRI or Docker`},
		"broken pattern": {
			Config{Filters: []Filter{{Drop: &Drop{Match: "("}}}},
			`filters[0].drop.match: invalid value "(": use an RE2 expression: ` +
				"error parsing regexp: missing closing ): `(`"},
		"two patterns": {
			Config{Multiline: &Multiline{StartPattern: "a", EndPattern: "b"}},
			"multiline.exactly one of startPattern, continuePattern and endPattern must be set, not 2"},
		"no wait": {
			Config{Multiline: &Multiline{StartPattern: "a", Timeout: conf.Duration(-time.Second)}},
			`multiline.timeout: invalid value -1s: use a positive duration such as 5s`},
		"tiny records": {
			Config{MaxRecordBytes: 3}, `maxRecordBytes: invalid value 3: use at least 256`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.cfg.Default()
			err := test.cfg.Validate()
			if err == nil || err.Error() != test.want {
				t.Errorf("got error %v\nwant      %s", err, test.want)
			}
		})
	}
}
