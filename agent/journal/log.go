package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/logpipe/logpipe/internal/failpoint"
)

// A journal is rewritten as a snapshot when what was appended exceeds both of these bounds.
const (
	compactBytes  = 1 << 20
	compactFactor = 4 // times the size of the snapshot at its beginning
)

// Journal is an open journal. Its methods may be called from several goroutines.
type Journal struct {
	dir  string
	lock *os.File
	torn int64

	// writing serialises writes and guards the following. It is taken before mu.
	writing sync.Mutex
	file    *os.File
	base    int64 // where the snapshot at the beginning of the file ends
	end     int64 // where the next frame goes
	durable int64 // up to where the file is on the disk
	broken  bool  // a write failed: only a rewrite tells again what is on the disk

	// mu guards the following.
	mu     sync.Mutex
	state  *State
	buffer []byte // a frame that is being filled: its head and the records appended since the last write
	spare  []byte // the buffer of the last write, for the next
}

// Append applies a record to the state and buffers it for the next Sync or Flush. An error says that the record
// contradicts the state; then nothing has changed.
//
// A Seal must be synced before its batches are sent, unless the producer is loose. Acks and Moves need no Sync of their
// own: without an Ack the batch is sent again and recognised (see MaxPending), without a Move the same lines are read,
// and dropped, again.
func (j *Journal) Append(r Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(r)
}

func (j *Journal) append(r Record) error {
	if err := r.apply(j.state); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	j.buffer = r.append(append(j.buffer, r.kind()))
	failpoint.Hit(failpoint.JournalAppended)
	return nil
}

// AddFile stores a new file and returns its reference.
func (j *Journal) AddFile(f File) (FileRef, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ref := j.state.NextRef
	return ref, j.append(PutFile{Ref: ref, File: f})
}

// AddSettings stores settings as JSON and returns their id; it is the old one if they are the same as the newest.
func (j *Journal) AddSettings(json []byte) (uint32, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	id := j.state.NewestSettings
	if newest, ok := j.state.Settings[id]; ok && string(newest) == string(json) {
		return id, nil
	}
	return id + 1, j.append(PutSettings{ID: id + 1, JSON: json})
}

// State returns a copy of the state, with the records that are not written yet. It copies what is known of every file;
// the methods below do not.
func (j *Journal) State() *State {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state.Clone()
}

// Producer returns the producer; it is false if there is none that may seal.
func (j *Journal) Producer() (Producer, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state.Producer, j.state.HasProducer
}

// Partition returns what is known of partition p; see State.Partition.
func (j *Journal) Partition(p int32) Partition {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state.Partition(p)
}

// Pending tells whether a pending batch needs a file to be built again; known is false for an unknown file.
func (j *Journal) Pending(ref FileRef) (pending, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, known = j.state.Files[ref]
	_, pending = j.state.pendingOn(ref)
	return pending, known
}

// Torn returns how many bytes of a write that never completed were cut off when the journal was opened.
func (j *Journal) Torn() int64 { return j.torn }

// Sync brings every record appended before to the disk, with one write and one fdatasync for all that callers appended
// meanwhile. After an error it is not known what is on the disk: nothing that was appended since the last success may
// be sent, and Sync is called again until it succeeds. That also mends the file.
func (j *Journal) Sync() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	if err := j.write(); err != nil {
		return err
	}
	if j.durable == j.end {
		return nil
	}
	if err := datasync(j.file); err != nil {
		// The kernel may have dropped the pages it could not write, and would report success the next time.
		j.broken = true
		return fmt.Errorf("sync journal: %w", err)
	}
	j.durable = j.end
	failpoint.Hit(failpoint.JournalSynced)
	if size := j.end - j.base; size > compactBytes && size > compactFactor*j.base {
		return j.mend()
	}
	return nil
}

// Flush writes every record appended before, so that it survives the end of the process but not of the machine. An
// error means the same as for Sync.
func (j *Journal) Flush() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	return j.write()
}

// write appends the buffered records to the file as one frame.
func (j *Journal) write() error {
	if j.file == nil {
		return os.ErrClosed
	}
	if j.broken {
		return j.mend()
	}
	frame := j.takeBuffer()
	if len(frame) == frameSize {
		return nil
	}
	closeFrame(frame, j.end, j.durable)
	if _, err := j.file.WriteAt(frame, j.end); err != nil {
		j.broken = true
		// Opening would cut the torn frame off as well; the space may be what other writers need.
		_ = j.file.Truncate(j.end)
		return fmt.Errorf("write journal: %w", err)
	}
	j.end += int64(len(frame))
	failpoint.Hit(failpoint.JournalWritten)
	return nil
}

// takeBuffer returns the frame that was filled and starts another. It is valid until the next call.
func (j *Journal) takeBuffer() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	frame := j.buffer
	j.buffer, j.spare = openFrame(j.spare[:0]), frame
	return frame
}

// mend writes the journal anew from the state in memory.
func (j *Journal) mend() error {
	j.broken = true
	if err := j.rewrite(); err != nil {
		return err
	}
	j.broken = false
	return nil
}

// Close syncs the journal and gives the directory free for another agent.
func (j *Journal) Close() error {
	err := j.Sync()
	j.writing.Lock()
	defer j.writing.Unlock()
	if j.file == nil {
		return os.ErrClosed
	}
	err = errors.Join(err, j.file.Close(), j.lock.Close())
	j.file = nil
	return err
}

func (j *Journal) fileName() string { return filepath.Join(j.dir, "journal") }
