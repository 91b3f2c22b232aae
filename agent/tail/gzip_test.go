package tail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestGzipOfSeveralMembers(t *testing.T) {
	w := newWorld(t, "*.log")
	w.start()
	w.append("app.log", lines("a", 100))
	w.step()
	w.start(func() {
		w.append("app.log", lines("b", 100))
		data := append(gzipped([]byte(lines("a", 100))), gzipped([]byte(lines("b", 100)))...)
		w.must(os.WriteFile(w.path("app.log.1.gz"), append(data, "trailing garbage"...), 0o644))
		w.remove("app.log")
	})
	w.settle()
	w.wantText(map[string]string{"app.log": lines("a", 100) + lines("b", 100)})
	w.start()
	w.settle()
	w.wantText(map[string]string{"app.log": lines("a", 100) + lines("b", 100)})
}

func TestGzipThatIsStillBeingWritten(t *testing.T) {
	w := newWorld(t, "*.gz")
	data := gzipped([]byte(lines("a", 20000)))
	w.append("a.gz", string(data[:len(data)/2]))
	w.start()
	w.step()
	w.append("a.gz", string(data[len(data)/2:]))
	w.settle()
	w.wantText(map[string]string{"a.gz": lines("a", 20000)})
	w.wantEnded()
}

func TestGzipThatIsDamaged(t *testing.T) {
	for name, test := range map[string]struct {
		damage    func(data []byte) []byte
		wantEnded []string
	}{
		"cut off":     {func(data []byte) []byte { return data[:len(data)-20] }, []string{"a.gz Damaged -1"}},
		"overwritten": {func(data []byte) []byte { copy(data[len(data)/2:], make([]byte, 300)); return data }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "*.gz")
			w.must(os.WriteFile(w.path("a.gz"), test.damage(gzipped([]byte(lines("a", 5000)))), 0o644))
			w.append("b.gz", string(gzipped([]byte("fine\n"))))
			w.start()
			w.step()
			w.now = w.now.Add(2 * time.Minute)
			w.step()
			w.step()
			if len(w.ended) != 1 || w.text["b.gz"] != "fine\n" {
				t.Errorf("ended %v, read %q of the other", w.ended, w.text["b.gz"])
			}
			read := len(w.text["a.gz"])
			w.start()
			w.settle()
			if len(w.ended) != 1 || len(w.text["a.gz"]) != read {
				t.Errorf("ended %v and read %d more bytes after a restart", w.ended, len(w.text["a.gz"])-read)
			}
		})
	}
}

func TestGzipBomb(t *testing.T) {
	for name, test := range map[string]struct {
		maxBytes int64
		size     int
	}{
		"ratio": {maxBytes: 1 << 40, size: 64 << 20},
		"size":  {maxBytes: 1 << 19, size: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "*.gz")
			w.cfg.MaxDecompressed = test.maxBytes
			w.must(os.WriteFile(w.path("a.gz"), gzipped(make([]byte, test.size)), 0o644))
			w.start()
			w.scan()
			f := w.set.Lookup(w.path("a.gz"))
			buf := make([]byte, 1<<16)
			var read int64
			for {
				n, err := f.Read(buf)
				f.Advance(n, buf)
				if read += int64(n); read > int64(test.size)/2 {
					t.Fatalf("read %d bytes of a bomb", read)
				}
				if errors.Is(err, ErrTooLarge) {
					break
				}
				w.must(err)
			}
			w.step()
			if len(w.ended) != 1 {
				t.Errorf("ended %v", w.ended)
			}
		})
	}
}

func TestCompressedFilesAreLeftAloneIfNotConfigured(t *testing.T) {
	w := newWorld(t, "*.log*")
	w.cfg.Compressed = false
	w.append("b.log", "one\n")
	w.gzip("b.log")
	w.append("app.log", "one\n")
	w.append("c.log.zst", "no text")
	w.start()
	w.step()
	w.start(func() { w.gzip("app.log") })
	w.step()
	w.wantText(map[string]string{"app.log": "one\n"})
	w.wantEnded("app.log Deleted -1")
	if len(w.refused) == 0 || w.refused[0] != "c.log.zst: compressed in a format that is not read" {
		t.Errorf("refused %q", w.refused)
	}
}

// FuzzGzipResume compares what is read of a compressed file from any position on, in pieces of any size, with the plain
// text.
func FuzzGzipResume(f *testing.F) {
	f.Add(uint64(1), uint(5000), uint(700), uint(100), uint8(3))
	f.Add(uint64(2), uint(100), uint(100), uint(1), uint8(0))
	f.Add(uint64(3), uint(200_000), uint(255), uint(70_000), uint8(9))
	f.Add(uint64(4), uint(3000), uint(1024), uint(64), uint8(1))
	f.Fuzz(func(t *testing.T, seed uint64, size, position, piece uint, flushes uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		size, piece = size%(1<<19), 1+piece%(1<<17)
		position %= size + 1
		text := make([]byte, size)
		for i := range text {
			text[i] = "abcdefgh \n"[random.IntN(10)]
		}
		name := filepath.Join(t.TempDir(), "x.gz")
		if err := os.WriteFile(name, flushed(random, text, int(flushes)), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := openFile(filepath.Dir(name), name)
		if err != nil {
			t.Fatal(err)
		}
		w := wanted{head: headOf(text), mark: markOf(int64(position), text[:position]), maxBytes: 1 << 30}
		r, err := w.position(o)
		if err != nil {
			t.Fatalf("position: %v", err)
		}
		defer r.close()
		if !bytes.Equal(r.before(), text[max(0, int(position)-MarkBytes):position]) {
			t.Fatalf("before %d is %q", position, r.before())
		}
		got := readPieces(t, random, r.content, int(piece))
		if !bytes.Equal(got, text[position:]) {
			t.Fatalf("read %d bytes from %d on, want %d of other content", len(got), position, size-position)
		}
		w.mark.Hash++
		if _, err := w.position(o); position > 0 && !errors.Is(err, ErrChanged) {
			t.Fatalf("a wrong mark: %v, want ErrChanged", err)
		}
	})
}

// flushed compresses with flush points, and ends of members, at random places.
func flushed(random *rand.Rand, text []byte, flushes int) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	for range flushes {
		n := random.IntN(len(text) + 1)
		_, _ = zip.Write(text[:n])
		text = text[n:]
		if random.IntN(2) == 0 {
			_ = zip.Flush()
			continue
		}
		_ = zip.Close()
		zip.Reset(&out)
	}
	_, _ = zip.Write(text)
	_ = zip.Close()
	return out.Bytes()
}

// readPieces reads to the end and uses up some of each piece, as a reader of lines does.
func readPieces(t *testing.T, random *rand.Rand, c content, piece int) []byte {
	var got []byte
	for {
		buf := make([]byte, piece)
		n, err := c.read(buf, nil, 0)
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		used := 1 + random.IntN(n)
		got = append(got, buf[:used]...)
		c.used(used)
	}
}
