package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

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
			l.compress("app.log.1")
			l.restart()
			l.scan()
			l.rename("app.log.1.gz", "app.log.2.gz")
			if restart {
				l.restart()
			}
			l.want(lines(0, 10), first+l.readAll())
		})
	}
}

// TestShortFileIsDeleted deletes a file of which all is the beginning of the next one, too, and compresses that, while
// nobody looks: the compressed file is the next one's.
func TestShortFileIsDeleted(t *testing.T) {
	l := newLab(t, nil)
	l.append("app.log", lines(0, 1))
	text := l.readAll()
	l.rename("app.log", "app.log.1")
	l.append("app.log", lines(0, 3))
	text += l.readAll()
	l.gz("app.log.3.gz", []byte(lines(0, 5)))
	l.remove("app.log")
	l.remove("app.log.1")
	l.append("app.log", lines(5, 6))
	l.restart()
	l.want(lines(0, 1)+lines(0, 6), text+l.readAll())
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

// TestFoundEmptyThenRotatedTwice stops right behind the creation of a file: nothing of its content is known when it and
// its successor have been compressed.
func TestFoundEmptyThenRotatedTwice(t *testing.T) {
	for name, rotated := range map[string][3]string{
		"numbers":   {"app.log.3", "app.log.2", "app.log.1"},
		"dates":     {"app.log-20261121", "app.log-20261122", "app.log-20261123"},
		"kubelet's": {"app.log.20261121-000000", "app.log.20261122-000000", "app.log.20261123-000000"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			l.append("app.log", lines(0, 5))
			text := l.readAll()
			l.rename("app.log", rotated[0])
			l.scan()
			l.remove(rotated[0])
			l.gz(rotated[0]+".gz", []byte(text))
			l.append("app.log", "")
			text += l.readAll()
			// From here on no agent runs.
			l.gz(rotated[1]+".gz", []byte(lines(5, 10)))
			l.gz(rotated[2]+".gz", []byte(lines(10, 15)))
			l.remove("app.log")
			l.append("app.log", lines(15, 20))
			l.restart()
			l.want(lines(0, 20), text+l.readAll())
		})
	}
}

// shiftingDisk calls shift right after it has told so many times what is at path.
type shiftingDisk struct {
	Disk
	path  string
	looks int
	shift func()
}

func (d *shiftingDisk) Look(path string) (Info, error) {
	found, err := d.Disk.Look(path)
	if path == d.path {
		if d.looks--; d.looks == 0 {
			d.shift()
		}
	}
	return found, err
}

// newShiftingLab has a disk whose path and shift are still to be set.
func newShiftingLab(t *testing.T, looks int) (*lab, *shiftingDisk) {
	disk := &shiftingDisk{Disk: machine{}, looks: looks}
	return newLab(t, func(c *Config) { c.Disk = disk }), disk
}

// TestNamesMoveWhileCompressedFormIsLookedFor gives the name of an older file to the compressed form of a known one
// while that is looked for.
func TestNamesMoveWhileCompressedFormIsLookedFor(t *testing.T) {
	for looks := range 6 {
		t.Run(fmt.Sprintf("at look %d", looks), func(t *testing.T) {
			l, disk := newShiftingLab(t, looks)
			l.append("app.log", lines(0, 10))
			l.scan()
			l.gz("app.log.2.gz", []byte(lines(100, 110)))
			l.gz("app.log.1.gz", []byte(lines(0, 10)))
			l.remove("app.log")
			l.append("app.log", lines(10, 20))
			disk.path, disk.shift = l.path("app.log.2.gz"), func() {
				l.rename("app.log.2.gz", "app.log.3.gz")
				l.rename("app.log.1.gz", "app.log.2.gz")
			}
			l.restart()
			l.want(lines(0, 20), l.readAll())
		})
	}
}

// TestShortFilesThatBeginAlike has files that begin with the same few lines, of which one was read to its end and
// deleted while no agent ran: the compressed form of another is not taken for it.
func TestShortFilesThatBeginAlike(t *testing.T) {
	for name, rotated := range map[string][2]string{
		"numbers": {"app.log.2", "app.log.1"},
		"dates":   {"app.log-20261122", "app.log-20261123"},
	} {
		for _, compressed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, compressed %v", name, compressed), func(t *testing.T) {
				l := newLab(t, nil)
				l.append("app.log", lines(0, 2))
				text := l.readAll()
				l.rename("app.log", rotated[0])
				l.append("app.log", lines(0, 2))
				l.scan()
				if l.order[0].Finish(); compressed {
					l.compress(rotated[0])
					l.scan()
				}
				text += l.readAll()
				// From here on no agent runs.
				l.check(os.Remove(l.order[0].path))
				l.append("app.log", lines(2, 6))
				l.rename("app.log", rotated[1])
				l.gz(rotated[1]+".gz", []byte(lines(0, 6)))
				l.remove(rotated[1])
				l.append("app.log", lines(6, 8))
				l.restart()
				l.want(lines(0, 2)+lines(0, 8), text+l.readAll())
			})
		}
	}
}

