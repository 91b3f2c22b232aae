package store

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// pipe returns the two ends of a connection.
func pipe(t *testing.T) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if near, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return near, far
}

func TestTimedConnClosesWhenItTakesTooLong(t *testing.T) {
	near, far := pipe(t)
	conn := &timedConn{Conn: near, timeout: 10 * time.Millisecond}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got error %v, want a timeout", err)
	}
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got error %v at the other end, want the end", err)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("wrote to a closed connection")
	}
}

func TestNameNodeConn(t *testing.T) {
	frame := func(length int, data string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(length))) + data
	}
	tests := map[string]struct {
		sent, wantError string
	}{
		"answers, one empty":  {sent: frame(3, "abc") + frame(0, "") + frame(5, "defgh")},
		"too long an answer":  {sent: frame(1, "a") + frame(maxAnswer+1, "b"), wantError: "longer than"},
		"the longest length":  {sent: frame(1<<32-1, ""), wantError: "longer than"},
		"an answer cut short": {sent: frame(8, "abc"), wantError: "EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			near, far := pipe(t)
			go func() {
				_, _ = far.Write([]byte(test.sent))
				far.Close()
			}()
			failed := false
			conn := &nameNodeConn{
				timedConn: timedConn{Conn: near, timeout: time.Minute}, failed: func() { failed = true },
			}
			got, err := readFrames(conn)
			switch {
			case test.wantError == "" && (!errors.Is(err, io.EOF) || got != test.sent):
				t.Errorf("got %q and error %v, want %q", got, err, test.sent)
			case test.wantError != "" && (err == nil || !strings.Contains(err.Error(), test.wantError)):
				t.Errorf("got error %v, want %q", err, test.wantError)
			}
			if !failed {
				t.Error("did not tell of the failure")
			}
		})
	}
}

// readFrames reads as the library does, until an error.
func readFrames(r io.Reader) (string, error) {
	var got strings.Builder
	for {
		var length [4]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return got.String(), err
		}
		got.Write(length[:])
		frame := make([]byte, min(binary.BigEndian.Uint32(length[:]), 1<<20))
		if _, err := io.ReadFull(r, frame); err != nil {
			return got.String(), err
		}
		got.Write(frame)
	}
}

func TestBlockConnKeepsTheFirstError(t *testing.T) {
	near, far := pipe(t)
	conn := &blockConn{timedConn: timedConn{Conn: near, timeout: time.Minute}}
	far.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("got read error %v, want %v", err, io.EOF)
	}
	conn.fail(errAborted)
	if err := conn.failure(); !errors.Is(err, io.EOF) {
		t.Errorf("keeps error %v, want %v", err, io.EOF)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got read error %v, want %v", err, io.EOF)
	}
}

func TestBlockConnSwallowsWhatCannotBeWritten(t *testing.T) {
	near, _ := pipe(t)
	conn := &blockConn{timedConn: timedConn{Conn: near, timeout: time.Minute}}
	near.Close()
	for range 2 {
		if n, err := conn.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("got %d and error %v, want 3 and none", n, err)
		}
		if err := conn.failure(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("keeps error %v, want %v", err, net.ErrClosed)
		}
	}
}

func TestConnectorAvoidsWhatFails(t *testing.T) {
	d := &connector{addresses: []string{"a", "b", "c"}}
	d.avoid("b")
	d.avoid("a")
	d.avoid("a")
	if got := strings.Join(d.order(), ""); got != "bca" {
		t.Errorf("got order %s, want bca", got)
	}
}
