package store

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/colinmarc/hdfs/v2"
)

// The exceptions of a NameNode that mean something to a sink.
var (
	// notNow are thrown before the NameNode has done anything; the same call works later.
	notNow = []string{
		"org.apache.hadoop.hdfs.server.namenode.SafeModeException",
		"org.apache.hadoop.ipc.RetriableException",
		"org.apache.hadoop.ipc.StandbyException",
	}
	// notAllowed want a person to change something in HDFS.
	notAllowed = []string{
		"org.apache.hadoop.security.AccessControlException",
		"org.apache.hadoop.security.authorize.AuthorizationException",
		"org.apache.hadoop.hdfs.protocol.NSQuotaExceededException",
		"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException",
		"org.apache.hadoop.hdfs.protocol.QuotaByStorageTypeExceededException",
	}
	// reasons are the errors of this package's interface that exceptions stand for.
	reasons = map[string]error{
		"java.io.FileNotFoundException":                                fs.ErrNotExist,
		"org.apache.hadoop.fs.ParentNotDirectoryException":             fs.ErrNotExist,
		"org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException": fs.ErrNotExist,
		"org.apache.hadoop.fs.FileAlreadyExistsException":              fs.ErrExist,
		"org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException": fs.ErrExist,
		"org.apache.hadoop.hdfs.protocol.RecoveryInProgressException":  fs.ErrExist,
		"org.apache.hadoop.security.AccessControlException":            fs.ErrPermission,
		"org.apache.hadoop.fs.PathIsNotEmptyDirectoryException":        ErrNotEmpty,
		"org.apache.hadoop.HadoopIllegalArgumentException":             fs.ErrInvalid,
		"org.apache.hadoop.fs.InvalidPathException":                    fs.ErrInvalid,
	}
)

// What a NameNode says in an exception of no particular class, and the client in an error of no particular type.
const (
	saysNotEmpty    = "rename destination directory is not empty"
	saysNoDataNodes = "could only be written to"
	saysNoNameNodes = "no available namenodes"
)

// answers are errors that came from a working connection.
var answers = []error{
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed,
	syscall.ENOTEMPTY, syscall.ENOTDIR, syscall.EISDIR, ErrNotEmpty, ErrTooLarge, errFull, errAborted,
}

// hdfsError is an error of a call to HDFS.
type hdfsError struct {
	op, name string
	// reason is one of the interface's errors, or nil.
	reason error
	// class is the exception that a NameNode has thrown, empty when none has answered.
	class string
	// message is the exception's, without the stack trace, or the error's.
	message string
	cause   error
}

// Error leaves out the exception's class where the reason says it.
func (e *hdfsError) Error() string {
	text := e.op + " " + e.name + ": " + e.message
	if e.class != "" && e.reason == nil {
		text += " (" + e.class[strings.LastIndexByte(e.class, '.')+1:] + ")"
	}
	return text
}

func (e *hdfsError) Unwrap() []error {
	if e.reason == nil {
		return []error{e.cause}
	}
	return []error{e.reason, e.cause}
}

// describe makes the error of a call out of what the client returned.
func describe(op, name string, err error) error {
	var known *hdfsError
	if err == nil || errors.As(err, &known) {
		return err
	}
	e := &hdfsError{op: op, name: name, message: err.Error(), cause: err}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		e.message = pathError.Err.Error() // the path is in name
	}
	var remote hdfs.Error
	if errors.As(err, &remote) {
		e.class = remote.Exception()
		e.message, _, _ = strings.Cut(remote.Message(), "\n")
		e.reason = reasons[e.class]
	}
	if strings.Contains(e.message, saysNotEmpty) || errors.Is(err, syscall.ENOTEMPTY) {
		e.reason = ErrNotEmpty
	}
	return e
}

// answered reports whether a NameNode has answered, if only by an exception, so that the connection is good.
func (e *hdfsError) answered() bool {
	return e.class != "" || slices.ContainsFunc(answers, func(known error) bool { return errors.Is(e.cause, known) })
}

// notDone reports whether err says that a call was surely not carried out and may be repeated.
func notDone(err error) bool {
	var e *hdfsError
	if !errors.As(err, &e) {
		return false
	}
	return slices.Contains(notNow, e.class) || strings.Contains(e.message, saysNoDataNodes) ||
		e.class == "" && strings.Contains(e.message, saysNoNameNodes)
}

// Unavailable reports whether err says that HDFS does not work at the moment: it cannot be reached or does not answer,
// is in safe mode, or has no DataNode to write to. It comes back by itself: wait and try again.
func Unavailable(err error) bool {
	var e *hdfsError
	if !errors.As(err, &e) {
		return false
	}
	return !e.answered() || slices.Contains(notNow, e.class) || strings.Contains(e.message, saysNoDataNodes)
}

// Blocked reports whether err says that the store works but refuses: no permission, quota used up, disk full or
// read-only. A person has to change that; wait and try again.
func Blocked(err error) bool {
	var e *hdfsError
	if errors.As(err, &e) && slices.Contains(notAllowed, e.class) {
		return true
	}
	return slices.ContainsFunc([]error{fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS},
		func(known error) bool { return errors.Is(err, known) })
}
