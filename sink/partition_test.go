package sink

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipe/logpipe/internal/conf"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// owned returns a partition that is acquired.
func (b *bench) owned() *partition {
	b.Helper()
	p := b.partition(b.files)
	if err := p.acquire(b.Context()); err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bench) pump(p *partition) {
	b.Helper()
	if _, err := p.pump(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// newest returns the manifest of the newest commit.
func (b *bench) newest(p *partition) manifest {
	b.Helper()
	commits := b.list(p.at.commits())
	name := path.Join(p.at.commits(), commits[len(commits)-1].Name(), manifestName)
	m, err := parseManifest([]byte(b.read(name)), p.at)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// TestRollIsDue steps a partition by hand and moves the clock in between.
func TestRollIsDue(t *testing.T) {
	tests := map[string]struct {
		roll       Roll
		openFiles  int
		records    int64
		pass       time.Duration
		wantReason string
	}{
		"nothing is due at first": {records: 3, pass: time.Minute},
		"a quiet topic's file is closed by the interval": {
			records: 3, pass: 5 * time.Minute, wantReason: rollInterval},
		"an empty roll is never due": {records: 0, pass: time.Hour},
		"a topic that falls silent is closed by the idle timeout": {
			roll: Roll{IdleTimeout: conf.Duration(10 * time.Second)}, records: 3, pass: 10 * time.Second, wantReason: rollIdle},
		"records are counted over all files": {roll: Roll{MaxRecords: 3}, records: 3, wantReason: rollRecords},
		"one bucket too many":                {openFiles: 1, records: 2, wantReason: rollOpenFiles},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Roll, b.cfg.MaxOpenFiles = test.roll, test.openFiles
			b.cfg.Default()
			b.log.end = test.records
			p := b.owned()
			b.pump(p)
			b.now = b.now.Add(test.pass)
			if err := p.step(b.Context()); err != nil {
				t.Fatal(err)
			}
			for _, reason := range []string{rollInterval, rollIdle, rollRecords, rollOpenFiles, rollBytes} {
				want := 0.0
				if reason == test.wantReason {
					want = 1
				}
				if got := testutil.ToFloat64(p.metrics.commits.WithLabelValues(reason)); got != want {
					t.Errorf("%v commits by %s, want %v", got, reason, want)
				}
			}
			if test.wantReason != "" && len(b.visible()) == 0 {
				t.Error("nothing is visible")
			}
		})
	}
}

func TestRollByBytes(t *testing.T) {
	b := newBench(t)
	b.cfg.Roll.MaxRecords, b.cfg.Roll.MaxBytes = 0, 64<<10
	b.cfg.Path = "all"
	b.log.end, b.log.atOnce = 80_000, 10_000
	p := b.partition(b.files)
	b.mustDrain(p)
	b.wantOnce(0, 80_000)
	if got := testutil.ToFloat64(p.metrics.commits.WithLabelValues(rollBytes)); got < 3 {
		t.Errorf("%v commits by size of 460 KiB in rolls of 64 KiB", got)
	}
}

func TestGap(t *testing.T) {
	tests := map[string]struct {
		before, start int64 // records read before the start moves
		commit        bool
		want          offsetRange
		wantMissing   int64
	}{
		"records deleted behind the position": {before: 4, start: 9, commit: true, want: offsetRange{4, 8}},
		"records deleted in front of a roll":  {before: 3, start: 9, want: offsetRange{3, 8}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Roll.MaxRecords = 0
			b.log.end, b.log.atOnce = test.before, 100
			p := b.owned()
			b.pump(p)
			if test.commit {
				if err := p.commit(t.Context(), rollRecords); err != nil {
					t.Fatal(err)
				}
			}
			b.log.change(func() { b.log.start, b.log.end = test.start, testRecords })
			b.pump(p)
			b.pump(p)
			if err := p.release(t.Context()); err != nil {
				t.Fatal(err)
			}
			m := b.newest(p)
			if diff := cmp.Diff(&test.want, m.Gap); diff != "" {
				t.Errorf("gap (-want +got):\n%s", diff)
			}
			if m.First != test.want.First || m.Last != testRecords-1 {
				t.Errorf("the chain goes on with %d to %d", m.First, m.Last)
			}
			if lost := testutil.ToFloat64(p.metrics.gapRecords); lost != float64(test.want.Last-test.want.First+1) {
				t.Errorf("%v offsets counted as lost", lost)
			}
		})
	}
}

