package tail

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestCopytruncate(t *testing.T) {
	for name, pattern := range map[string]string{
		"patterns select the live name only": "app.log",
		"patterns select the copy too":       "app.log*",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, pattern)
			w.start()
			w.append("app.log", lines("a", 40))
			w.step()
			w.append("app.log", lines("b", 4)) // not read before the truncation: only the copy has it
			w.copy("app.log.1")
			w.scan()
			w.truncate(0)
			w.append("app.log", "new\n")
			w.settle()
			w.wantText(map[string]string{"app.log": lines("a", 40) + lines("b", 4) + "new\n"})
			w.wantEnded()

			w.rename("app.log.1", "app.log.2")
			w.copy("app.log.1")
			w.truncate(0)
			w.append("app.log", "newest\n")
			w.settle()
			w.start(func() { w.gzip("app.log.2") })
			w.settle()
			w.wantText(map[string]string{"app.log": lines("a", 40) + lines("b", 4) + "new\nnewest\n"})
			w.wantEnded()
		})
	}
}

func TestCopytruncateWhileDown(t *testing.T) {
	w := newWorld(t, "app.log*")
	w.start()
	w.append("app.log", lines("a", 40))
	w.step()
	w.start(func() {
		w.append("app.log", lines("b", 4))
		w.copy("app.log.1")
		w.truncate(0)
		w.append("app.log", lines("c", 4))
		w.rename("app.log.1", "app.log.2")
		w.gzip("app.log.2")
		w.copy("app.log.1")
		w.truncate(0)
		w.append("app.log", "new\n")
	})
	w.settle()
	w.wantText(map[string]string{"app.log": lines("a", 40) + lines("b", 4) + lines("c", 4) + "new\n"})
	w.wantEnded()
}

func TestTruncationWithoutACopyCountsWhatWasNotRead(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", "one\ntwo\n")
	w.step()
	w.append("app.log", "12345678\n")
	w.scan()
	w.truncate(0)
	w.append("app.log", "new\n")
	w.step()
	w.wantText(map[string]string{"app.log": "one\ntwo\nnew\n"})
	w.wantEnded("app.log Truncated 9")
}

func TestTruncatedAndRefilledBeyondTheOldPosition(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"with other bytes":             {lines("a", 50), lines("b", 80)},
		"with the same first bytes":    {lines("a", 50), lines("a", 30) + lines("b", 50)},
		"to exactly the same size":     {lines("a", 50), lines("b", 50)},
		"to one byte more, short file": {"a\n", "bc\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "app.log")
			w.start()
			w.append("app.log", test.before)
			w.step()
			w.truncate(0)
			w.append("app.log", test.after)
			w.step() // reading sees it
			w.step() // and the next scan begins anew
			w.wantText(map[string]string{"app.log": test.before + test.after})
			w.wantEnded("app.log Truncated 0")
		})
	}
}

func TestTruncatedAndRefilledBeyondTheOldPositionWhileDown(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", lines("a", 50))
	w.step()
	w.start(func() {
		w.truncate(0)
		w.append("app.log", lines("a", 30)+lines("b", 50))
	})
	w.step()
	w.wantText(map[string]string{"app.log": lines("a", 50) + lines("a", 30) + lines("b", 50)})
	w.wantEnded("app.log Truncated -1")
}

func TestTruncationIsSeenByReadAtOnce(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", lines("a", 50))
	w.step()
	w.truncate(10)
	f := w.set.Lookup(w.path("app.log"))
	if _, err := f.Read(make([]byte, 100)); !errors.Is(err, ErrReplaced) {
		t.Errorf("error %v, want ErrReplaced", err)
	}
}

func TestIncarnationsHaveDifferentIdentities(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", "one\n")
	w.step()
	old := w.set.Lookup(w.path("app.log")).State(Mark{}).Identity
	for want := uint32(1); want < 3; want++ {
		w.truncate(0)
		w.append("app.log", strings.Repeat("x", int(want))+"\n")
		w.step()
		w.step()
		identity := w.set.Lookup(w.path("app.log")).State(Mark{}).Identity
		if identity.Incarnation != want || identity.Inode != old.Inode {
			t.Errorf("identity %+v, want incarnation %d of %+v", identity, want, old)
		}
		w.start()
		w.step()
	}
}

func TestPowerCutThatLostTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		boot      string
		truncate  int64
		wantText  string
		wantEnded string
	}{
		"after a power cut reading goes on at the new end": {
			boot: "boot-2", truncate: 12, wantText: "one\ntwo\nthree\nfour\nnew\n", wantEnded: "app.log PowerCut 7",
		},
		"in the same boot the file was truncated": {
			boot: "boot-1", truncate: 12, wantText: "one\ntwo\nthree\nfour\none\ntwo\nthrenew\n",
			wantEnded: "app.log Truncated -1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "app.log")
			w.start()
			w.append("app.log", "one\ntwo\n")
			w.step()
			head := w.set.Lookup(w.path("app.log")).State(Mark{}).Head
			w.append("app.log", "three\nfour\n")
			w.step()
			w.cfg.Boot = test.boot
			// The head that was stored is the one from before the last lines.
			w.set.Lookup(w.path("app.log")).head = head
			w.start(func() {
				w.truncate(test.truncate)
				w.append("app.log", "")
			})
			w.scan()
			w.append("app.log", "new\n")
			w.step()
			w.wantText(map[string]string{"app.log": test.wantText})
			w.wantEnded(test.wantEnded)
		})
	}
}

func TestInodeReuseWithEqualHead(t *testing.T) {
	for name, down := range map[string]bool{"while running": false, "while down": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "app.log")
			w.start()
			w.append("app.log", lines("a", 50))
			w.step()
			old := w.set.Lookup(w.path("app.log"))
			reuse := func() {
				w.remove("app.log")
				w.append("app.log", lines("a", 60))
			}
			if down {
				w.start(reuse)
			} else {
				old.detach() // as it is after a minute: an open file's inode is not reused
				reuse()
			}
			w.settle()
			fresh := w.set.Lookup(w.path("app.log"))
			if fresh.identity.Inode != old.identity.Inode {
				t.Logf("the file system did not reuse inode %d", old.identity.Inode)
			}
			w.wantText(map[string]string{"app.log": lines("a", 50) + lines("a", 60)})
		})
	}
}

func TestDeletedUnreadWhileOpenIsReadToTheEnd(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", "one\n")
	w.scan()
	file, err := os.OpenFile(w.path("app.log"), os.O_APPEND|os.O_WRONLY, 0)
	w.must(err)
	w.remove("app.log")
	w.scan()
	_, err = file.WriteString("two\ntail")
	w.must(err)
	w.must(file.Close())
	w.settle()
	w.wantText(map[string]string{"app.log": "one\ntwo\ntail"})
	w.wantEnded()
	w.step()
	if len(w.forgotten) != 1 || w.set.Len() != 0 {
		t.Errorf("forgot %v, %d left", w.forgotten, w.set.Len())
	}
}

func TestDeletedUnreadWhileNotOpenIsCounted(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", "one\n12345\n")
	w.scan()
	w.set.Lookup(w.path("app.log")).detach()
	w.remove("app.log")
	w.step()
	w.wantEnded("app.log Deleted 10")
}

func TestDeletedWhileDownIsTold(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", "one\n")
	w.step()
	w.start(func() { w.remove("app.log") })
	w.step()
	w.wantEnded("app.log Deleted -1")
}

func TestNothingIsForgottenWhileTheDirectoryIsNotThere(t *testing.T) {
	w := newWorld(t, "sub/*.log")
	w.start()
	w.append("sub/app.log", "one\n")
	w.step()
	w.start(func() { w.rename("sub", "unmounted") })
	w.step()
	w.step()
	w.wantEnded()
	w.rename("unmounted", "sub")
	w.append("sub/app.log", "two\n")
	w.step()
	w.wantText(map[string]string{"sub/app.log": "one\ntwo\n"})
}
