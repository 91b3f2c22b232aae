package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exception is what a NameNode throws.
type exception struct{ class, message string }

func (e exception) Error() string     { return "call failed" }
func (e exception) Method() string    { return "m" }
func (e exception) Desc() string      { return "ERROR_APPLICATION" }
func (e exception) Exception() string { return e.class }
func (e exception) Message() string   { return e.message + "\n\tat org.apache.hadoop.Trace" }

func TestDescribe(t *testing.T) {
	type verdict struct {
		Text                          string
		Unavailable, Blocked, NotDone bool
	}
	path := func(err error) error { return &fs.PathError{Op: "create", Path: "/root/f", Err: err} }
	tests := map[string]struct {
		err        error
		wantReason error
		want       verdict
	}{
		"missing": {path(os.ErrNotExist), fs.ErrNotExist, verdict{Text: "op f: file does not exist"}},
		"missing, raw": {
			exception{"java.io.FileNotFoundException", "no f"}, fs.ErrNotExist, verdict{Text: "op f: no f"},
		},
		"fenced": {
			exception{"org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", "no lease"}, fs.ErrNotExist,
			verdict{Text: "op f: no lease"},
		},
		"below a file": {
			path(exception{"org.apache.hadoop.fs.ParentNotDirectoryException", "f (is not a directory)"}), fs.ErrNotExist,
			verdict{Text: "op f: f (is not a directory)"},
		},
		"not empty": {
			path(exception{"java.io.IOException", "rename destination directory is not empty: /b"}), ErrNotEmpty,
			verdict{Text: "op f: rename destination directory is not empty: /b"},
		},
		"not permitted": {
			path(os.ErrPermission), fs.ErrPermission, verdict{Text: "op f: permission denied", Blocked: true},
		},
		"quota": {
			path(exception{"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", "quota of /d is exceeded"}), nil,
			verdict{Text: "op f: quota of /d is exceeded (DSQuotaExceededException)", Blocked: true},
		},
		"safe mode": {
			path(exception{"org.apache.hadoop.hdfs.server.namenode.SafeModeException", "is in safe mode"}), nil,
			verdict{Text: "op f: is in safe mode (SafeModeException)", Unavailable: true, NotDone: true},
		},
		"no DataNode": {
			path(exception{"java.io.IOException", "File /f could only be written to 0 of the 1 nodes"}), nil,
			verdict{
				Text:        "op f: File /f could only be written to 0 of the 1 nodes (IOException)",
				Unavailable: true, NotDone: true,
			},
		},
		"no NameNode": {
			errors.New("no available namenodes: dial tcp: connection refused"), nil,
			verdict{Text: "op f: no available namenodes: dial tcp: connection refused", Unavailable: true, NotDone: true},
		},
		"lost answer": {
			path(io.EOF), io.EOF, verdict{Text: "op f: EOF", Unavailable: true},
		},
		"lost connection": {
			&net.OpError{Op: "read", Err: syscall.ECONNRESET}, syscall.ECONNRESET,
			verdict{Text: "op f: read: connection reset by peer", Unavailable: true},
		},
		"some other exception": {
			exception{"java.lang.NullPointerException", "null"}, nil, verdict{Text: "op f: null (NullPointerException)"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := describe("op", "f", test.err)
			got := verdict{err.Error(), Unavailable(err), Blocked(err), notDone(err)}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if test.wantReason != nil && !errors.Is(err, test.wantReason) {
				t.Errorf("%v is not %v", err, test.wantReason)
			}
			if again := describe("outer", "g", fmt.Errorf("wrapped: %w", err)); Unavailable(again) != test.want.Unavailable {
				t.Errorf("a wrapped error is another: %v", again)
			}
		})
	}
}

func TestBlockedLocally(t *testing.T) {
	tests := map[string]struct {
		err  error
		want bool
	}{
		"no error":    {nil, false},
		"disk full":   {&fs.PathError{Err: syscall.ENOSPC}, true},
		"read-only":   {&fs.PathError{Err: syscall.EROFS}, true},
		"permission":  {&fs.PathError{Err: syscall.EACCES}, true},
		"not a file":  {&fs.PathError{Err: syscall.EISDIR}, false},
		"no such one": {fs.ErrNotExist, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Blocked(test.err); got != test.want || Unavailable(test.err) {
				t.Errorf("got blocked %v, unavailable %v, want %v, false", got, Unavailable(test.err), test.want)
			}
		})
	}
}
