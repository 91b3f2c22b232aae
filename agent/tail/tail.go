// Package tail finds log files, keeps their identity through rotation and restarts, and reads them.
//
// A Set owns which files there are, a File owns the bytes of one of them. Neither starts a goroutine: their owner calls
// Scan and Read, so tests call them between file operations. A Set and its Files belong to one goroutine.
//
// Each File holds at most one descriptor: from when it has unread bytes until they are read and acknowledged, under its
// own name for Config.IdleAfter longer, and after a rotation or deletion until File.Release. Config.MaxFiles bounds
// them.
//
// What no reader can see is lost: lines written between the copy and the truncation of copytruncate, files that came
// and went between two scans, and a file that was empty when last looked at and was filled, copied and truncated
// since.
package tail

import "errors"

// Identity tells one file from another that has, or had, its name. Only parts that both sides know are compared.
// Inode numbers alone are worthless: ext4 gives a freed one to the next file.
type Identity struct {
	Inode uint64 `json:"inode"`
	// Birth is the birth time in nanoseconds since the epoch, 0 where the file system has none (statx STATX_BTIME).
	Birth int64 `json:"birth,omitempty"`
	// Generation is the inode's generation, 0 where the file system has none (FS_IOC_GETVERSION).
	Generation uint32 `json:"generation,omitempty"`
	// Incarnation counts how often the file was truncated and filled again.
	Incarnation uint32 `json:"incarnation,omitempty"`
}

// sameInode tells whether a and b are the same inode, as far as both sides know its parts. Incarnations are not
// compared.
func (a Identity) sameInode(b Identity) bool {
	return a.Inode == b.Inode &&
		(a.Birth == 0 || b.Birth == 0 || a.Birth == b.Birth) &&
		(a.Generation == 0 || b.Generation == 0 || a.Generation == b.Generation)
}

func (a Identity) withoutIncarnation() Identity {
	a.Incarnation = 0
	return a
}

// Head is a hash of the first bytes of a file. It grows with the file up to HeadBytes.
type Head struct {
	Bytes int    `json:"bytes"`
	Hash  uint64 `json:"hash"`
}

// HeadBytes is the most of a file's beginning that its Head covers.
const HeadBytes = 1024

// MarkBytes is the most that a Mark covers.
const MarkBytes = 256

// Mark is a hash of the up to MarkBytes bytes before an offset. A file whose mark changed was truncated and refilled.
type Mark struct {
	Offset int64  `json:"offset"`
	Hash   uint64 `json:"hash"`
}

// State is what is stored of a file so that it is found again after a restart, renamed or compressed.
type State struct {
	Identity Identity `json:"identity"`
	Path     string   `json:"path"`
	Head     Head     `json:"head"`
	// Mark is the offset from where reading goes on, and the hash of what is before it. In a gzip file both count
	// decompressed bytes.
	Mark Mark `json:"mark"`
	// Boot is the boot id under which the file was last seen: a file that shrank since then lost its page cache.
	Boot string `json:"boot,omitempty"`
	// Finished says that every byte was read and that the file can no longer grow. The state is kept until the file and
	// its compressed form are gone, or the compressed form would be taken for a new file.
	Finished bool `json:"finished,omitempty"`
}

// Errors that Read, Rest, Rewind and OpenState return, wrapped with the file's path.
var (
	// ErrReplaced says that the file was truncated, or truncated and filled again. The next Scan ends this File and
	// finds a new one, which starts at 0.
	ErrReplaced = errors.New("content was replaced")
	// ErrMoved says that the file is not where it was when Scan last looked. The next Scan finds it, and lists it as
	// ready.
	ErrMoved = errors.New("moved since the last scan")
	// ErrDamaged says that a compressed file can't be decompressed. The next Scan ends this File.
	ErrDamaged = errors.New("compressed data is damaged")
	// ErrTooLarge says that a compressed file expands more than is allowed. The next Scan ends this File.
	ErrTooLarge = errors.New("compressed data expands too much")
	// ErrNotFound says that no file holds the bytes of a State any more.
	ErrNotFound = errors.New("file not found")
	// ErrChanged says that the file of a State is there but no longer holds the same bytes.
	ErrChanged = errors.New("content changed")
)
