package tail

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompressedFileIsRenamed shifts a compressed file that is not read to its end, as logrotate does every day.
func TestCompressedFileIsRenamed(t *testing.T) {
	for name, restart := range map[string]bool{"while the agent runs": false, "while no agent runs": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			l.append("app.log", lines(0, 5))
			first := l.readAll()
			l.append("app.log", lines(5, 10))
			l.rename("app.log", "app.log.1")
			l.compress()
			l.restart()
			l.scan()
			l.rename("app.log.1.gz", "app.log.2.gz")
			if restart {
				l.restart()
			}
			if diff := cmp.Diff(lines(0, 10), first+l.readAll()); diff != "" || l.lost > 0 {
				t.Errorf("%d bytes are lost; text (-want +got):\n%s", l.lost, diff)
			}
		})
	}
}

// TestOpenRefusesAnotherFile moves another file to the name of one that is known, before it is opened.
func TestOpenRefusesAnotherFile(t *testing.T) {
	for _, name := range []string{"app.log", "app.log.gz"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.Include = []string{c.Include[0] + "*"} })
			write := func(name, text string) { l.append(name, text) }
			if name == "app.log.gz" {
				write = func(name, text string) { l.gz(name, []byte(text)) }
			}
			write(name, lines(0, 10))
			write("other", lines(20, 30))
			l.scan()
			f := l.order[0]
			f.closeFile()
			l.rename("other", name)
			if n, err := f.Read(make([]byte, 1000)); !errors.Is(err, fs.ErrNotExist) || !l.set.NeedsScan() {
				t.Errorf("read %d bytes of another file: %v", n, err)
			}
		})
	}
}

// TestOpenWhatIsOpen reads again what was renamed since the last scan.
func TestOpenWhatIsOpen(t *testing.T) {
	l := newLab(t, nil)
	l.append("app.log", lines(0, 5))
	l.readAll()
	l.rename("app.log", "app.log.1")
	again, err := l.set.Open(l.order[0].Ref, Mark{})
	l.check(err)
	defer again.Close()
	if diff := cmp.Diff(lines(0, 5), l.read(again)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFoundEmptyThenRotatedTwice loses the agent right behind the creation of a file: nothing of its content is known
// when it and its successor have been compressed.
func TestFoundEmptyThenRotatedTwice(t *testing.T) {
	for name, rename := range map[string]func(l *lab){
		"numbers count up": func(l *lab) {
			l.append("app.log", lines(5, 10))
			l.rename("app.log", "app.log.1")
			l.compress("app.log.1")
			l.append("app.log", lines(10, 15))
			l.rename("app.log.2.gz", "app.log.3.gz")
			l.rename("app.log.1.gz", "app.log.2.gz")
			l.rename("app.log", "app.log.1")
			l.compress("app.log.1")
		},
		"dates": func(l *lab) {
			l.append("app.log", lines(5, 10))
			l.rename("app.log", "app.log-20261123")
			l.compress("app.log-20261123")
			l.append("app.log", lines(10, 15))
			l.rename("app.log", "app.log-20261124")
			l.compress("app.log-20261124")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			l.unchained = true
			l.append("app.log", lines(0, 5))
			first := l.readAll()
			l.rename("app.log", "app.log.2")
			l.compress("app.log.2")
			l.append("app.log", "")
			first += l.readAll()
			known := l.known()
			l.quiet(func() { rename(l) })
			l.append("app.log", lines(15, 20))
			l.startWith(known)
			if diff := cmp.Diff(lines(0, 20), first+l.readAll()); diff != "" || l.lost > 0 {
				t.Errorf("%d bytes are lost; text (-want +got):\n%s", l.lost, diff)
			}
		})
	}
}
