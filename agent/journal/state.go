package journal

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Partition is what the journal knows of one partition under the present producer.
type Partition struct {
	// NextSequence is the sequence of the next batch to be sealed.
	NextSequence int32 `json:"nextSequence"`
	// AckedOffset is the offset of the last record known to be acknowledged, -1 if there is none.
	AckedOffset int64 `json:"ackedOffset"`
}

// State is all that a journal holds. Only records change it, when they are appended and when they are read back alike.
type State struct {
	Producer Producer `json:"producer"`
	// HasProducer says that Producer may seal batches: there was a Renew.
	HasProducer bool                `json:"hasProducer"`
	Partitions  map[int32]Partition `json:"partitions"`
	Files       map[FileRef]File    `json:"files"`
	// Settings by id, as JSON: the newest, and those that pending batches name.
	Settings map[uint32][]byte `json:"settings"`
	// NewestSettings is the highest id ever used in Settings, 0 if there is none.
	NewestSettings uint32 `json:"newestSettings"`
	// Pending are the batches not known to be acknowledged, in the order in which they were sealed.
	Pending []Batch `json:"pending"`
	// NextRef is above every FileRef ever used.
	NextRef FileRef `json:"nextRef"`
	// SealedAt is when the newest batch was sealed, in milliseconds since the epoch, 0 if there was none.
	SealedAt int64 `json:"sealedAt"`
}

func newState() *State {
	return &State{
		Partitions: map[int32]Partition{},
		Files:      map[FileRef]File{},
		Settings:   map[uint32][]byte{},
		NextRef:    1,
	}
}

// Clone returns a copy that shares nothing with s that either may change.
func (s *State) Clone() *State {
	c := *s
	c.Partitions = maps.Clone(s.Partitions)
	c.Files = maps.Clone(s.Files)
	c.Settings = maps.Clone(s.Settings)
	c.Pending = slices.Clone(s.Pending)
	return &c
}

// Partition returns what is known of partition p; a partition never written to starts at sequence 0.
func (s *State) Partition(p int32) Partition {
	if partition, ok := s.Partitions[p]; ok {
		return partition
	}
	return Partition{AckedOffset: -1}
}

func (r PutSettings) apply(s *State) error {
	if r.ID <= s.NewestSettings {
		return fmt.Errorf("settings %d: not above %d", r.ID, s.NewestSettings)
	}
	s.Settings[r.ID] = r.JSON
	s.NewestSettings = r.ID
	s.dropUnusedSettings()
	return nil
}

func (s *State) dropUnusedSettings() {
	maps.DeleteFunc(s.Settings, func(id uint32, _ []byte) bool {
		named := func(b Batch) bool { return b.Settings == id }
		return id != s.NewestSettings && !slices.ContainsFunc(s.Pending, named)
	})
}

func (r PutFile) apply(s *State) error {
	old, known := s.Files[r.Ref]
	switch {
	case known:
		r.File.State.Mark, r.File.State.Trail, r.File.State.Finished = old.State.Mark, old.State.Trail, old.State.Finished
		r.File.Sealed = old.Sealed
	case r.Ref < s.NextRef:
		return fmt.Errorf("file %d: the reference was used before", r.Ref)
	case r.Ref == math.MaxUint32:
		return fmt.Errorf("file %d: references are used up", r.Ref)
	default:
		s.NextRef = r.Ref + 1
	}
	s.Files[r.Ref] = r.File
	return nil
}

func (m Move) apply(s *State) error {
	if err := m.check(s); err != nil {
		return err
	}
	m.set(s)
	return nil
}

func (m Move) check(s *State) error {
	f, ok := s.Files[m.File]
	if !ok {
		return fmt.Errorf("file %d: unknown", m.File)
	}
	if m.Sealed.Compare(f.Sealed) < 0 {
		return fmt.Errorf("file %d: moved back from %v to %v", m.File, f.Sealed, m.Sealed)
	}
	return nil
}

func (m Move) set(s *State) {
	f := s.Files[m.File]
	f.State.Trail = f.State.Trail.Then(f.State.Mark)
	f.State.Mark, f.State.Finished, f.Sealed = m.Mark, m.Finished, m.Sealed
	s.Files[m.File] = f
}

func (r Forget) apply(s *State) error {
	if _, ok := s.Files[r.File]; !ok {
		return fmt.Errorf("file %d: unknown", r.File)
	}
	if partition, pending := s.pendingOn(r.File); pending {
		return fmt.Errorf("file %d: still pending on partition %d", r.File, partition)
	}
	delete(s.Files, r.File)
	return nil
}

// pendingOn returns the partition of a pending batch that needs a file.
func (s *State) pendingOn(ref FileRef) (partition int32, pending bool) {
	for i := range s.Pending {
		for _, span := range s.Pending[i].Spans {
			if span.File == ref {
				return s.Pending[i].Partition, true
			}
		}
	}
	return 0, false
}
