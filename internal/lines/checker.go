package lines

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"sort"
)

// Verdict counts what became of the lines that were written.
type Verdict struct {
	Written    uint64 `json:"written"`
	Delivered  uint64 `json:"delivered"`
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	OutOfOrder uint64 `json:"outOfOrder"`
	// Corrupt lines are not whole: cut, merged or changed.
	Corrupt uint64 `json:"corrupt"`
}

// Perfect tells whether every line came exactly once, whole and in order.
func (v Verdict) Perfect() bool {
	return v.Delivered == v.Written && v.Lost+v.Duplicated+v.OutOfOrder+v.Corrupt == 0
}

// String is the sentence that a demo ends with.
func (v Verdict) String() string {
	s := fmt.Sprintf("written %d, delivered %d, lost %d, duplicated %d, out of order %d",
		v.Written, v.Delivered, v.Lost, v.Duplicated, v.OutOfOrder)
	if v.Corrupt > 0 {
		s += fmt.Sprintf(", corrupt %d", v.Corrupt)
	}
	return s
}

// Checker is shown the lines that arrived, in the order of each partition, and compares them with what was written.
type Checker struct {
	writers    map[string]*arrivals
	duplicated uint64
	outOfOrder uint64
	corrupt    uint64
}

// arrivals is one bit per line of a writer.
type arrivals struct {
	seen    []uint64
	highest uint64
	any     bool
}

// NewChecker returns a checker that has seen nothing.
func NewChecker() *Checker { return &Checker{writers: map[string]*arrivals{}} }

// Add shows the checker one line that arrived, without its newline.
func (c *Checker) Add(line []byte) {
	writer, sequence, ok := Parse(line)
	if !ok {
		c.corrupt++
		return
	}
	w := c.writers[writer]
	if w == nil {
		w = &arrivals{}
		c.writers[writer] = w
	}
	word, bit := sequence/64, uint64(1)<<(sequence%64)
	for uint64(len(w.seen)) <= word {
		w.seen = append(w.seen, make([]uint64, 1024)...)
	}
	if w.seen[word]&bit != 0 {
		c.duplicated++
		return
	}
	w.seen[word] |= bit
	if w.any && sequence < w.highest {
		c.outOfOrder++
	}
	w.highest, w.any = max(w.highest, sequence), true
}

// AddAll shows the checker every line of text, which may be up to 64 KiB long. Errors are those of reading.
func (c *Checker) AddAll(text io.Reader) error {
	in := bufio.NewScanner(text)
	for in.Scan() {
		c.Add(in.Bytes())
	}
	return in.Err()
}

// Delivered is the number of different lines seen so far of a writer.
func (c *Checker) Delivered(writer string) uint64 {
	w := c.writers[writer]
	if w == nil {
		return 0
	}
	var n int
	for _, word := range w.seen {
		n += bits.OnesCount64(word)
	}
	return uint64(n)
}

// Next is the number behind the highest seen so far of a writer.
func (c *Checker) Next(writer string) uint64 {
	if w := c.writers[writer]; w != nil {
		return w.highest + 1
	}
	return 0
}

// Missing lists up to limit numbers of a writer's first written lines that did not come.
func (c *Checker) Missing(writer string, written uint64, limit int) []uint64 {
	w := c.writers[writer]
	var out []uint64
	for i := uint64(0); i < written && len(out) < limit; i++ {
		if w == nil || i/64 >= uint64(len(w.seen)) || w.seen[i/64]&(1<<(i%64)) == 0 {
			out = append(out, i)
		}
	}
	return out
}

// Verdict compares what arrived with how many lines each writer wrote. Lines that nobody wrote count as corrupt.
func (c *Checker) Verdict(written map[string]uint64) Verdict {
	v := Verdict{Duplicated: c.duplicated, OutOfOrder: c.outOfOrder, Corrupt: c.corrupt}
	names := make([]string, 0, len(c.writers))
	for name := range c.writers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		n := c.Delivered(name)
		v.Delivered += n
		if w := c.writers[name]; w.any && w.highest >= written[name] {
			v.Corrupt++
		}
	}
	for name, n := range written {
		v.Written += n
		v.Lost += n - min(n, c.Delivered(name))
	}
	return v
}
