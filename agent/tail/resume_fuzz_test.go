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

	"github.com/cespare/xxhash/v2"
)

// FuzzGzipResume reads a file from any position on, in pieces of any size: what comes, and every mark that is taken on
// the way, is that of the text, whether the file is plain or compressed in members and blocks of any length.
func FuzzGzipResume(f *testing.F) {
	f.Add(uint64(1), uint(5000), uint(700), uint(100), uint8(3), true)
	f.Add(uint64(1), uint(5000), uint(700), uint(100), uint8(3), false)
	f.Add(uint64(2), uint(100), uint(100), uint(1), uint8(0), true)
	f.Add(uint64(3), uint(200_000), uint(255), uint(70_000), uint8(9), true)
	f.Add(uint64(4), uint(3000), uint(1024), uint(64), uint8(1), true)
	f.Fuzz(func(t *testing.T, seed uint64, size, position, piece uint, flushes uint8, zipped bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		text := make([]byte, size%(1<<18))
		for i := range text {
			text[i] = "abcdefgh \n"[random.IntN(10)]
		}
		offset := int64(position % uint(len(text)+1))
		file := fuzzedFile(t, random, text, int(flushes), zipped)
		file.Rewind(markOf(text, offset))
		if got := readPieces(t, random, file, text, 1+int(piece%(1<<17))); !bytes.Equal(got, text[offset:]) {
			t.Fatalf("read %d bytes from %d on, want %d of other content", len(got), offset, len(text)-int(offset))
		}
		wrong := markOf(text, offset)
		wrong.Hash++
		if file.Rewind(wrong); offset > 0 {
			if _, err := file.Read(make([]byte, 10)); !errors.Is(err, ErrReplaced) {
				t.Errorf("a wrong mark: %v, want %v", err, ErrReplaced)
			}
		}
	})
}

// markOf is the mark of an offset, made from the whole text.
func markOf(text []byte, offset int64) Mark {
	return Mark{Offset: offset, Hash: xxhash.Sum64(text[max(0, offset-MarkBytes):offset])}
}

// fuzzedFile returns the only file of a set: the text, plain or compressed.
func fuzzedFile(t *testing.T, random *rand.Rand, text []byte, flushes int, zipped bool) *File {
	t.Helper()
	name, content := filepath.Join(t.TempDir(), "app.log"), text
	if zipped {
		name, content = name+gzSuffix, flushed(random, text, flushes)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	set := NewSet(Config{Include: []string{name}, Compressed: true}, nil)
	t.Cleanup(func() { _ = set.Close() })
	changes := set.Scan()
	if len(changes.New) != 1 || len(changes.Problems) > 0 {
		t.Fatalf("found %d files: %v", len(changes.New), changes.Problems)
	}
	return changes.New[0].File
}

// flushed compresses with flush points, and ends of members, at random places.
func flushed(random *rand.Rand, text []byte, flushes int) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out) // never fails on a buffer
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

// readPieces reads to the end and uses up some of each piece, as a reader of lines does. It checks the marks inside.
func readPieces(t *testing.T, random *rand.Rand, file *File, text []byte, piece int) (got []byte) {
	t.Helper()
	buf := make([]byte, piece)
	for {
		n, err := file.Read(buf)
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, inside := range []int{0, random.IntN(n + 1), n} {
			offset := file.Position() + int64(inside)
			if mark, want := file.MarkAt(offset, buf[:n]), markOf(text, offset); mark != want {
				t.Fatalf("mark %d bytes behind position %d is %v, want %v", inside, file.Position(), mark, want)
			}
		}
		used := 1 + random.IntN(n)
		file.Advance(used, buf[:used])
		got = append(got, buf[:used]...)
	}
}
