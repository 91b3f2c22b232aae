// Package tail finds log files, keeps their identity through rotation and restarts, and reads them.
//
// A Set owns which files there are, a File owns the bytes of one of them. Neither starts a goroutine: their owner calls
// Scan and Read, so tests call them between file operations.
package tail

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
	// Born is the Birth of the file before it was compressed, or went on in a copy.
	Born int64  `json:"born,omitempty"`
	Path string `json:"path"`
	Head Head   `json:"head"`
	// Mark is the offset from where reading goes on, and the hash of what is before it. In a gzip file both count
	// decompressed bytes.
	Mark Mark `json:"mark"`
	// Began is the offset at which this incarnation begins, 0 unless a power cut ended the one before.
	Began int64 `json:"began,omitempty"`
	// Behind is the Ref of that one, 0 if there is none.
	Behind uint32 `json:"behind,omitempty"`
	// Trail leads to Mark. The owner keeps it; see Trail.Then.
	Trail Trail `json:"trail,omitempty"`
	// Boot is the boot id of the machine when the file was last known to have all that was read of it: since then a power
	// cut may have taken the end.
	Boot string `json:"boot,omitempty"`
	// Finished says that every byte was read and that the file can no longer grow. The state is kept until the file and
	// its compressed form are gone, or the compressed form would be taken for a new file.
	Finished bool `json:"finished,omitempty"`
}
