package tail

import (
	"testing"
	"time"
)

// TestRotatedWhileItIsFound: a file is rotated between the moment in which its name is looked at and the one in which
// it is opened. It was found under its new name, so the next file that has its name comes behind it.
func TestRotatedWhileItIsFound(t *testing.T) {
	rotate := func() {}
	l := newLab(t, func(cfg *Config) {
		cfg.IgnoreOlder = func(string) time.Duration {
			rotate()
			return 0
		}
	})
	scan := func() Changes {
		t.Helper()
		changes, err := l.set.Scan()
		l.check(err)
		return changes
	}
	l.append("app.log", "first\n")
	first := scan().New[0].File
	l.rename("app.log", "app.log-20261123-000001")
	l.append("app.log", "second\n")
	rotate = func() {
		rotate = func() {}
		l.rename("app.log", "app.log-20261123-000002")
	}
	second := scan().New
	if len(second) != 1 || second[0].Before != first {
		t.Fatalf("found %+v, want the second file behind the first", second)
	}
	l.append("app.log", "third\n")
	third := scan().New
	if len(third) != 1 || third[0].Before != second[0].File {
		t.Fatalf("found %+v, want the third file behind the second", third)
	}
}
