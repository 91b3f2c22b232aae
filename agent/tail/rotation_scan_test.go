package tail

import (
	"os"
	"testing"
	"time"
)

func TestRotationByRenameAndCreate(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", "one\ntwo\n")
	w.step()
	w.append("app.log", "three\npart of ")
	w.rename("app.log", "app.log.1")
	w.append("app.log", "a line\nfour\n")
	w.step()
	w.wantText(map[string]string{"app.log": "one\ntwo\nthree\n"})
	w.append("app.log.1", "still written ")
	w.settle()
	w.wantText(map[string]string{"app.log": "one\ntwo\nthree\npart of still written a line\nfour\n"})
	w.wantEnded()
}

func TestRotatedFileThatGrowsAfterItWasFinishedIsReadOn(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", "one\n")
	w.step()
	w.rename("app.log", "app.log.1")
	w.append("app.log", "three\n")
	w.settle()
	w.append("app.log.1", "two\n")
	w.step()
	w.wantText(map[string]string{"app.log": "one\nthree\ntwo\n"})
}

func TestKubeletRotationByRenameThenGzip(t *testing.T) {
	w := newWorld(t, "pod/*.log")
	w.start()
	w.append("pod/0.log", lines("a", 100))
	w.step()
	w.append("pod/0.log", lines("b", 10))
	w.rename("pod/0.log", "pod/0.log.20260101-000000")
	w.append("pod/0.log", lines("c", 10))
	w.settle()
	w.gzip("pod/0.log.20260101-000000")
	w.rename("pod/0.log", "pod/0.log.20260101-000010")
	w.append("pod/0.log", lines("d", 10))
	w.settle()
	w.start()
	w.settle()
	w.wantText(map[string]string{"pod/0.log": lines("a", 100) + lines("b", 10) + lines("c", 10) + lines("d", 10)})
	w.wantEnded()
	if len(w.forgotten) != 0 {
		t.Errorf("forgot %v while their compressed forms are there", w.forgotten)
	}
	w.remove("pod/0.log.20260101-000000.gz")
	w.step()
	if len(w.forgotten) != 1 {
		t.Errorf("forgot %v, want the file whose compressed form was removed", w.forgotten)
	}
}

func TestGzipWhileUnreadIsReadThroughTheDescriptor(t *testing.T) {
	w := newWorld(t, "0.log")
	w.start()
	w.append("0.log", lines("a", 50))
	w.scan()
	w.rename("0.log", "0.log.20260101-000000")
	w.append("0.log", "new\n")
	w.gzip("0.log.20260101-000000")
	w.settle()
	w.wantText(map[string]string{"0.log": lines("a", 50) + "new\n"})
	w.wantEnded()
}

func TestGzipWhileTheAgentIsDown(t *testing.T) {
	for name, read := range map[string]int{
		"nothing was read":                   0,
		"less was read than the head covers": 3,
		"much was read":                      700,
		"all was read":                       1000,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "0.log")
			w.start()
			w.append("0.log", lines("a", 1000)[:read*len(lines("a", 1))])
			w.step()
			w.start(func() {
				w.append("0.log", lines("a", 1000)[read*len(lines("a", 1)):])
				w.rename("0.log", "0.log.20260101-000000")
				w.gzip("0.log.20260101-000000")
				w.append("0.log", "new\n")
			})
			w.settle()
			w.wantText(map[string]string{"0.log": lines("a", 1000) + "new\n"})
			w.wantEnded()
		})
	}
}

func TestSeveralRotationsWhileDown(t *testing.T) {
	for name, pattern := range map[string]string{
		"patterns select the live name only":    "app.log",
		"patterns select the rotated names too": "app.log*",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, pattern)
			w.append("app.log", "zero\n")
			w.start()
			w.step()
			w.start(func() {
				w.append("app.log", "one\n")
				w.rename("app.log", "app.log.1")
				w.append("app.log", "two\n")
				w.rename("app.log.1", "app.log.2")
				w.rename("app.log", "app.log.1")
				w.append("app.log", "three\n")
				w.gzip("app.log.2")
				w.rename("app.log.2.gz", "app.log.3.gz")
				w.rename("app.log.1", "app.log.2")
				w.rename("app.log", "app.log.1")
				w.append("app.log", "four\n")
			})
			w.settle()
			w.settle()
			w.wantText(map[string]string{"app.log": "zero\none\ntwo\nthree\nfour\n"})
			w.wantEnded()
		})
	}
}