// TestDirectoryMovesAllTheTime shifts names in the middle of every look at a directory: a file that shows under none of
// them is not given up.
func TestDirectoryMovesAllTheTime(t *testing.T) {
	l, disk := newShiftingLab(t, 0)
	l.append("app.log", lines(0, 10))
	text := l.readAll()
	l.rename("app.log", "app.log.1")
	l.append("app.log.1", lines(10, 20))
	l.append("app.log", lines(20, 30))
	l.restart()
	// The file is app.log.0 when app.log.1 is looked at, and the other way round.
	there, gone := "app.log.1", "app.log.0"
	disk.path, disk.looks, disk.shift = l.path("app.log"), 1, func() {
		l.rename(there, gone)
		there, gone, disk.looks = gone, there, 1
	}
	l.scan()
	disk.shift = func() {}
	l.want(lines(0, 30), text+l.readAll())
}

// TestDirectoryBesideAFile gives up a deleted file though a directory has a name like its own.
func TestDirectoryBesideAFile(t *testing.T) {
	l := newLab(t, nil)
	l.append("app.log", lines(0, 10))
	text := l.readAll()
	l.check(os.Mkdir(l.path("app.log.d"), 0o755))
	l.restart()
	l.remove("app.log")
	l.append("app.log", lines(10, 20))
	if diff := cmp.Diff(lines(0, 20), text+l.readAll()); diff != "" || len(l.set.Files()) != 1 {
		t.Errorf("%d files are known; text (-want +got):\n%s", len(l.set.Files()), diff)
	}
}

// TestMissedFileIsCompressed compresses a file that nobody has seen yet, while it is looked for behind one that was
// deleted.
func TestMissedFileIsCompressed(t *testing.T) {
	for looks := range 8 {
		t.Run(fmt.Sprintf("at look %d", looks), func(t *testing.T) {
			l, disk := newShiftingLab(t, looks)
			l.append("app.log", lines(0, 10))
			text := l.readAll()
			later := func(name string) { l.check(os.Chtimes(l.path(name), time.Time{}, time.Now().Add(time.Second))) }
			l.append("new", lines(10, 20)) // before app.log is deleted: another inode
			later("new")
			l.remove("app.log")
			l.rename("new", "app.log.2")
			l.append("app.log.1", lines(20, 30))
			l.append("app.log", lines(30, 40))
			disk.path, disk.shift = l.path("app.log.2"), func() {
				l.gz("app.log.2.gz", []byte(lines(10, 20)))
				later("app.log.2.gz")
				l.remove("app.log.2")
			}
			later("app.log.1")
			l.restart()
			l.want(lines(0, 40), text+l.readAll())
		})
	}
}

// TestCompressedFileThatBeginsLikeAnother: little is known of how a log begins that is compressed and moves on, and
// another one, which begins like that, has its place then. The log is still the one behind that which came before it.
func TestCompressedFileThatBeginsLikeAnother(t *testing.T) {
	l, disk := newRefusingLab(t, false)
	l.append("app.log", lines(0, 5))
	text := l.readAll()
	l.rename("app.log", "app.log.1")
	l.compress("app.log.1")
	l.append("app.log", lines(5, 10)[:5])
	l.scan()
	l.restart()
	disk.path, disk.op = l.path("app.log.1"), "open"
	l.rename("app.log.1.gz", "app.log.2.gz")
	l.rename("app.log", "app.log.1")
	l.append("app.log.1", lines(5, 10)[5:])
	l.scan()
	l.rename("app.log.2.gz", "app.log.3.gz")
	l.gz("app.log.2.gz", []byte(lines(5, 10)))
	l.remove("app.log.1")
	l.gz("app.log.1.gz", []byte(lines(10, 15)))
	l.append("app.log", lines(15, 20))
	disk.path = ""
	l.want(lines(0, 20), text+l.readAll())
}

// TestNamesMoveWhileCopyIsLookedFor gives the name of a truncated log's compressed copy to another, without its ending,
// while that is looked for.
func TestNamesMoveWhileCopyIsLookedFor(t *testing.T) {
	for looks := range 8 {
		t.Run(fmt.Sprintf("at look %d", looks), func(t *testing.T) {
			l, disk := newShiftingLab(t, looks)
			l.append("app.log", lines(0, 30))
			text := l.readAll()
			l.gz("app.log.2.gz", []byte(lines(0, 40)))
			l.empty()
			l.append("app.log", lines(40, 60))
			disk.path, disk.shift = l.path("app.log.2.gz"), func() {
				l.rename("app.log.2.gz", "app.log.3.gz")
				l.copy("app.log.2")
				l.empty()
				l.append("app.log", lines(60, 70))
				disk.shift = func() {}
			}
			l.restart()
			text += l.readAll()
			disk.shift() // unless that was not looked at so often
			l.want(lines(0, 70), text+l.readAll())
		})
	}
}
