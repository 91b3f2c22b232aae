package lines

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChecker(t *testing.T) {
	source := NewSource("w0", 1)
	var all [][]byte
	for range 300 {
		line := source.Next(time.Unix(0, 0))
		all = append(all, append([]byte(nil), line[:len(line)-1]...))
	}
	tests := map[string]struct {
		arrive func(c *Checker)
		want   Verdict
	}{
		"all once and in order": {
			arrive: func(c *Checker) { add(c, all...) },
			want:   Verdict{Written: 300, Delivered: 300},
		},
		"a planted loss is seen": {
			arrive: func(c *Checker) { add(c, all[:120]...); add(c, all[121:]...) },
			want:   Verdict{Written: 300, Delivered: 299, Lost: 1},
		},
		"a planted duplicate is seen": {
			arrive: func(c *Checker) { add(c, all...); add(c, all[7]) },
			want:   Verdict{Written: 300, Delivered: 300, Duplicated: 1},
		},
		"two lines that changed places are seen": {
			arrive: func(c *Checker) { add(c, all[1], all[0]); add(c, all[2:]...) },
			want:   Verdict{Written: 300, Delivered: 300, OutOfOrder: 1},
		},
		"a cut line is seen": {
			arrive: func(c *Checker) { add(c, all[:299]...); add(c, all[299][:len(all[299])-1]) },
			want:   Verdict{Written: 300, Delivered: 299, Lost: 1, Corrupt: 1},
		},
		"a changed byte is seen": {
			arrive: func(c *Checker) {
				changed := append([]byte(nil), all[5]...)
				changed[3] ^= 1
				add(c, all[:5]...)
				add(c, changed)
				add(c, all[6:]...)
			},
			want: Verdict{Written: 300, Delivered: 299, Lost: 1, Corrupt: 1},
		},
		"nothing came": {
			arrive: func(*Checker) {},
			want:   Verdict{Written: 300, Lost: 300},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			checker := NewChecker()
			test.arrive(checker)
			got := checker.Verdict(map[string]uint64{"w0": 300})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if perfect := name == "all once and in order"; got.Perfect() != perfect {
				t.Errorf("Perfect() = %v, want %v", got.Perfect(), perfect)
			}
		})
	}
}

func add(c *Checker, lines ...[]byte) {
	for _, line := range lines {
		c.Add(line)
	}
}

func TestMissing(t *testing.T) {
	source, checker := NewSource("w", 2), NewChecker()
	for i := range 10 {
		if line := source.Next(time.Unix(0, 0)); i != 3 && i != 8 {
			checker.Add(line[:len(line)-1])
		}
	}
	if diff := cmp.Diff([]uint64{3, 8}, checker.Missing("w", 10, 5)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}
