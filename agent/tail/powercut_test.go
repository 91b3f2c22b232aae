package tail

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// bootDisk is a disk of a machine that is started again.
type bootDisk struct {
	Disk
	name  string
	since time.Time
}

// Boot implements Disk.
func (d *bootDisk) Boot() (name string, since time.Time) { return d.name, d.since }

// newBootLab has a machine whose power can be cut.
func newBootLab(t *testing.T) (*lab, *bootDisk) {
	disk := &bootDisk{machine{}, "first", time.Now().Add(-time.Hour)}
	return newLab(t, func(cfg *Config) { cfg.Disk, cfg.Seen = disk, time.Now().Add(-30*time.Minute) }), disk
}

func (l *lab) shorten(size int) { l.t.Helper(); l.check(os.Truncate(l.path("app.log"), int64(size))) }

// age dates the log an hour back.
func (l *lab) age() {
	l.t.Helper()
	before := time.Now().Add(-time.Hour)
	l.check(os.Chtimes(l.path("app.log"), before, before))
}

func TestPowerCut(t *testing.T) {
	read := lines(0, 30)
	const torn = "line 25 of a log that"
	const newLines = 100 // numbers of lines that are written after the cut
	tests := map[string]struct {
		// left is what the disk has kept of the log, added what was written before the agent looked.
		left, added string
		// wantAgain is what comes twice.
		wantAgain string
	}{
		"nothing was lost":                       {left: read},
		"nothing was lost, and a line added":     {left: read, added: lines(newLines, 101)},
		"lines were lost":                        {left: lines(0, 25)},
		"the end of a line was lost":             {left: lines(0, 25) + torn},
		"all was lost":                           {left: ""},
		"what is left is shorter than a head":    {left: lines(0, 2)},
		"what is left is shorter than a batch":   {left: "line"},
		"what was left was shorter than a batch": {left: "line\n", added: lines(newLines, 101), wantAgain: "line\n"},
		"a line was added behind what was left":  {left: lines(0, 25), added: lines(newLines, 101)},
		"a line was added behind a torn one": {
			left: lines(0, 25) + torn, added: "\n" + lines(newLines, 101), wantAgain: torn},
		"more was added than was lost":            {left: lines(0, 25) + torn, added: lines(newLines, 140), wantAgain: torn},
		"more was added, and much had been lost":  {left: lines(0, 5) + torn, added: lines(newLines, 200), wantAgain: torn},
		"a line was added where all had been":     {left: "", added: lines(newLines, 101)},
		"more was added than there was":           {left: "", added: lines(newLines, 200)},
		"other lines were there before the cut":   {left: lines(200, 225)},
		"other lines were there, and some added":  {left: lines(200, 225), added: lines(newLines, 101)},
		"more other lines than there were before": {left: lines(200, 250)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, disk := newBootLab(t)
			l.append("app.log", read)
			l.want(read, l.readAll())
			l.empty()
			l.append("app.log", test.left)
			if l.age(); test.added != "" {
				l.append("app.log", test.added)
			}
			disk.name, disk.since = "second", time.Now().Add(-time.Minute)
			l.restart()
			want := test.wantAgain + test.added
			if strings.HasPrefix(test.left, lines(200, 201)) {
				want = test.left + test.added // it was truncated before
			}
			l.want(want, l.readAll())
			l.append("app.log", "\n"+lines(500, 510))
			l.want("\n"+lines(500, 510), l.readAll())
			l.restart() // the same machine
			l.want("", l.readAll())
			disk.name = "third"
			l.restart()
			l.want("", l.readAll())
		})
	}
}

// TestPowerCutBesideCopies cuts the power before, or after, a log of which 30 lines were read is copied and truncated
// while nobody looks.
func TestPowerCutBesideCopies(t *testing.T) {
	tests := map[string]struct {
		copied, log, want string
		unmarked          bool // the cut came before the first mark there is of the log
	}{
		"the log was cut off, written to, and copied": {
			copied: lines(0, 25) + lines(100, 110), log: lines(200, 205), want: lines(100, 110) + lines(200, 205)},
		"the log was copied, written to, and cut off": {
			copied: lines(0, 35), log: lines(200, 205), want: lines(30, 35) + lines(200, 205)},
		"the log was read further than its copy, and cut off": {
			copied: lines(0, 28), log: lines(200, 205), want: lines(200, 205)},
		"the log was cut off and written to, and is being copied": {
			copied: lines(0, 25) + lines(100, 110), log: lines(0, 25) + lines(100, 140), want: lines(100, 140)},
		"the log was cut off before its first mark, written to, and copied: all that is left comes again": {
			copied: lines(0, 25) + lines(100, 110), log: lines(200, 205),
			want: lines(0, 25) + lines(100, 110) + lines(200, 205), unmarked: true},
	}
	for name, test := range tests {
		for _, suffix := range []string{"", gzSuffix} {
			t.Run(name+suffix, func(t *testing.T) {
				l, disk := newBootLab(t)
				l.append("app.log", lines(0, 30))
				l.readAll()
				if test.unmarked {
					clear(l.trails)
				}
				if suffix == "" {
					l.append("app.log.1", test.copied)
				} else {
					l.gz("app.log.1.gz", []byte(test.copied))
				}
				l.empty()
				l.append("app.log", test.log)
				disk.name, disk.since = "second", time.Now().Add(-time.Minute)
				l.restart()
				l.want(test.want, l.readAll())
			})
		}
	}
}

