package tail

import (
	"cmp"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// FuzzPattern matches arbitrary names with arbitrary patterns: a pattern that is accepted matches any name without an
// error, and whatever it matches lies below the directory that is watched for it.
func FuzzPattern(f *testing.F) {
	f.Add("/var/log/**/*.log", "/var/log/a/b.log")
	f.Add("/a/{b,c}/[a-z]?", "/a/b/cd")
	f.Add(`/a/\*/x`, "/a/*/x")
	f.Add("/**", "/")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		isPath := filepath.IsAbs(name) && filepath.Clean(name) == name && utf8.ValidString(name)
		if CheckPattern(pattern) != nil || !isPath {
			return
		}
		ok, err := doublestar.PathMatch(pattern, name)
		if err != nil {
			t.Fatalf("%q was accepted, but matching %q with it: %v", pattern, name, err)
		}
		if ok != Match(pattern, name) {
			t.Fatalf("%q and %q match: %v", pattern, name, !ok)
		}
		set := NewSet(Config{Include: []string{pattern}}, nil)
		defer set.Close()
		root := strings.TrimSuffix(set.roots[0], "/")
		if ok && name != root && !strings.HasPrefix(name, root+"/") {
			t.Errorf("%q matches %q, which is not below the root %q", pattern, name, set.roots[0])
		}
	})
}

// FuzzRotatedNames orders arbitrary names: sorting needs an order in which neither two names nor three contradict.
func FuzzRotatedNames(f *testing.F) {
	f.Add(".1", ".2.gz", ".10")
	f.Add("-20261123", "-20261124-010203.gz", ".20261122-000000")
	f.Add(".1", "-20261123", ".2")
	f.Add(".100000", ".99999", ".5")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		const live = "/l/app.log"
		names := []string{live + a, live + b, live + c}
		for _, name := range names {
			if !sibling(live, name) {
				return
			}
		}
		order := func(i, j int) int { return cmp.Compare(compareRotated(live, names[i], names[j]), 0) }
		for i := range names {
			for j := range names {
				if order(i, j) != -order(j, i) {
					t.Errorf("%q and %q: %d one way, %d the other", names[i], names[j], order(i, j), order(j, i))
				}
			}
		}
		if order(0, 1) <= 0 && order(1, 2) <= 0 && order(0, 2) > 0 {
			t.Errorf("of %q none is behind the next, but the first is behind the last", names)
		}
	})
}
