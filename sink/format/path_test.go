package format

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var far = noon.AddDate(1, 0, 0)

func TestExpand(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := map[string]struct {
		template, zone string
		rec            Record
		want           string
	}{
		"the default of a sink": {
			"{topic}/dt=%Y-%m-%d/hr=%H", "", Record{Topic: "web", Time: noon}, "web/dt=2026-01-31/hr=12",
		},
		"all times":          {"%Y%m%d/%H-%M", "", Record{Time: noon.Add(-3*time.Hour + time.Minute)}, "20260131/09-01"},
		"another time zone":  {"%m-%d/%H", "Asia/Kolkata", Record{Time: noon.Add(7 * time.Hour)}, "02-01/00"},
		"values":             {"{partition}/{key}", "", Record{Partition: 7, Key: []byte("k")}, "7/k"},
		"the last header":    {"{header.dc}", "", Record{Headers: headers("dc", "a", "x", "b", "dc", "c")}, "c"},
		"nothing there":      {"{key}/x={header.dc}", "", Record{}, "-empty-/x=-empty-"},
		"nothing there, not": {"{key}", "", Record{Key: []byte("-empty-")}, "%2Dempty-"},
		"upwards":            {"{key}/d", "", Record{Key: []byte("..")}, "%2E./d"},
		"further up":         {"{key}", "", Record{Key: []byte("../../user/hive")}, "%2E.%2F..%2Fuser%2Fhive"},
		"hidden":             {"{key}", "", Record{Key: []byte("_logpipe")}, "%5Flogpipe"},
		"escapes":            {"a{key}", "", Record{Key: []byte("a b%\x00:é\n")}, "aa%20b%25%00%3A%C3%A9%0A"},
		"a long value":       {"k={key}", "", Record{Key: []byte(long)}, "k=" + long[:200]},
		"a long directory": {
			"{key}{header.a}/x", "", Record{Key: []byte(long), Headers: headers("a", long)}, long[:250] + "/x",
		},
		"not cut in an escape": {
			"{key}", "", Record{Key: []byte(strings.Repeat(" ", 100))}, strings.Repeat("%20", 66),
		},
		"before 1970":              {"a/%Y", "", Record{Time: time.UnixMilli(-1)}, InvalidTime},
		"the first moment of 1970": {"a/%Y", "", Record{Time: time.Unix(0, 0)}, "a/1970"},
		"too late":                 {"a/%Y", "", Record{Time: far.Add(time.Millisecond)}, InvalidTime},
		"just not too late":        {"a/%Y", "", Record{Time: far}, "a/2027"},
		"too late without times":   {"a", "", Record{Time: far.Add(1)}, "a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := ParsePath(test.template, test.zone)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(p.Expand(nil, &test.rec, far))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func headers(keysAndValues ...string) (out []Header) {
	for i := 0; i < len(keysAndValues); i += 2 {
		out = append(out, Header{Key: []byte(keysAndValues[i]), Value: []byte(keysAndValues[i+1])})
	}
	return out
}

func TestParsePathRefuses(t *testing.T) {
	tests := map[string]struct{ template, zone, want string }{
		"an unknown value": {
			"{topic}/{host}", "",
			`path: invalid value "{topic}/{host}": unknown variable "{host}": ` +
				"use %Y %m %d %H %M {topic} {partition} {key} {header.<name>}",
		},
		"an unknown time":       {"%Y/%s", "", `unknown variable "%s"`},
		"a lone percent":        {"a%", "", `unknown variable "%"`},
		"a header without name": {"{header.}", "", `unknown variable "{header.}"`},
		"an open brace":         {"a/{topic", "", `close the brace of "{topic"`},
		"nothing":               {"", "", "use a template"},
		"an absolute path":      {"/a", "", "remove the slash"},
		"a slash at the end":    {"a/", "", "remove the slash"},
		"a way up":              {"a/../b", "", "must not start with '.'"},
		"the sink's own place":  {"_logpipe/x", "", "must not start with '.' or '_'"},
		"a control character":   {"a\x00", "", `replace '\x00'`},
		"a colon":               {"a:b", "", "replace ':'"},
		"too long":              {strings.Repeat("a", 1025), "", "at most 1024 bytes"},
		"too deep":              {strings.Repeat("a/", 12) + "a", "", "at most 12 directories"},
		"an unknown time zone":  {"a", "Mars/Olympus", `timeZone: invalid value "Mars/Olympus": use an IANA name`},
		"the machine's zone":    {"a", "Local", "timeZone: invalid value"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePath(test.template, test.zone)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

// TestBucketerIsExpand goes through times and values in every order that could find a stale cache.
func TestBucketerIsExpand(t *testing.T) {
	for _, template := range []string{"{topic}/%Y-%m-%d/%H%M", "%H/{key}", "{header.a}/{partition}", "x"} {
		for _, zone := range []string{"", "Australia/Lord_Howe", "Africa/Monrovia", "Asia/Kathmandu"} {
			p, err := ParsePath(template, zone)
			if err != nil {
				t.Fatal(err)
			}
			b := p.Bucketer()
			for i := range 20_000 {
				rec := sampleRecord(i)
				want, got := string(p.Expand(nil, &rec, far)), b.Bucket(&rec, far)
				if got != want {
					t.Fatalf("record %d, %s in %q: got %q, want %q", i, template, zone, got, want)
				}
			}
		}
	}
}

func sampleRecord(i int) Record {
	starts := []time.Time{
		time.Unix(-90, 0), time.Date(2026, 4, 4, 14, 59, 50, 0, time.UTC), far.Add(-time.Second), noon,
		time.Date(1972, 1, 7, 0, 44, 29, 0, time.UTC),
	}
	step := time.Duration(i/7%100) * 1700 * time.Millisecond
	return Record{
		Topic: "t", Partition: int32(i / 100 % 2), Time: starts[i/1000%len(starts)].Add(step),
		Key: []byte{byte('a' + i/3%3)}, Headers: headers("a", string(rune('a'+i/5%2))),
	}
}

func TestBucketerForgets(t *testing.T) {
	p, err := ParsePath("{key}", "")
	if err != nil {
		t.Fatal(err)
	}
	b := p.Bucketer()
	for i := range 10 * maxInterned {
		rec := Record{Key: []byte{byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676%26)}}
		if got := b.Bucket(&rec, far); got != string(rec.Key) {
			t.Fatalf("got %q for %q", got, rec.Key)
		}
	}
	if len(b.names) > maxInterned {
		t.Errorf("remembers %d names, want at most %d", len(b.names), maxInterned)
	}
}

func TestBucketDoesNotAllocate(t *testing.T) {
	p, err := ParsePath("{topic}/{header.dc}/dt=%Y-%m-%d/hr=%H", "")
	if err != nil {
		t.Fatal(err)
	}
	b := p.Bucketer()
	records := []Record{
		{Topic: "t", Time: noon, Headers: headers("dc", "fra")},
		{Topic: "t", Time: noon.Add(10 * time.Minute), Headers: headers("dc", "ams")},
	}
	n := testing.AllocsPerRun(100, func() {
		for i := range records {
			b.Bucket(&records[i], far)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for known buckets, want 0", n)
	}
}

func FuzzParsePath(f *testing.F) {
	templates := []string{"{topic}/dt=%Y-%m-%d/hr=%H%M", "{header.a}{key}{partition}", "..", "a//", "%", "{", "_"}
	for _, template := range templates {
		f.Add(template, "UTC")
	}
	f.Fuzz(func(t *testing.T, template, zone string) {
		p, err := ParsePath(template, zone)
		if (p == nil) == (err == nil) {
			t.Fatalf("got path %v and error %v", p, err)
		}
		if err != nil {
			return
		}
		rec := Record{Topic: "t", Time: noon}
		checkPath(t, string(p.Expand(nil, &rec, far)))
	})
}

func FuzzExpand(f *testing.F) {
	f.Add("topic", int32(0), []byte("key"), []byte("value"), int64(1_769_860_800))
	f.Add("..", int32(-1), []byte("../.."), []byte("_\x00\n"), int64(-5))
	f.Add("", int32(1), []byte(strings.Repeat("%", 300)), []byte(EmptyValue), int64(1<<62))
	templates := []string{
		"{topic}/{partition}/{key}/{header.h}", "{key}{header.h}{topic}/a{header.h}.", "{header.h}", "%Y-%m-%d/%H/%M{key}",
	}
	f.Fuzz(func(t *testing.T, topic string, partition int32, key, value []byte, second int64) {
		rec := Record{
			Topic: topic, Partition: partition, Key: key, Time: time.Unix(second, 0),
			Headers: []Header{{Key: []byte("h"), Value: value}},
		}
		for _, template := range templates {
			p, err := ParsePath(template, "Europe/Berlin")
			if err != nil {
				t.Fatal(err)
			}
			got := string(p.Expand(nil, &rec, far))
			if got != InvalidTime {
				checkPath(t, got)
			}
			if again := p.Bucketer().Bucket(&rec, far); again != got {
				t.Fatalf("got %q and then %q", got, again)
			}
		}
	})
}

// checkPath checks that a directory is below the root, and one that Hadoop's readers see.
func checkPath(t *testing.T, dir string) {
	t.Helper()
	if len(dir) > 4000 {
		t.Fatalf("%d bytes", len(dir))
	}
	for component := range strings.SplitSeq(dir, "/") {
		if component == "" || component[0] == '.' || component[0] == '_' || len(component) > maxComponent {
			t.Fatalf("got %q in %q", component, dir)
		}
		for _, c := range []byte(component) {
			if !safe[c] && c != '%' {
				t.Fatalf("got %q in %q", c, dir)
			}
		}
	}
}