// TestTwoPowerCutsAndACopy cuts off a log, and before that was read again, it is copied and truncated, and the power
// cut once more. The copy is that of what was left, and no earlier life of the log was read past it.
func TestTwoPowerCutsAndACopy(t *testing.T) {
	l, disk := newBootLab(t)
	left := lines(0, 25) + lines(100, 103)
	l.append("app.log", lines(0, 30))
	l.readAll()
	clear(l.trails)
	known := []Known{l.known(l.order[0])} // something of it is pending
	l.shorten(len(lines(0, 25)))
	l.append("app.log", lines(100, 103))
	disk.name, disk.since = "second", time.Now().Add(-time.Minute)
	l.restart()
	l.scan()
	known = append(known, l.known(l.order[1]))
	l.copy("app.log.1")
	l.empty()
	l.append("app.log", lines(200, 220))
	disk.name, disk.since = "third", time.Now().Add(-time.Second)
	l.startWith(known)
	l.want(left+lines(200, 220), l.readAll())
}

// TestTwoLivesAndAPowerCut copies and truncates a log twice. An agent that starts after a power cut has placed neither
// of the two lives of the log that it knows, and finds them in their copies.
func TestTwoLivesAndAPowerCut(t *testing.T) {
	l, disk := newBootLab(t)
	inUse := 0
	l.cfg.InUse = func(*File) bool { inUse++; return inUse == 1 } // so that names are looked at twice
	l.append("app.log", lines(0, 30))
	l.readAll()
	clear(l.trails)
	known := []Known{l.known(l.order[0])}
	l.copyTruncate("app.log.2")
	l.append("app.log", lines(30, 60))
	l.readAll()
	clear(l.trails)
	known = append(known, l.known(l.order[1]))
	l.append("app.log", lines(60, 65))
	l.copy("app.log.1")
	l.empty()
	l.append("app.log", lines(70, 75))
	disk.name, disk.since = "second", time.Now().Add(-time.Second)
	l.startWith(known)
	l.want(lines(60, 65)+lines(70, 75), l.readAll())
}

// TestLeftOfALogIsInACopy cuts off a log, reads what is written then, and further than its next copy goes. What was
// left is there to be read again from that copy.
func TestLeftOfALogIsInACopy(t *testing.T) {
	l, disk := newBootLab(t)
	l.append("app.log", lines(0, 30))
	l.readAll()
	log := l.order[0]
	l.shorten(len(lines(0, 25)))
	l.age()
	disk.name, disk.since = "second", time.Now()
	l.restart()
	l.scan()
	l.append("app.log", lines(100, 105))
	text := l.readAll()
	l.copy("app.log.1")
	l.append("app.log", lines(105, 107))
	text += l.readAll()
	l.empty()
	l.append("app.log", lines(200, 205))
	l.want(lines(100, 107)+lines(200, 205), text+l.readAll())
	again, err := l.set.Open(log.Ref, Mark{})
	l.check(err)
	defer again.Close()
	if got := l.read(again); got != lines(0, 25) {
		t.Errorf("read again: %q", got)
	}
}

// TestPowerCutAndRotations cuts off a log. A look at it shows that, and it moves on before the next scan; or the agent
// starts again before that, and looks anew.
func TestPowerCutAndRotations(t *testing.T) {
	for name, again := range map[string]bool{"the agent runs": false, "the agent starts again": true} {
		t.Run(name, func(t *testing.T) {
			l, disk := newBootLab(t)
			l.append("app.log", lines(0, 30))
			l.readAll()
			l.shorten(len(lines(0, 25)))
			l.append("app.log", lines(100, 110))
			disk.name, disk.since = "second", time.Now().Add(-time.Minute)
			l.restart()
			if _, err := l.order[0].Read(make([]byte, 100)); !errors.Is(err, ErrReplaced) {
				t.Fatal(err)
			}
			if again {
				l.restart()
			}
			l.rename("app.log", "app.log.2")
			l.append("app.log.1", lines(200, 205))
			l.append("app.log", lines(300, 305))
			l.want(lines(100, 110)+lines(200, 205)+lines(300, 305), l.readAll())
		})
	}
}

