package tail

import (
	"errors"
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
	l.append("app.log", "first\n")
	first := l.set.Scan().New[0].File
	l.rename("app.log", "app.log-20261123-000001")
	l.append("app.log", "second\n")
	rotate = func() {
		rotate = func() {}
		l.rename("app.log", "app.log-20261123-000002")
	}
	found := l.set.Scan().New
	l.append("app.log", "third\n")
	found = append(found, l.set.Scan().New...)
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

// TestUnknownLogIsCopied comes upon a log that nobody has seen before while it is being copied, and truncated then.
func TestUnknownLogIsCopied(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Include[0] += "*" })
	l.append("app.log", lines(0, 20))
	l.append("app.log.1", lines(0, 10))
	text := l.readAll()
	l.append("app.log.1", lines(10, 20))
	text += l.readAll()
	l.truncate()
	l.append("app.log", lines(20, 25))
	l.want(lines(0, 25), text+l.readAll())
}

// TestCopyBeforeUnknownLog comes upon a log that has been copied and truncated. It was there before its copy: so no
// record goes on from that one.
func TestCopyBeforeUnknownLog(t *testing.T) {
	for name, copied := range map[string]bool{"copied and truncated": true, "renamed": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.Include[0] += "*" })
			older, newer := "app.log.1", "app.log"
			if copied {
				older, newer = newer, older
			}
			l.append(older, "")
			before, err := l.set.disk.Look(l.path(older))
			l.check(err)
			if before.ID.Birth == 0 {
				t.Skip("the file system does not know when files were made")
			}
			for after := before; after.ID.Birth <= before.ID.Birth; { // its clock has ticks
				_ = os.Remove(l.path(newer))
				l.append(newer, "")
				after, err = l.set.disk.Look(l.path(newer))
				l.check(err)
			}
			l.append("app.log.1", lines(0, 20))
			l.append("app.log", lines(20, 25))
			l.want(lines(0, 25), l.readAll())
			if log := l.order[1]; log.Path() != l.path("app.log") || log.Afresh() != copied {
				t.Errorf("%s afresh: %v", log.Path(), log.Afresh())
			}
		})
	}
}

// TestLaterCopyIsAfresh finds another copy of a log that has been copied and truncated before: no record goes on in it.
func TestLaterCopyIsAfresh(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Include[0] += "*" })
	l.append("app.log", lines(0, 20))
	l.readAll()
	l.copyTruncate("app.log.2")
	l.append("app.log", lines(20, 40))
	l.readAll()
	l.unchained = true
	l.append("app.log.1", lines(100, 110))
	l.readAll()
	if copied := l.order[len(l.order)-1]; copied.Path() != l.path("app.log.1") || !copied.Afresh() {
		t.Errorf("%s afresh: %v", copied.Path(), copied.Afresh())
	}
}

// TestCopyOfLessThanWasRead interrupts an agent that has read a log further than its copy goes, and has not stored all
// of it when the log is truncated: what the copy has is read again from there.
func TestCopyOfLessThanWasRead(t *testing.T) {
	unsettled := true
	l := newLab(t, func(c *Config) {
		c.Include[0] += "*"
		c.Unsettled = func(*File) bool { return unsettled }
	})
	l.append("app.log", lines(0, 10))
	stored := l.readAll()
	log, mark := l.order[0], l.order[0].mark
	l.append("app.log", lines(10, 20))
	l.copy("app.log.1")
	l.append("app.log", lines(20, 25))
	l.readAll()
	beyond := log.mark
	l.truncate()
	l.append("app.log", lines(25, 30))
	if text := l.readAll(); text != "" || len(l.order) > 1 || !log.Final() {
		t.Errorf("%d files, the log final: %v; read %q", len(l.order), log.Final(), text)
	}
	if !l.set.Sought(log.Ref) {
		t.Error("what is pending of the log counts as gone before its copy is known")
	}
	log.Rewind(mark) // as after an interruption
	unsettled = false
	want := lines(0, 20) + lines(25, 30)
	if diff := cmp.Diff(want, stored+l.readAll()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := l.set.Open(log.Ref, beyond)
	l.check(err)
	defer again.Close()
	if _, err := again.Read(make([]byte, 100)); !errors.Is(err, ErrNotFound) {
		t.Errorf("reading what the copy does not have: %v", err)
	}
}

// TestCopyWaitsWhileTheClockJumps finds a copy whose date is far in the past or in the future: it waits for the log to
// be truncated all the same, a minute of the time that passes.
func TestCopyWaitsWhileTheClockJumps(t *testing.T) {
	for name, skew := range map[string]time.Duration{"no jump": 0, "forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.Include[0] += "*" })
			l.append("app.log", lines(0, 20))
			text := l.readAll()
			l.copy("app.log.1")
			l.check(os.Chtimes(l.path("app.log.1"), time.Time{}, l.now.Add(-skew)))
			text += l.readAll()
			l.now = l.now.Add(copyGrace / 2)
			text += l.readAll()
			if len(l.order) > 1 {
				t.Error("the copy was taken for a log of its own at once")
			}
			l.unchained = true
			l.now = l.now.Add(copyGrace)
			if diff := cmp.Diff(lines(0, 20)+lines(0, 20), text+l.readAll()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRotatedBehindADeletedFile: while the disk refuses to open a log, the one before it is compressed, the agent
// starts again, and both move on, the older one until it is deleted. The other came after it all the same.
func TestRotatedBehindADeletedFile(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.append("app.log", lines(0, 5))
	text := l.readAll()
	l.rename("app.log", "app.log.1")
	disk.path, disk.op = l.path("app.log"), "open"
	l.append("app.log", lines(5, 10))
	l.compress("app.log.1")
	l.scan()
	l.restart()
	l.rename("app.log", "app.log.2")
	l.append("app.log.1", lines(10, 15))
	l.append("app.log", lines(15, 20))
	l.remove("app.log.1.gz")
	disk.path = ""
	l.want(lines(0, 20), text+l.readAll())
}

// TestRotatedBehindADeletedGzip is the same for a log that was compressed when it was found: how old it is, is not
// known, but what came before it.
func TestRotatedBehindADeletedGzip(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.append("app.log", lines(0, 5))
	text := l.readAll()
	l.rename("app.log", "app.log.2")
	l.append("app.log", lines(10, 15))
	l.gz("app.log.1.gz", []byte(lines(5, 10)))
	disk.path, disk.op = l.path("app.log"), "open"
	text += l.readAll()
	l.restart()
	l.rename("app.log", "app.log.2")
	l.append("app.log.1", lines(15, 20))
	l.append("app.log", lines(20, 25))
	l.remove("app.log.1.gz")
	disk.path = ""
	l.want(lines(0, 25), text+l.readAll())
}