func TestSeveralRotationsBetweenTwoScansKubeletNames(t *testing.T) {
	w := newWorld(t, "*.log")
	w.append("0.log.20251231-000000", "before the first run\n")
	w.append("0.log", "one\n")
	w.start()
	w.step()
	for i, text := range []string{"two\n", "three\n", "four\n"} {
		w.rename("0.log", "0.log.20260101-00000"+string(rune('1'+i)))
		w.append("0.log", text)
	}
	w.settle()
	w.settle()
	w.wantText(map[string]string{"0.log": "one\ntwo\nthree\nfour\n"})
}

func TestFirstRunReadsRotatedSiblingsAsSeparateFiles(t *testing.T) {
	w := newWorld(t, "app.log*")
	w.append("app.log.1", "old\n")
	w.append("app.log.2", "older\n")
	w.gzip("app.log.2")
	w.append("app.log", "new\n")
	w.start()
	w.settle()
	w.wantText(map[string]string{"app.log": "new\n", "app.log.1": "old\n", "app.log.2.gz": "older\n"})
	w.rename("app.log.2.gz", "app.log.3.gz")
	w.rename("app.log.1", "app.log.2")
	w.rename("app.log", "app.log.1")
	w.append("app.log", "newest\n")
	w.settle()
	w.start()
	w.settle()
	w.wantText(map[string]string{"app.log": "new\nnewest\n", "app.log.1": "old\n", "app.log.2.gz": "older\n"})
}

func TestRenameBackAfterAFailedReopen(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("0.log", "one\n")
	w.step()
	w.rename("0.log", "0.log.20260101-000000")
	w.step()
	w.append("0.log.20260101-000000", "two\n")
	w.rename("0.log.20260101-000000", "0.log")
	w.step()
	w.append("0.log", "three\n")
	w.settle()
	w.wantText(map[string]string{"0.log": "one\ntwo\nthree\n"})
	if n := w.set.Len(); n != 1 {
		t.Errorf("%d files, want 1", n)
	}
}

func TestRenamedWhileTheAgentIsDown(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", "one\n")
	w.step()
	w.start(func() {
		w.append("app.log", "two\n")
		w.rename("app.log", "elsewhere")
		w.append("app.log", "three\n")
	})
	w.settle()
	w.wantText(map[string]string{"app.log": "one\ntwo\nthree\n"})
	w.wantEnded()
}

func TestRotatedFileIsStillAheadOfItsSuccessorAfterARestart(t *testing.T) {
	w := newWorld(t, "app.log")
	w.start()
	w.append("app.log", "one\npart ")
	w.step()
	w.rename("app.log", "app.log.1")
	w.append("app.log", "two\n")
	w.step()
	w.start()
	w.settle()
	w.wantText(map[string]string{"app.log": "one\npart two\n"})
}

func TestHardLinkIsReadOnce(t *testing.T) {
	w := newWorld(t, "*.log")
	w.append("a.log", "one\n")
	w.must(os.Link(w.path("a.log"), w.path("b.log")))
	w.start()
	w.step()
	w.wantText(map[string]string{"a.log": "one\n"})
	w.remove("a.log")
	w.append("b.log", "two\n")
	w.step()
	w.wantText(map[string]string{"a.log": "one\ntwo\n"})
}

func TestUnterminatedTailWaitsUntilTheFileCannotGrow(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", "one\ntail")
	w.step()
	w.now = w.now.Add(time.Hour)
	w.step()
	w.wantText(map[string]string{"app.log": "one\n"})
	w.rename("app.log", "app.log.1")
	w.append("app.log", "")
	w.step()
	w.now = w.now.Add(4 * time.Second)
	w.step()
	w.wantText(map[string]string{"app.log": "one\n"})
	w.now = w.now.Add(time.Second)
	w.step()
	w.wantText(map[string]string{"app.log": "one\ntail"})
}

func TestRenameWithoutSuccessorBecomesFinal(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("job.log", "one\ntail")
	w.step()
	w.rename("job.log", "job.log.done")
	w.step()
	w.now = w.now.Add(30 * time.Second)
	w.step()
	w.wantText(map[string]string{"job.log": "one\n"})
	w.now = w.now.Add(31 * time.Second)
	w.step()
	w.wantText(map[string]string{"job.log": "one\ntail"})
}
