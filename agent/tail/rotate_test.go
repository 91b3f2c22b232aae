package tail

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	found := scan().New
	l.append("app.log", "third\n")
	found = append(found, scan().New...)
	if len(found) != 2 || found[0].Before != first || found[1].Before != found[0].File {
		t.Fatalf("found %+v, want the second file behind the first and the third behind the second", found)
	}
}

// TestCompressedWhileItIsFound: a rotated file is compressed between the moment in which its name is looked at and the
// one in which it is opened. The file behind it is not found before it.
func TestCompressedWhileItIsFound(t *testing.T) {
	rotate := func() {}
	l := newLab(t, func(cfg *Config) {
		cfg.Include[0] += "*"
		cfg.IgnoreOlder = func(string) time.Duration {
			rotate()
			return 0
		}
	})
	l.append("app.log", "first\n")
	l.scan()
	l.rename("app.log", "app.log-20261123-000001")
	l.append("app.log", "second\n")
	l.rename("app.log", "app.log-20261123-000002")
	l.append("app.log", "third\n")
	rotate = func() {
		rotate = func() {}
		l.compress("app.log-20261123-000002")
	}
	if got := l.readAll(); got != "first\nsecond\nthird\n" {
		t.Errorf("read %q", got)
	}
	if len(l.order) != 3 || l.before[l.order[2]] != l.order[1] || l.before[l.order[1]] != l.order[0] {
		t.Errorf("%d files, not each behind the one before it", len(l.order))
	}
}

// TestTruncatedAndRefilled: a log is copied, truncated and filled beyond where it was read before anyone looks again,
// so that only reading it shows that. What was not read goes on in the copy, and what is there now comes behind that.
func TestTruncatedAndRefilled(t *testing.T) {
	for name, restart := range map[string]bool{"while it is open": false, "while no one looked": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(cfg *Config) { cfg.Include[0] += "*" })
			l.append("app.log", lines(0, 20))
			got := l.readAll()
			l.append("app.log", lines(20, 25))
			l.append("app.log.20261123-000001", lines(0, 25))
			l.check(os.Truncate(l.path("app.log"), 0))
			l.append("app.log", lines(25, 80))
			if restart {
				l.restart()
			} else {
				got += l.read(l.order[0])
			}
			for range 4 {
				got += l.readAll()
			}
			if diff := cmp.Diff(lines(0, 80), got); diff != "" {
				t.Errorf("what was read (-want +got):\n%s", diff)
			}
		})
	}
}
