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

	"github.com/google/go-cmp/cmp"
)

// chaos writes app.log, rotates it in one of the usual ways, and remembers every byte it wrote.
type chaos struct {
	*lab
	random *rand.Rand
	counts bool // app.log.1, app.log.2 instead of dates
	down   bool // no one looks
	want   strings.Builder
	got    strings.Builder
	number int
	dates  int
}

func (c *chaos) write() {
	for range 1 + c.random.IntN(40) {
		c.number++
		text := fmt.Sprintf("line %06d%s\n", c.number, strings.Repeat(" of some length", c.random.IntN(6)))
		c.want.WriteString(text)
		c.append("app.log", text)
	}
}

// look scans and reads everything, if anyone does.
func (c *chaos) look() {
	if !c.down {
		c.got.WriteString(c.readAll())
	}
}

// rotated lists the rotated forms, oldest first.
func (c *chaos) rotated() []string {
	names, err := filepath.Glob(c.path("app.log?*"))
	c.check(err)
	slices.SortFunc(names, func(a, b string) int { return compareRotated(c.path("app.log"), a, b) })
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names
}

func (c *chaos) rotate() {
	if info, err := os.Stat(c.path("app.log")); err != nil || info.Size() == 0 {
		return
	}
	c.dates++
	to := fmt.Sprintf("app.log-20261123-%06d", c.dates)
	if c.counts {
		for _, name := range c.rotated() {
			rest, zipped := strings.CutSuffix(strings.TrimPrefix(name, "app.log."), gzSuffix)
			var n int
			_, err := fmt.Sscanf(rest, "%d", &n)
			c.check(err)
			next := fmt.Sprintf("app.log.%d", n+1)
			if zipped {
				next += gzSuffix
			}
			c.rename(name, next)
		}
		to = "app.log.1"
	}
	c.rename("app.log", to)
	if c.random.IntN(3) == 0 {
		c.look() // in the middle of it
	}
	c.append("app.log", "")
}

func (c *chaos) zip() {
	for _, name := range c.rotated() {
		if strings.HasSuffix(name, gzSuffix) {
			continue
		}
		if c.down {
			text, err := os.ReadFile(c.path(name))
			c.check(err)
			c.remove(name)
			c.gz(name+gzSuffix, text)
			return
		}
		c.compress(name)
		return
	}
}

func (c *chaos) act() {
	switch c.random.IntN(10) {
	case 0, 1, 2, 3:
		c.write()
	case 4, 5:
		c.rotate()
	case 6:
		c.zip()
	case 7:
		c.now = c.now.Add(time.Duration(c.random.IntN(30)) * time.Second)
	case 8:
		if c.random.IntN(2) == 0 {
			c.sleep()
		}
	default:
		c.look()
	}
}

// sleep lets no one look for a while, in which logs are written and rotated.
func (c *chaos) sleep() {
	c.look()
	c.down = true
	for range c.random.IntN(6) {
		c.write()
		if c.random.IntN(2) == 0 {
			c.rotate()
		}
		if c.random.IntN(3) == 0 {
			c.zip()
		}
	}
	c.down = false
	c.restart()
}

// TestRandomRotations lets a log be written, rotated, compressed and looked at in random order, with restarts in
// between: every line is read once, in order.
func TestRandomRotations(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 12
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			c := &chaos{random: rand.New(rand.NewPCG(seed, 1)), counts: seed%2 == 0}
			c.lab = newLab(t, func(cfg *Config) {
				if seed%4 >= 2 {
					cfg.Include[0] += "*"
				}
			})
			c.write()
			c.look()
			for range 60 {
				c.act()
			}
			c.look()
			c.now = c.now.Add(time.Minute)
			c.look()
			want, got := strings.SplitAfter(c.want.String(), "\n"), strings.SplitAfter(c.got.String(), "\n")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d bytes are lost; lines (-want +got):\n%.2000s", c.lost, diff)
			}
		})
	}
}
