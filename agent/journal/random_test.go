package journal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomAgent drives a journal as an agent might, and as it must not.
type randomAgent struct {
	*rand.Rand

	epoch int16
}

// next returns a record that is mostly, but not always, one that s accepts.
func (a *randomAgent) next(s *State) Record {
	partition := a.Int32N(4)
	refs := slices.Sorted(maps.Keys(s.Files))
	if len(refs) == 0 {
		return PutFile{Ref: s.NextRef, File: testFile(fmt.Sprintf("/f%d", s.NextRef))}
	}
	ref := refs[a.IntN(len(refs))]
	if !s.HasProducer && a.IntN(4) == 0 {
		return a.renew(s)
	}
	switch a.IntN(20) {
	case 0:
		return PutFile{Ref: s.NextRef - FileRef(a.IntN(2)), File: testFile(fmt.Sprintf("/f%d", s.NextRef))}
	case 1:
		return PutSettings{ID: s.NewestSettings + uint32(a.IntN(2)), JSON: []byte{'{', '}'}}
	case 2:
		return Forget{File: ref}
	case 3:
		return a.renew(s)
	case 4, 5, 6:
		return moveTo(ref, s.Files[ref].Sealed.End/100+a.Int64N(4)-1)
	case 7, 8, 9, 10, 11, 12:
		return a.ack(s, partition)
	default:
		return a.seal(s, partition, ref)
	}
}

func (a *randomAgent) renew(s *State) Record {
	a.epoch++
	p := producerA
	p.Epoch = a.epoch
	return Renew{Producer: p, Batches: Renumber(s.Pending[:a.IntN(len(s.Pending)+1)])}
}

func (a *randomAgent) ack(s *State, partition int32) Record {
	for _, b := range s.Pending {
		if b.Partition == partition {
			return Ack{Partition: partition, FirstSequence: b.FirstSequence, Count: b.Count, BaseOffset: a.Int64N(1e6) - 1}
		}
	}
	return Ack{Partition: partition, Count: 1}
}

func (a *randomAgent) seal(s *State, partition int32, ref FileRef) Record {
	line := s.Files[ref].Sealed.End/100 + 1 + a.Int64N(3)
	sealed := seal(partition, s.Partition(partition).NextSequence, ref, line, 1+a.Int64N(1000))
	sealed.Batches[0].Settings = s.NewestSettings
	if other := (partition + 1) % 4; a.IntN(4) == 0 {
		sealed.Batches = append(sealed.Batches, batch(other, s.Partition(other).NextSequence, lines(ref, line, 1)))
		sealed.Batches[1].Settings = s.NewestSettings
	}
	return sealed
}

// history is what a journal held at the end of each frame of its present file.
type history struct {
	start  int64 // the end of the snapshot: a file cut before it is refused
	synced int64
	states map[int64]string
}

func (h *history) note(j *Journal) {
	if h.start != j.base {
		*h = history{start: j.base, synced: j.base, states: map[int64]string{}}
	}
	h.states[j.end] = string(appendSnapshot(nil, j.state))
	h.synced = max(h.synced, j.durable)
}

// step appends one record, or writes. A record that is refused must not change the state.
func (a *randomAgent) step(t *testing.T, j *Journal, h *history) {
	t.Helper()
	var err error
	switch n := a.IntN(100); {
	case n < 20:
		err = j.Sync()
		h.note(j)
	case n < 30:
		err = j.Flush()
		h.note(j)
	case n == 30:
		err = j.rewrite()
		h.start = -1
		h.note(j)
	default:
		before := string(appendSnapshot(nil, j.state))
		r := a.next(j.state)
		if refused := j.Append(r); refused != nil && before != string(appendSnapshot(nil, j.state)) {
			t.Fatalf("%T was refused (%v) but changed the state", r, refused)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkEveryCut makes sure that a file cut anywhere holds what it did at the end of the last whole frame.
func (h *history) checkEveryCut(t *testing.T, data []byte) {
	t.Helper()
	want := ""
	for cut := h.start; cut <= int64(len(data)); cut++ {
		if state, ok := h.states[cut]; ok {
			want = state
		}
		s, _, _, err := replay(data[:cut])
		if err != nil {
			t.Fatalf("replay %d of %d bytes: %v", cut, len(data), err)
		}
		if got := string(appendSnapshot(nil, s)); got != want {
			t.Fatalf("the file cut at %d of %d bytes (synced up to %d) holds another state", cut, len(data), h.synced)
		}
	}
}

func TestRandomOperations(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j := openJournal(t, dir)
			h := &history{start: -1}
			h.note(j)
			appendAll(t, j, start()...)
			agent := &randomAgent{Rand: rand.New(rand.NewPCG(seed, 0))}
			for range 200 {
				agent.step(t, j, h)
			}
			syncJournal(t, j)
			h.note(j)
			h.checkEveryCut(t, readJournal(t, dir))
			want := j.State()
			closeJournal(t, j)
			if diff := diffStates(want, openJournal(t, dir).State()); diff != "" {
				t.Errorf("state after reopening (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRandomDamage flips bytes: a journal is refused, or holds no less than what was synced and nothing that never was.
func TestRandomDamage(t *testing.T) {
	w := writeFrames(t)
	known := map[string]bool{}
	for _, s := range w.states[2:] {
		known[string(appendSnapshot(nil, s))] = true
	}
	for at := range w.data {
		damaged := slices.Clone(w.data)
		damaged[at] ^= 1 << (at % 8)
		s, _, _, err := replay(damaged)
		if err == nil && !known[string(appendSnapshot(nil, s))] {
			t.Errorf("a byte changed at %d gives a state that never was", at)
		}
	}
}
