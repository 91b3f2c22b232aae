package journal

import "testing"

func TestTypicalSealIsSmall(t *testing.T) {
	s := seal(7, 1_900_000_000, 4711, 40_000_000, 2500)
	s.Batches[0].Settings = 12
	frame := s.append(append(openFrame(nil), s.kind()))
	if len(frame) >= 100 {
		t.Errorf("a batch of one span takes %d bytes, want less than 100", len(frame))
	}
}

// BenchmarkSealAndAck is the bookkeeping of one batch, without the disk.
func BenchmarkSealAndAck(b *testing.B) {
	j := &Journal{state: newState(), buffer: openFrame(nil)}
	for _, r := range start() {
		if err := j.Append(r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	sequence, line := int32(0), int64(1)
	for b.Loop() {
		err := j.Append(seal(0, sequence, 1, line, 1000))
		if err == nil {
			err = j.Append(Ack{FirstSequence: sequence, Count: 1000, BaseOffset: line})
		}
		if err != nil {
			b.Fatal(err)
		}
		sequence, line = AddSequence(sequence, 1000), line+1000
		j.buffer = openFrame(j.buffer[:0])
	}
}

// BenchmarkSync is one group commit of a batch each on 12 partitions.
func BenchmarkSync(b *testing.B) {
	j, err := Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range start() {
		if err := j.Append(r); err != nil {
			b.Fatal(err)
		}
	}
	line := int64(1)
	for i := int32(0); b.Loop(); i++ {
		for partition := range int32(12) {
			err = j.Append(seal(partition, AddSequence(0, i*10), 1, line, 10))
			if err == nil {
				err = j.Append(Ack{Partition: partition, FirstSequence: AddSequence(0, i*10), Count: 10, BaseOffset: line})
			}
			if err != nil {
				b.Fatal(err)
			}
			line += 10
		}
		if err := j.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpen reads a journal of 10,000 files.
func BenchmarkOpen(b *testing.B) {
	s := newState()
	for range 10_000 {
		if err := (PutFile{Ref: s.NextRef, File: testFile("/var/log/pods/ns_pod_uid/container/0.log")}).apply(s); err != nil {
			b.Fatal(err)
		}
	}
	data := snapshotOf(s)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, _, err := replay(data); err != nil {
			b.Fatal(err)
		}
	}
}
