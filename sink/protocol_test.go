package sink

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// TestEveryFault lets each single call to the store go wrong, one after the other in a run of its own, until a run
// gets by without a fault. After it, every record must be visible once.
func TestEveryFault(t *testing.T) {
	after := func(k int) func(int) error {
		return func(n int) error {
			if n >= k {
				return errInjected
			}
			return nil
		}
	}
	at := func(k int) func(int) error {
		return func(n int) error {
			if n == k {
				return errInjected
			}
			return nil
		}
	}
	tests := map[string]func(f *faultyStore, k int){
		"the process dies before a call": func(f *faultyStore, k int) { f.before = after(k) },
		"the process dies after a call":  func(f *faultyStore, k int) { f.after, f.before = after(k), after(k+1) },
		"a call fails":                   func(f *faultyStore, k int) { f.before = at(k) },
		"the answer of a call is lost":   func(f *faultyStore, k int) { f.after = at(k) },
	}
	for name, inject := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time goes into fsync
			const enough = 1000
			for k := range enough {
				b := newBench(t)
				faulty := &faultyStore{Store: b.files}
				inject(faulty, k)
				err := drain(b.Context(), b.partition(faulty))
				if err != nil && !errors.Is(err, errInjected) {
					t.Fatalf("call %d: %v", k, err)
				}
				p := b.partition(b.files)
				b.mustDrain(p)
				b.wantOnce(0, testRecords)
				b.wantTidy(p)
				if t.Failed() {
					t.Fatalf("after a fault at call %d: %v", k, err)
				}
				if faulty.calls <= k {
					t.Logf("%d calls", k)
					return
				}
			}
			t.Fatalf("no run without a fault in %d", enough)
		})
	}
}

// TestZombie lets another owner take the partition and write all of it between any two calls of the first, which then
// goes on as if nothing had happened.
func TestZombie(t *testing.T) {
	t.Parallel()
	for k, done := 0, false; !done; k++ {
		b := newBench(t)
		slow := &faultyStore{Store: b.files}
		slow.before = func(n int) error {
			if n == k {
				b.mustDrain(b.partition(b.files))
				b.wantOnce(0, testRecords)
			}
			return nil
		}
		zombie := b.partition(slow)
		err := drain(b.Context(), zombie)
		done = slow.calls <= k
		b.wantOnce(0, testRecords)
		b.log.change(func() { b.log.end = 20 })
		p := b.partition(b.files)
		b.mustDrain(p)
		b.wantOnce(0, 20)
		b.wantTidy(p)
		if t.Failed() {
			t.Fatalf("taken over before call %d: %v", k, err)
		}
	}
}

// TestTakeover has a partition taken away while its owner commits: the owner stops before its call j, the other one
// comes and stops before its call k, the owner goes on to its end, then the other one does. All j and k are tried.
// Directories are removed file by file, so k may lie in the middle of one.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for j, last := 0, false; !last; j++ {
		for k, done := 0, false; !done; k++ {
			b := newBench(t)
			b.cfg.Roll.MaxRecords, b.log.end = 0, 6
			ownersStore, othersStore := &faultyStore{Store: b.files}, &faultyStore{Store: b.files}
			owner, other := b.partition(ownersStore), b.partition(othersStore)
			if err := owner.acquire(b.Context()); err != nil {
				t.Fatal(err)
			}
			b.pump(owner)
			calls := ownersStore.calls
			stopped, goOn, ended := make(chan struct{}, 2), make(chan struct{}), make(chan error, 1)
			ownersStore.before = func(n int) error {
				if n == calls+j {
					go func() { ended <- drain(b.Context(), other); stopped <- struct{}{} }()
					<-stopped
				}
				return nil
			}
			othersStore.before = func(n int) error {
				if n == k {
					stopped <- struct{}{}
					<-goOn
				}
				return nil
			}
			_ = owner.commit(b.Context(), rollInterval) // only works before the fence
			owner.drop(nil)
			close(goOn)
			if last = ownersStore.calls <= calls+j; last {
				break
			}
			err := <-ended
			done = othersStore.calls <= k
			b.wantOnce(0, 6)
			if err != nil || t.Failed() {
				t.Fatalf("owner stopped before call %d, the other before %d: %v", j, k, err)
			}
		}
	}
}

// TestBrokenFilesAreNotCommitted has files that turn out bad only when they are closed.
func TestBrokenFilesAreNotCommitted(t *testing.T) {
	tests := map[string]brokenFiles{
		"Close fails":                      {closeErr: errInjected},
		"the file is shorter than written": {short: true},
	}
	for name, broken := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := b.owned()
			broken.Store = b.files
			p.roll.files, p.session.files = &broken, &broken
			if _, err := p.pump(b.Context()); err != nil {
				t.Fatal(err)
			}
			if err := p.commit(b.Context(), rollInterval); err == nil {
				t.Error("committed")
			}
			b.wantOnce(0, 0)
			b.mustDrain(b.partition(b.files))
			b.wantOnce(0, testRecords)
		})
	}
}

// TestFencedCannotCommit pins what the fence is: a session that was taken over fails with errFenced.
func TestFencedCannotCommit(t *testing.T) {
	b := newBench(t)
	zombie := b.partition(b.files)
	if err := zombie.acquire(b.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := zombie.pump(b.Context()); err != nil {
		t.Fatal(err)
	}
	b.mustDrain(b.partition(b.files))
	if err := zombie.commit(b.Context(), rollInterval); !errors.Is(err, errFenced) {
		t.Errorf("commit of a fenced session: %v, want %v", err, errFenced)
	}
	b.wantOnce(0, testRecords)
}

// TestRacers lets several owners fight for one partition until all of it is written.
func TestRacers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log.end, b.cfg.Roll.MaxRecords = 100, 20
	var racers sync.WaitGroup
	wins := make(chan string, 4)
	for i := range cap(wins) {
		p := b.partition(b.files)
		racers.Go(func() {
			for range 200 {
				if err := drain(b.Context(), p); err == nil {
					wins <- fmt.Sprint(i)
					return
				}
			}
		})
	}
	racers.Wait()
	p := b.partition(b.files)
	b.mustDrain(p)
	b.wantOnce(0, 100)
	b.wantTidy(p)
	if len(wins) == 0 {
		t.Log("no racer got through by itself")
	}
}
