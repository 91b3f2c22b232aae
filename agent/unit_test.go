package agent

import (
	"bytes"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/kafka"
)

func TestSubnet(t *testing.T) {
	tests := map[string]struct {
		ip   string
		want string
	}{
		"an IPv4 address":            {ip: "10.20.30.40", want: "10.20.16.0/20"},
		"an IPv6 address":            {ip: "2001:db8:aaaa:bbbb::1", want: "2001:db8:aaaa::/48"},
		"an IPv4 address within six": {ip: "::ffff:10.20.30.40", want: "10.20.16.0/20"},
		"an address with a zone":     {ip: "fe80::1%eth0", want: "fe80::/48"},
		"no address":                 {ip: "node-1"},
		"nothing":                    {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := subnet(test.ip, 20, 48); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	facts := &facts{labels: map[string]map[string]string{"uid": {"team": "blue", "tier": ""}}}
	pod := podLog{Namespace: "shop", Name: "cart-1", UID: "uid", Container: "app-main"}
	tests := map[string]struct {
		namespaces, include, exclude []string
		labels                       map[string]string
		uid                          string
		want                         bool
	}{
		"everything":                           {want: true},
		"its namespace among others":           {namespaces: []string{"x", "shop"}, want: true},
		"another namespace":                    {namespaces: []string{"sho"}},
		"its container by a pattern":           {include: []string{"web", "app-*"}, want: true},
		"another container":                    {include: []string{"app"}},
		"its container excluded":               {exclude: []string{"*-main"}},
		"its container included and excluded":  {include: []string{"app-*"}, exclude: []string{"app-main"}},
		"its label":                            {labels: map[string]string{"team": "blue"}, want: true},
		"a label of another value":             {labels: map[string]string{"team": "red"}},
		"one label of two":                     {labels: map[string]string{"team": "blue", "zone": "a"}},
		"an empty label that it has":           {labels: map[string]string{"tier": ""}, want: true},
		"an empty label that it does not have": {labels: map[string]string{"zone": ""}},
		"a pod that is not known yet":          {labels: map[string]string{"team": "blue"}, uid: "other"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := PodsInput{Namespaces: test.namespaces, MatchLabels: test.labels}
			in.Containers.Include, in.Containers.Exclude = test.include, test.exclude
			of := pod
			if test.uid != "" {
				of.UID = test.uid
			}
			if got := in.selects(of, facts); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestFits(t *testing.T) {
	tests := map[string]struct {
		records, used, size int
		want                bool
	}{
		"the first record, however large":  {size: 5000, want: true},
		"a record that fills the batch":    {records: 1, used: 900, size: 100, want: true},
		"a record of one byte too many":    {records: 1, used: 900, size: 101},
		"the last record by number":        {records: 9, used: 0, size: 1, want: true},
		"a record too many by number":      {records: 10, used: 0, size: 1},
		"a record too many, without bytes": {records: 10, used: 0, size: 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &openBatch{records: make([]sarama.Record, test.records), size: test.used}
			if got := b.fits(test.size, 1000, 10); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestSpans puts records of several files into a batch: those of one file in a row make one span, but what follows a
// flush needs its own, for decoding has to flush there again.
func TestSpans(t *testing.T) {
	type put struct {
		file    journal.FileRef
		end     int64
		index   int32
		flushed bool
	}
	type span struct {
		File        journal.FileRef
		First, Last int64
		Count       int
		Flush       bool
	}
	tests := map[string]struct {
		puts []put
		want []span
	}{
		"one file": {
			puts: []put{{file: 1, end: 10}, {file: 1, end: 20}, {file: 1, end: 30}},
			want: []span{{File: 1, First: 10, Last: 30, Count: 3}},
		},
		"two files by turns": {
			puts: []put{{file: 1, end: 10}, {file: 2, end: 5}, {file: 1, end: 20}, {file: 1, end: 30}},
			want: []span{
				{File: 1, First: 10, Last: 10, Count: 1}, {File: 2, First: 5, Last: 5, Count: 1},
				{File: 1, First: 20, Last: 30, Count: 2},
			},
		},
		"a flush ends a span": {
			puts: []put{{file: 1, end: 10}, {file: 1, end: 20, flushed: true}, {file: 1, end: 30}},
			want: []span{
				{File: 1, First: 10, Last: 20, Count: 2, Flush: true}, {File: 1, First: 30, Last: 30, Count: 1},
			},
		},
		"records of one flush stay together": {
			puts: []put{{file: 1, end: 20, flushed: true}, {file: 1, end: 20, index: 1, flushed: true}},
			want: []span{{File: 1, First: 20, Last: 20, Count: 2, Flush: true}},
		},
		"two flushes do not": {
			puts: []put{{file: 1, end: 20, flushed: true}, {file: 1, end: 30, flushed: true}},
			want: []span{
				{File: 1, First: 20, Last: 20, Count: 1, Flush: true}, {File: 1, First: 30, Last: 30, Count: 1, Flush: true},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, streams := &openBatch{}, map[journal.FileRef]*stream{1: {ref: 1}, 2: {ref: 2}}
			for _, p := range test.puts {
				rec := &decode.Record{Position: decode.Position{End: p.end, Index: p.index}, Flushed: p.flushed}
				b.add(&entry{from: streams[p.file], rec: rec})
			}
			var got []span
			for _, s := range b.spans {
				got = append(got, span{s.File, s.First.End, s.Last.End, int(s.Count), s.Flush})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKeptValuesStay copies more than a side block takes: what was kept before must not move or change.
func TestKeptValuesStay(t *testing.T) {
	b := &openBatch{}
	var kept, want [][]byte
	for i := range 300 {
		value := bytes.Repeat([]byte{byte(i)}, 1+i*7%1000)
		want = append(want, bytes.Clone(value))
		kept = append(kept, b.keep(value))
		clear(value)
	}
	large := b.keep(bytes.Repeat([]byte("x"), 3*sideBlock))
	for i := range kept {
		if !bytes.Equal(kept[i], want[i]) {
			t.Fatalf("value %d changed", i)
		}
		if cap(kept[i]) != len(kept[i]) {
			t.Fatalf("value %d could grow into the next", i)
		}
	}
	if len(large) != 3*sideBlock {
		t.Errorf("a large value has %d bytes", len(large))
	}
}

func TestChecksumCoversKeysAndValues(t *testing.T) {
	b, s := &openBatch{}, &stream{}
	b.add(&entry{from: s, rec: &decode.Record{}, key: []byte("k1"), value: []byte("v1")})
	b.add(&entry{from: s, rec: &decode.Record{}, value: []byte("v2")})
	if want := crc32.Checksum([]byte("k1v1v2"), castagnoli); b.checksum != want {
		t.Errorf("got %x, want %x", b.checksum, want)
	}
	if want := 2*recordOverhead + 6; b.size != want {
		t.Errorf("size %d, want %d", b.size, want)
	}
}

func TestStamp(t *testing.T) {
	base := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		own        time.Time
		want       time.Duration
		wantLatest time.Time
	}{
		"no time of its own": {wantLatest: base},
		"an earlier time":    {own: base.Add(-time.Hour), want: -time.Hour, wantLatest: base},
		"parts of a millisecond are cut": {
			own: base.Add(-1500 * time.Microsecond), want: -2 * time.Millisecond, wantLatest: base,
		},
		"a little in the future": {
			own: base.Add(time.Minute), want: time.Minute, wantLatest: base.Add(time.Minute),
		},
		"too far in the future": {own: base.Add(time.Minute + 1), wantLatest: base},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			records := make([]sarama.Record, 2)
			latest := stamp(records, []time.Time{{}, test.own}, base)
			if records[0].OffsetDelta != 0 || records[1].OffsetDelta != 1 {
				t.Errorf("offsets %d and %d", records[0].OffsetDelta, records[1].OffsetDelta)
			}
			if records[0].TimestampDelta != 0 || records[1].TimestampDelta != test.want || !latest.Equal(test.wantLatest) {
				t.Errorf("got %s, latest %s; want %s, %s", records[1].TimestampDelta, latest, test.want, test.wantLatest)
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	now := time.Now()
	l := newLimiter(&RateLimit{BytesPerSecond: 1000, RecordsPerSecond: 10})
	if l.spend(now, 1000, 10); l.delay(now) != 0 {
		t.Errorf("a burst of a second is delayed by %s", l.delay(now))
	}
	if l.spend(now, 5000, 0); l.delay(now).Round(time.Millisecond) != 5*time.Second {
		t.Errorf("five times the burst is delayed by %s", l.delay(now))
	}
	if got := l.delay(now.Add(6 * time.Second)); got != 0 {
		t.Errorf("six seconds later it is still delayed by %s", got)
	}
	if got := (*limiter)(nil).delay(now); got != 0 {
		t.Errorf("no limit delays by %s", got)
	}
}

func TestPoolGivesOnlyWhatFits(t *testing.T) {
	now := time.Now()
	pool := batchPool{limit: 1}
	small := pool.get(1, 100, now)
	small.add(&entry{from: &stream{}, rec: &decode.Record{}, value: small.memory[:10]})
	pool.put(small)
	pool.put(pool.get(1, 200, now)) // small is dropped for it
	got := pool.get(2, 150, now)
	if len(got.memory) != 200 || got.partition != 2 || len(got.records)+got.size+got.used != 0 {
		t.Errorf("memory of %d bytes, partition %d, %d records", len(got.memory), got.partition, len(got.records))
	}
	got.pinned = true
	pool.put(got)
	if len(pool.free) != 0 {
		t.Error("pinned memory came back")
	}
}

// TestRefusedReadIsTriedAgain fails a read of a file that nobody writes to any more: no event makes it ready again.
func TestRefusedReadIsTriedAgain(t *testing.T) {
	s := &stream{file: &tail.File{}, refused: true}
	told := map[string]string{s.file.Path(): "too many open files"}
	a := &Agent{order: []*stream{s}, reported: maps.Clone(told)}
	a.reportAll(nil)
	if !s.ready || s.refused {
		t.Errorf("after a scan: ready %v, refused %v", s.ready, s.refused)
	}
	if diff := cmp.Diff(told, a.reported); diff != "" {
		t.Errorf("it would be told of again (-want +got):\n%s", diff)
	}
	s.ready = false // the next read succeeds
	if a.reportAll(nil); s.ready || len(a.reported) > 0 {
		t.Errorf("after a good read: ready %v, reported %v", s.ready, a.reported)
	}
}

// TestPendingOfATruncatedFile builds a batch again whose file was truncated while its copy can't be told yet. What is
// pending is not lost for that: the next session tries again.
func TestPendingOfATruncatedFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(log, []byte("line 0\nline 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sought := true // as while names move, or the disk refuses to tell
	files := tail.NewSet(tail.Config{Include: []string{log}, InUse: func(*tail.File) bool { return sought }}, nil)
	t.Cleanup(func() { _ = files.Close() })
	file := files.Scan().New[0].File
	file.Ref = 1
	a := &Agent{files: files, streams: map[journal.FileRef]*stream{1: {file: file}}}
	buf := make([]byte, 7)
	if _, err := file.Read(buf); err != nil {
		t.Fatal(err)
	}
	file.Advance(len(buf), buf)
	clean := file.MarkAt(int64(len(buf)), nil)
	end := decode.Position{End: 14}
	batch := journal.Batch{Count: 1, Spans: []journal.Span{{File: 1, Clean: clean, First: end, Last: end, Count: 1}}}
	stored := []byte(`{"decode": {"format": "Raw", "oversize": "Split", "maxRecordBytes": 256}}`)
	if err := os.WriteFile(log, []byte("another text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sought = range []bool{true, false} {
		if _, _, err := a.rebuild(batch, stored); !elsewhere(err) {
			t.Fatalf("at first: %v", err)
		}
		files.Scan()
		if _, _, err := a.rebuild(batch, stored); temporary(err) != sought {
			t.Errorf("copy looked for: %v, got error: %v", sought, err)
		}
	}
}

// TestFinishedInOrder ends a file in the middle of a record that is completed in the next. That one must not be
// finished first: an agent that starts then would join the beginning with what comes behind it.
func TestFinishedInOrder(t *testing.T) {
	plan, err := decode.Compile(decode.Config{
		Format: decode.FormatCRI, Oversize: decode.OversizeSplit, MaxRecordBytes: 256,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{outside: realOutside(), plan: plan}
	first, next := &stream{file: &tail.File{}}, &stream{file: &tail.File{}, waiting: true}
	a.order = []*stream{first, next}
	first.dec, next.dec, first.after = decode.New(plan, 0, &a.decoded), decode.New(plan, 0, &a.decoded), next
	first.dec.Feed([]byte("2026-11-23T00:00:00Z stdout P begun \n"), 0)
	for rec := (decode.Record{}); first.dec.Next(&rec); {
		t.Fatalf("a record: %q", rec.Value)
	}
	if a.ended(first); next.waiting || !a.carriedOn(first) {
		t.Fatalf("the next file waits: %v; it goes on with the record: %v", next.waiting, a.carriedOn(first))
	}
	if next.before = nil; !a.carriedOn(next) {
		t.Error("the next file can be finished before the first")
	}
	if first.finished = true; a.carriedOn(next) {
		t.Error("the next file can't be finished though the first is")
	}
}

// TestForgottenInOrder forgets files that a power cut has ended, the older ones first: what is left of these is found
// by way of the others.
func TestForgottenInOrder(t *testing.T) {
	j, err := journal.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	a := &Agent{outside: realOutside(), journal: j, streams: map[journal.FileRef]*stream{}}
	for ref := range journal.FileRef(2) {
		s := &stream{ref: ref + 1, file: &tail.File{}, isEnded: true, gone: true}
		s.stored.Behind = uint32(ref)
		known := journal.File{State: s.stored, Origin: []byte("{}")}
		if err := j.Append(journal.PutFile{Ref: s.ref, File: known}); err != nil {
			t.Fatal(err)
		}
		a.streams[s.ref], a.order = s, append(a.order, s)
	}
	for _, round := range []struct {
		keep journal.FileRef
		left int
	}{{keep: 2, left: 2}, {keep: 1, left: 1}, {keep: 2, left: 0}} {
		if err := a.keep(a.streams[round.keep]); err != nil || len(j.State().Files) != round.left {
			t.Fatalf("file %d: error %v, left: %v", round.keep, err, j.State().Files)
		}
	}
}

// TestMarkOfWaitingRecord has a record that its partition can't take, while what precedes it is sealed: reading goes on
// from that record, whose place marks how much of the file there must be.
func TestMarkOfWaitingRecord(t *testing.T) {
	a := &Agent{topic: kafka.Topic{Partitions: 2}, inFlight: map[int32]int{1: journal.MaxPending}}
	s := &stream{clean: tail.Mark{Offset: 10}}
	e := &entry{from: s, clean: tail.Mark{Offset: 30}, rec: &decode.Record{}}
	if b, err := a.batchWithRoom(e, 1, time.Now()); b != nil || err != nil {
		t.Fatalf("the partition takes it: %v, error: %v", b, err)
	}
	if s.clean != e.clean {
		t.Errorf("reading goes on from %v, not from %v", s.clean, e.clean)
	}
}