// TestPowerCutTakesAll leaves nothing of a log: what is written to it then is not what is pending of it.
func TestPowerCutTakesAll(t *testing.T) {
	l, disk := newBootLab(t)
	l.append("app.log", lines(0, 30))
	l.readAll()
	log := l.order[0]
	l.empty()
	l.age()
	disk.name, disk.since = "second", time.Now()
	l.restart()
	l.scan()
	l.append("app.log", lines(100, 105))
	if again, err := l.set.Open(log.Ref, Mark{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v can be opened again, error: %v", again, err)
	}
	l.want(lines(100, 105), l.readAll())
}

// TestFinishedFilesAreClosed looks at files that were finished before the machine was started, and lets go of them.
func TestFinishedFilesAreClosed(t *testing.T) {
	l, disk := newBootLab(t)
	l.cfg.Include[0] += "*"
	l.append("app.log.1", lines(0, 30))
	l.append("app.log", lines(30, 31))
	l.readAll()
	l.order[0].Finish()
	disk.name, disk.since = "second", time.Now()
	l.restart()
	l.scan()
	if done := l.order[0]; done.boot != "second" || done.fd != nil {
		t.Errorf("%s was looked at in the %s run of the machine, and is open: %v", done.Path(), done.boot, done.fd != nil)
	}
}

// TestPowerCutIsTold counts what was read and is not in the file any more.
func TestPowerCutIsTold(t *testing.T) {
	l, disk := newBootLab(t)
	l.append("app.log", lines(0, 30))
	l.readAll()
	l.shorten(len(lines(0, 25)))
	l.age()
	disk.name, disk.since = "second", time.Now()
	l.restart()
	changes := l.set.Scan()
	want := Cut{File: l.order[0], Bytes: int64(len(lines(25, 30)))}
	if len(changes.Cut) != 1 || changes.Cut[0] != want {
		t.Errorf("got %+v, want %+v", changes.Cut, want)
	}
	// What was sealed before the cut is read again as far as it is there, and no further.
	l.append("app.log", lines(100, 130))
	again, err := l.set.Open(l.order[0].Ref, Mark{})
	l.check(err)
	defer again.Close()
	l.want(lines(0, 25), l.read(again))
}

// TestRenameIsLost cuts the power after a log was renamed, read to its end and finished, which the disk does not know:
// it has its name again, and goes on.
func TestRenameIsLost(t *testing.T) {
	for name, added := range map[string]string{"with little behind": lines(60, 61), "with more behind": lines(60, 90)} {
		t.Run(name, func(t *testing.T) {
			l, disk := newBootLab(t)
			l.append("app.log", lines(0, 30))
			l.readAll()
			l.rename("app.log", "app.log.1")
			l.append("app.log", lines(30, 31))
			l.now = l.now.Add(time.Minute)
			l.want(lines(30, 31), l.readAll())
			l.order[0].Finish()
			l.remove("app.log")
			l.rename("app.log.1", "app.log")
			l.shorten(len(lines(0, 25)))
			l.append("app.log", added)
			disk.name, disk.since = "second", time.Now().Add(-time.Minute)
			l.restart()
			l.want(added, l.readAll())
		})
	}
}

func TestTrail(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var trail Trail
		var at, widest int64
		for most := 1 + random.Int64N(100_000); at < 1<<28 && widest < 5000*most; {
			step := 1 + random.Int64N(most)
			at += step
			widest = max(widest, at)
			trail = trail.Then(Mark{Offset: at})
			if len(trail) > maxTrail || trail[len(trail)-1].Offset != at {
				t.Fatalf("%d marks, the last at %d of %d", len(trail), trail[len(trail)-1].Offset, at)
			}
			if random.IntN(100) == 0 {
				checkGaps(t, trail, at, most)
			}
		}
		if again := trail.Then(Mark{Offset: at}); !slices.Equal(again, trail) {
			t.Error("a mark is in it twice")
		}
	}
}

// checkGaps makes sure that no gap is wider than what lies behind it, but for one step and for the first: what came so
// long before the end is left out.
func checkGaps(t *testing.T, trail Trail, end, step int64) {
	t.Helper()
	for i := 2; i < len(trail); i++ {
		if gap, behind := trail[i].Offset-trail[i-1].Offset, end-trail[i].Offset; gap > behind+step {
			t.Fatalf("a gap of %d bytes, %d before the end: %v", gap, behind, trail)
		}
	}
}
