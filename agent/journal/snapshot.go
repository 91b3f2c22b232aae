package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/logpipe/logpipe/internal/failpoint"
)

// appendSnapshot encodes the whole of s. Equal states are encoded alike.
func appendSnapshot(dst []byte, s *State) []byte {
	dst = appendBool(append(dst, kindSnapshot), s.HasProducer)
	dst = appendProducer(dst, s.Producer)
	dst = binary.AppendUvarint(dst, uint64(len(s.Partitions)))
	for _, id := range slices.Sorted(maps.Keys(s.Partitions)) {
		p := s.Partitions[id]
		dst = binary.AppendVarint(binary.AppendVarint(dst, int64(id)), int64(p.NextSequence))
		dst = binary.AppendVarint(dst, p.AckedOffset)
	}
	dst = binary.AppendVarint(dst, s.SealedAt)
	dst = binary.AppendUvarint(dst, uint64(s.NextRef))
	dst = binary.AppendUvarint(dst, uint64(len(s.Files)))
	for _, ref := range slices.Sorted(maps.Keys(s.Files)) {
		dst = appendFile(binary.AppendUvarint(dst, uint64(ref)), s.Files[ref])
	}
	dst = binary.AppendUvarint(dst, uint64(s.NewestSettings))
	dst = binary.AppendUvarint(dst, uint64(len(s.Settings)))
	for _, id := range slices.Sorted(maps.Keys(s.Settings)) {
		dst = appendBytes(binary.AppendUvarint(dst, uint64(id)), s.Settings[id])
	}
	return appendBatches(dst, s.Pending)
}

// decodeSnapshot decodes what appendSnapshot encodes.
func decodeSnapshot(payload []byte) (*State, error) {
	r, s := &reader{data: payload}, newState()
	if kind := r.byte(); kind != kindSnapshot {
		return nil, fmt.Errorf("unexpected kind of record %d", kind)
	}
	s.HasProducer, s.Producer = r.bool(), r.producer()
	for n := r.count(3); n > 0 && r.err == nil; n-- {
		id := r.int32()
		s.Partitions[id] = Partition{NextSequence: r.int32(), AckedOffset: r.varint()}
	}
	s.SealedAt = r.varint()
	s.NextRef = FileRef(r.uint32())
	for n := r.count(32); n > 0 && r.err == nil; n-- {
		ref := FileRef(r.uint32())
		s.Files[ref] = r.file()
	}
	s.NewestSettings = r.uint32()
	for n := r.count(2); n > 0 && r.err == nil; n-- {
		id := r.uint32()
		s.Settings[id] = []byte(r.string())
	}
	s.Pending = r.batches()
	if r.err == nil && len(r.data) > 0 {
		r.fail(fmt.Errorf("%d bytes too many", len(r.data)))
	}
	if r.err != nil {
		return nil, r.err
	}
	return s, s.checkPending()
}

// checkPending makes sure that nothing pending names what s does not hold: apply relies on it.
func (s *State) checkPending() error {
	for _, b := range s.Pending {
		if err := b.check(s); err != nil {
			return err
		}
	}
	return nil
}

// rewrite replaces the journal by a snapshot of the state, which also mends whatever an earlier error left. The order
// of the steps makes every crash leave either the old file or the new one, whole.
func (j *Journal) rewrite() error {
	data := j.takeSnapshot()
	file, err := j.writeTemp(data)
	if err != nil {
		return err
	}
	if err := j.installTemp(file); err != nil {
		return errors.Join(err, file.Close())
	}
	failpoint.Hit(failpoint.SnapshotDone)
	if j.file != nil {
		// The old file has no name any more, so nothing can be lost with it.
		_ = j.file.Close()
	}
	j.file = file
	j.base, j.end, j.durable = int64(len(data)), int64(len(data)), int64(len(data))
	return nil
}

// takeSnapshot encodes the state as a whole journal and drops the records that it makes needless.
func (j *Journal) takeSnapshot() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	data := openFrame(appendHeader(nil))
	data = appendSnapshot(data, j.state)
	closeFrame(data[headerSize:], int64(headerSize), 0)
	j.buffer = openFrame(j.buffer[:0])
	return data
}

func (j *Journal) tempName() string { return filepath.Join(j.dir, "journal.tmp") }

func (j *Journal) writeTemp(data []byte) (*os.File, error) {
	file, err := os.OpenFile(j.tempName(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	failpoint.Hit(failpoint.SnapshotCreated)
	if _, err = file.Write(data); err == nil {
		failpoint.Hit(failpoint.SnapshotWritten)
		err = file.Sync()
	}
	if err != nil {
		// A disk that is full needs the space back.
		return nil, errors.Join(fmt.Errorf("write snapshot: %w", err), file.Close(), os.Remove(j.tempName()))
	}
	failpoint.Hit(failpoint.SnapshotSynced)
	return file, nil
}

func (j *Journal) installTemp(file *os.File) error {
	if err := os.Rename(file.Name(), j.fileName()); err != nil {
		return fmt.Errorf("replace journal: %w", err)
	}
	failpoint.Hit(failpoint.SnapshotRenamed)
	return syncDir(j.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