// TestOffsetsWithoutRecords moves the position over what only control or aborted batches took.
func TestOffsetsWithoutRecords(t *testing.T) {
	b := newBench(t)
	b.log.skip = 1
	p := b.partition(b.files)
	b.mustDrain(p)
	if len(b.visible()) > 0 {
		t.Errorf("visible: %v", b.visible())
	}
	if m := b.newest(p); m.Last != testRecords-1 {
		t.Errorf("committed up to %d", m.Last)
	}
	b.log.change(func() { b.log.skip, b.log.end = 5, testRecords+6 })
	b.mustDrain(b.partition(b.files))
	b.wantOnce(testRecords, testRecords+6)
}

func TestLatestIsPinned(t *testing.T) {
	b := newBench(t)
	b.cfg.InitialOffset = Latest
	b.log.end = 0
	b.owned().drop(nil) // ends before its first commit
	b.log.change(func() { b.log.end = 5 })
	b.mustDrain(b.partition(b.files))
	b.wantOnce(0, 5)

	b = newBench(t)
	b.cfg.InitialOffset = Latest
	b.log.end = 6
	b.mustDrain(b.partition(b.files))
	b.log.change(func() { b.log.end = 9 })
	b.mustDrain(b.partition(b.files))
	b.wantOnce(6, 9)
}

// TestHalts has what only a person can decide: nothing may be written, moved or removed.
func TestHalts(t *testing.T) {
	tests := map[string]struct {
		arrange func(b *bench, p *partition)
		want    string
	}{
		"the topic was re-created": {
			arrange: func(b *bench, _ *partition) { b.log.id, b.log.end = "id-2", 30 },
			want:    "topic lines was re-created",
		},
		"the topic is shorter than the store": {
			arrange: func(b *bench, _ *partition) { b.log.end = 5 },
			want:    "the store has the records up to offset 13",
		},
		"a manifest has another version": {
			arrange: func(b *bench, p *partition) { b.forge(p, `"version": 1`, `"version": 7`) },
			want:    "version 7",
		},
		"a manifest leads out of the root": {
			arrange: func(b *bench, p *partition) { b.forge(p, `"lines/key=0`, `"../lines/key=0`) },
			want:    "not below the root",
		},
		"a manifest does not fit its directory": {
			arrange: func(b *bench, p *partition) { b.forge(p, `"first": 12`, `"first": 11`) },
			want:    "not of this roll",
		},
		"a commit is missing in the chain": {
			arrange: func(b *bench, p *partition) {
				if err := b.files.RemoveAll(p.at.commit(8)); err != nil {
					b.Fatal(err)
				}
			},
			want: "should begin at offset 8",
		},
		"an unpublished file has another size": {
			arrange: func(b *bench, p *partition) {
				b.forge(p, `"name": "000000.data"`, `"name": "000007.data"`)
				b.write(path.Join(p.at.commit(12), fileName(7)), "short of it")
			},
			want: "its manifest says",
		},
		"another sink has published the name": {
			arrange: func(b *bench, p *partition) {
				file := b.newest(p).Files[0]
				b.write(path.Join(p.at.commit(12), file.Name), b.read(file.Path))
			},
			want: "is not this sink's",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := b.partition(b.files)
			b.mustDrain(p)
			test.arrange(b, p)
			before := b.snapshot()
			err := drain(t.Context(), b.partition(b.files))
			if !errors.Is(err, errHalted) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want it halted with %q", err, test.want)
			}
			if diff := cmp.Diff(before, b.snapshot()); diff != "" {
				t.Errorf("visible files changed (-before +after):\n%s", diff)
			}
		})
	}
}

// forge changes the text of the newest manifest.
func (b *bench) forge(p *partition, from, to string) {
	b.Helper()
	name := path.Join(p.at.commit(12), manifestName)
	text := b.read(name)
	if !strings.Contains(text, from) {
		b.Fatalf("no %s in %s", from, text)
	}
	if err := b.files.RemoveAll(name); err != nil {
		b.Fatal(err)
	}
	b.write(name, strings.Replace(text, from, to, 1))
}

func (b *bench) snapshot() map[string]string {
	out := map[string]string{}
	for _, name := range b.visible() {
		out[name] = b.read(name)
	}
	return out
}

// TestRecreatedBehindItsBack makes the topic anew between fetch and commit: the new records must not join the old
// chain.
func TestRecreatedBehindItsBack(t *testing.T) {
	b := newBench(t)
	b.cfg.Roll.MaxRecords = 0
	p := b.owned()
	b.pump(p)
	b.log.change(func() { b.log.id = "id-2" })
	if err := p.commit(t.Context(), rollInterval); !errors.Is(err, errHalted) {
		t.Errorf("commit: %v, want %v", err, errHalted)
	}
	if len(b.visible()) > 0 {
		t.Errorf("visible: %v", b.visible())
	}
}

