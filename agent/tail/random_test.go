package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writer rotates app.log in one of the usual ways and remembers every byte it wrote.
type writer struct {
	*world
	random *rand.Rand
	counts bool // app.log.1, app.log.2 instead of dates
	copies bool // copytruncate instead of rename
	down   bool // nobody looks
	all    strings.Builder
	number int
	clock  int
}

func (w *writer) write() {
	for range 1 + w.random.IntN(40) {
		w.number++
		line := fmt.Sprintf("line %06d%s\n", w.number, strings.Repeat(" of some length", w.random.IntN(8)))
		w.all.WriteString(line)
		w.append("app.log", line)
	}
}

func (w *writer) rotated() []string {
	names, err := filepath.Glob(w.path("app.log.*"))
	w.must(err)
	for i := range names {
		names[i] = w.base(names[i])
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := rotationOf("app.log", a)
		y, _ := rotationOf("app.log", b)
		if x.older(y) {
			return -1
		}
		return 1
	})
	return names // oldest first
}

func (w *writer) rotate() {
	if info, err := os.Stat(w.path("app.log")); err != nil || info.Size() == 0 {
		return
	}
	w.clock++
	to := fmt.Sprintf("app.log.20260101-%06d", w.clock)
	if w.counts {
		for _, name := range w.rotated() {
			r, _ := rotationOf("app.log", name)
			var n int
			_, err := fmt.Sscanf(string(r), "%d", &n)
			w.must(err)
			w.rename(name, strings.Replace(name, string(r), fmt.Sprint(n+1), 1))
		}
		to = "app.log.1"
	}
	if w.copies {
		w.copy(to)
		w.glance()
		w.truncate(0)
		// Of a file that was empty when last looked at nothing tells that it was filled and truncated since.
		w.write()
		return
	}
	w.rename("app.log", to)
	w.glance()
	w.append("app.log", "")
}

func (w *writer) compress() {
	for _, name := range w.rotated() {
		if !strings.HasSuffix(name, gzipSuffix) {
			w.gzip(name)
			return
		}
	}
}

func (w *writer) act() {
	switch w.random.IntN(10) {
	case 0, 1, 2, 3:
		w.write()
	case 4, 5:
		w.rotate()
	case 6:
		w.compress()
	case 7:
		w.scan()
	default:
		w.step()
	}
}

func (w *writer) run() {
	w.write()
	w.start()
	w.step()
	for range 60 {
		w.act()
		if w.random.IntN(12) == 0 {
			w.now = w.now.Add(time.Duration(w.random.IntN(120)) * time.Second)
		}
		if w.random.IntN(15) == 0 {
			w.start(w.whileDown)
		}
	}
	for range 12 { // one generation after the other
		w.now = w.now.Add(10 * time.Second)
		w.step()
	}
}

func (w *writer) whileDown() {
	w.down = true
	for range w.random.IntN(6) {
		w.write()
		if w.random.IntN(2) == 0 {
			w.rotate()
		}
		if w.random.IntN(3) == 0 {
			w.compress()
		}
	}
	w.down = false
}

// glance may look at the files in the middle of a rotation.
func (w *writer) glance() {
	if !w.down && w.random.IntN(3) == 0 {
		w.step()
	}
}

// TestRandomRotations lets files be written, rotated, compressed and looked at in random order, with restarts in
// between: every line is read once, in order.
func TestRandomRotations(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		for _, pattern := range []string{"app.log", "app.log*"} {
			w := &writer{world: newWorld(t, pattern), random: rand.New(rand.NewPCG(seed, 1))}
			w.counts, w.copies = seed%2 == 0, seed%4 >= 2
			w.readSize = 1 << (9 + seed%5)
			w.run()
			w.check(seed, pattern)
			_ = w.set.Close()
			if t.Failed() {
				return
			}
		}
	}
}

func (w *writer) check(seed uint64, pattern string) {
	name := fmt.Sprintf("seed %d, pattern %s, counts %v, copies %v", seed, pattern, w.counts, w.copies)
	for source, text := range w.text {
		if source != "app.log" {
			w.t.Errorf("%s: read %d lines as %s", name, strings.Count(text, "\n"), source)
		}
	}
	want, got := strings.SplitAfter(w.all.String(), "\n"), strings.SplitAfter(w.text["app.log"], "\n")
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			w.t.Errorf("%s: read %d lines, want %d; the first wrong one is %d", name, len(got), len(want), i)
			if i < len(got) {
				w.t.Errorf("it is %.20q", got[i])
			}
			break
		}
	}
	if len(w.ended) > 0 {
		w.t.Errorf("%s: ended %v", name, w.ended)
	}
}