// TestRecreatedBeforePublished has a sink die between commit and publication, and the topic made anew: what is
// committed is not read again, so it must become visible.
func TestRecreatedBeforePublished(t *testing.T) {
	b := newBench(t)
	b.cfg.Roll.MaxRecords = 0
	p := b.owned()
	b.pump(p)
	if _, err := p.session.commit(p.roll); err != nil {
		t.Fatal(err)
	}
	b.log.change(func() { b.log.id = "id-2" })
	if err := drain(t.Context(), b.partition(b.files)); !errors.Is(err, errHalted) {
		t.Errorf("got %v, want %v", err, errHalted)
	}
	b.wantOnce(0, 3)
}

// TestKafkaTroubleKeepsRoll has a broker that fails for a while: what was read before is not read again.
func TestKafkaTroubleKeepsRoll(t *testing.T) {
	b := newBench(t)
	b.cfg.Roll.MaxRecords = 0
	p := b.owned()
	b.pump(p)
	b.log.change(func() { b.log.refuse = errKafka })
	if err := p.step(t.Context()); !errors.Is(err, errKafka) {
		t.Fatalf("step: %v, want %v", err, errKafka)
	}
	b.now = b.now.Add(time.Hour)
	if err := p.step(t.Context()); !errors.Is(err, errKafka) {
		t.Fatalf("commit without Kafka: %v, want %v", err, errKafka)
	}
	if p.roll.records != 3 {
		t.Errorf("the roll has %d records, want the 3 from before", p.roll.records)
	}
	b.log.change(func() { b.log.refuse = nil })
	b.pump(p)
	if err := p.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantOnce(0, 6)
}

// TestRunEndsWithItsClaim runs the whole loop.
func TestRunEndsWithItsClaim(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := b.partition(b.files)
	var offsets []int64
	p.committed = func(next int64) {
		offsets = append(offsets, next)
		if next >= 12 {
			cancel()
		}
	}
	p.run(ctx)
	if !slices.IsSorted(offsets) || offsets[0] != 0 {
		t.Errorf("offsets committed to the group: %v", offsets)
	}
	b.wantOnce(0, offsets[len(offsets)-1])
	b.wantTidy(p)
	if stats := p.state.snapshot(b.now); stats.Committed != offsets[len(offsets)-1] || stats.OpenFiles != 0 {
		t.Errorf("after the claim: %+v", stats)
	}
}

func TestTwoSinksOnOneTopic(t *testing.T) {
	b := newBench(t)
	b.mustDrain(b.partition(b.files))
	first := b.snapshot()
	b.cfg.Name, b.cfg.Path = "test/other", "other/{key}"
	b.mustDrain(b.partition(b.files))
	for name, text := range b.snapshot() {
		if !strings.HasPrefix(name, "other/") && first[name] != text {
			t.Errorf("the second sink changed %s", name)
		}
	}
	if got := len(b.visible()); got != 2*len(first) {
		t.Errorf("%d files are visible, want %d", got, 2*len(first))
	}

	b.cfg.Name, b.cfg.Path = "test/third", "{topic}/key={key}"
	if err := drain(t.Context(), b.partition(b.files)); !errors.Is(err, errHalted) {
		t.Errorf("a sink with another's path: %v, want %v", err, errHalted)
	}
	for name, text := range first {
		if b.read(name) != text {
			t.Errorf("a sink with another's path changed %s", name)
		}
	}
}

func TestManifestSaysWhatIsInTheFiles(t *testing.T) {
	b := newBench(t)
	b.log.end = 4
	p := b.partition(b.files)
	b.mustDrain(p)
	got := b.newest(p)
	if got.Session == "" || got.First != 0 || got.Last != 3 || got.TopicID != "id-1" || len(got.Files) != 2 {
		t.Fatalf("manifest %+v", got)
	}
	for i, file := range got.Files {
		key := strconv.Itoa(i)
		want := manifestFile{Path: "lines/key=" + key + "/lines-0-00000000000000000000-00000000000000000003.log",
			Name: fileName(i), Bytes: 4, Records: 2, CRC32C: file.CRC32C,
			MinTime: time.Unix(1_700_000_000+int64(i), 0).UTC(), MaxTime: time.Unix(1_700_000_002+int64(i), 0).UTC()}
		if diff := cmp.Diff(want, file); diff != "" {
			t.Errorf("file (-want +got):\n%s", diff)
		}
	}
}
