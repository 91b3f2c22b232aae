package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/logpipe/logpipe/agent/decode"
	"github.com/logpipe/logpipe/agent/journal"
	"github.com/logpipe/logpipe/agent/tail"
	"github.com/logpipe/logpipe/internal/failpoint"
)

// activeFor is how long a file is looked at by the clock after it was read; then the kernel tells of the next write.
const activeFor = time.Second

// idleAfter is how long a file keeps its descriptor although nothing is written to it.
const idleAfter = time.Minute

// openFiles finds the files of the journal again.
func (a *Agent) openFiles() error {
	var known []tail.Known
	state := a.journal.State()
	origins := map[uint32]origin{}
	for ref, f := range state.Files {
		var from origin
		if err := json.Unmarshal(f.Origin, &from); err != nil {
			return fmt.Errorf("parse origin of file %d in the journal: %w", ref, err)
		}
		origins[uint32(ref)] = from
		known = append(known, tail.Known{Ref: uint32(ref), Source: from.Path, State: f.State})
	}
	slices.SortFunc(known, func(x, y tail.Known) int { return cmp.Compare(x.Ref, y.Ref) })
	cfg := a.tailConfig()
	cfg.Seen = time.UnixMilli(state.SealedAt + 1) // it is rounded down
	a.files = tail.NewSet(cfg, known)
	var err error
	if a.events, err = a.files.Watch(); err != nil {
		a.log.Info("Files are looked at by the clock only", "reason", err.Error())
	}
	for _, f := range a.files.Files() {
		s := a.newStream(f, origins[f.Ref])
		stored := state.Files[s.ref]
		s.stored, s.last, s.sealed = stored.State, stored.Sealed, stored.Sealed
		s.isEnded, s.finished = stored.State.Finished, stored.State.Finished
	}
	for range 3 { // again while names change
		if err := a.scan(); err != nil || !a.files.NeedsScan() {
			a.chain()
			return err
		}
	}
	a.chain()
	return nil
}

// chain puts the files of an earlier run that had one name in the order in which they had it.
func (a *Agent) chain() {
	newest := map[string]*stream{}
	for _, s := range a.order {
		if s.isEnded {
			continue // a copy that was read before may stand between others
		}
		before := newest[s.from.Path]
		if before != nil && before.file.HasName() {
			continue // a copy that was found later has no need to wait for its log to end
		}
		if before != nil && before.after == nil && s.from.Path != "" {
			before.after, s.waiting = s, true
		}
		newest[s.from.Path] = s
	}
}

func (a *Agent) tailConfig() tail.Config {
	cfg := tail.Config{
		Accept:      a.origins.accepts,
		IgnoreOlder: a.ignoreOlder,
		StartAtEnd:  a.cfg.StartAt == StartAtEnd,
		Compressed:  *a.cfg.Compressed,
		InUse:       a.inUse,
		Unsettled:   a.unsettled,
		Now:         a.now,
		Disk:        a.disk,
	}
	for _, input := range a.cfg.Inputs {
		if input.Pods != nil {
			cfg.Include = append(cfg.Include, path.Join(input.Pods.Root, "*_*_*", "*", "*.log"))
			continue
		}
		cfg.Include = append(cfg.Include, input.Files.Include...)
	}
	return cfg
}

// inUse tells whether a file's last chunk is not in batches yet.
func (a *Agent) inUse(f *tail.File) bool {
	s := a.streams[journal.FileRef(f.Ref)]
	return s != nil && s.feed.active
}

// unsettled tells whether records that were read of a file are not in sealed batches yet.
func (a *Agent) unsettled(f *tail.File) bool {
	s := a.streams[journal.FileRef(f.Ref)]
	return s != nil && (s.sealed != s.last || s.dec.Pending() > 0)
}

// ignoreOlder is the age at which every input that names file ignores it, 0 if one of them never does.
func (a *Agent) ignoreOlder(file string) time.Duration {
	var age time.Duration
	for _, input := range a.cfg.Inputs {
		if input.Files == nil || !input.Files.matches(file) {
			continue
		}
		if input.Files.IgnoreOlder == 0 {
			return 0
		}
		age = max(age, input.Files.IgnoreOlder.Std())
	}
	return age
}

// matches tells whether the input names file.
func (in FilesInput) matches(file string) bool {
	match := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return tail.Match(pattern, file) })
	}
	return match(in.Include) && !match(in.Exclude)
}

func (a *Agent) newStream(f *tail.File, from origin) *stream {
	s := &stream{
		ref: journal.FileRef(f.Ref), file: f, from: from, ready: true, readAt: a.now(),
		desc: newDescriber(a.cfg.Metadata, a.cfg.Node, from), limit: a.limit,
		perRecord: a.cfg.PartitionKey.Type == KeyField,
	}
	if a.cfg.RateLimit != nil && a.cfg.RateLimit.PerFile {
		s.limit = newLimiter(a.cfg.RateLimit)
	}
	if from.Key != "" {
		s.key = []byte(from.Key)
	}
	a.streams[s.ref] = s
	a.order = append(a.order, s)
	a.route(s)
	a.start(s, f.MarkAt(f.Position(), nil))
	return s
}

// start makes s read from mark, with a decoder that holds nothing.
func (a *Agent) start(s *stream, mark tail.Mark) {
	s.clean, s.moved, s.before, s.feed = mark, false, nil, feed{}
	s.dec = decode.New(a.plan, mark.Offset, &a.decoded)
}

// route finds the partition of a stream's records.
func (a *Agent) route(s *stream) {
	s.partition = anyPartition
	if s.key != nil && a.topic.Partitions > 0 {
		s.partition = route(s.key, a.cfg.Assignment, a.topic.Partitions)
	}
	a.lanes[s.partition] = true
}

// scan takes what changed among the files.
func (a *Agent) scan() error {
	now := a.now()
	a.scanAt = now.Add(a.cfg.ScanInterval.Std())
	for _, f := range []*facts{a.origins.nodes, a.origins.pods} {
		if err := f.reload(); err != nil {
			a.report(f.file, err)
		}
	}
	a.takeNodeLabels()
	changes := a.files.Scan()
	for _, found := range changes.New {
		if err := a.welcome(found); err != nil {
			return err
		}
	}
	for _, cut := range changes.Cut {
		a.metrics.powerCut.Add(float64(cut.Bytes))
		a.log.Info("File lost its end in a power cut", "file", cut.File.Path(), "offset",
			cut.File.Position()-cut.Bytes, "bytes", cut.Bytes)
	}
	for _, gone := range changes.Gone {
		a.farewell(gone)
	}
	a.reportAll(changes.Problems)
	a.files.WatchDirs()
	return nil
}

// welcome makes a stream of a new file and stores it, so that its bytes can be found again.
func (a *Agent) welcome(found tail.Found) error {
	f := found.File
	failpoint.Hit(failpoint.FileFound)
	from := a.origins.resolve(f.Source())
	data, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("store origin of %s: %w", f.Path(), err)
	}
	state := f.State(f.MarkAt(f.Position(), nil))
	ref, err := a.journal.AddFile(journal.File{State: state, Origin: data})
	if err != nil {
		return fmt.Errorf("journal file %s: %w", f.Path(), err)
	}
	f.Ref = uint32(ref)
	a.syncAt = time.Time{}
	failpoint.Hit(failpoint.FileAdded)
	s := a.newStream(f, from)
	s.stored = state
	s.isEnded, s.finished, s.ready = state.Finished, state.Finished, !state.Finished
	if found.Before != nil {
		a.putBehind(s, a.streams[journal.FileRef(found.Before.Ref)])
	}
	a.log.V(1).Info("Found file", "file", f.Path(), "offset", f.Position(), "id", ref, "waiting", s.waiting)
	return nil
}

// putBehind makes s wait for the end of before, and of what waits for that already.
func (a *Agent) putBehind(s, before *stream) {
	for before != nil && before.after != nil {
		before = before.after
	}
	if before != nil && !before.isEnded {
		before.after, s.waiting, before.ready = s, true, true
	}
}

// farewell notes that a file is no more.
func (a *Agent) farewell(gone tail.Gone) {
	s := a.streams[journal.FileRef(gone.File.Ref)]
	if s == nil {
		return
	}
	s.gone, s.ready = true, true
	if gone.Lost > 0 {
		a.lost(lostUnread, 0, gone.Lost)
		a.log.Info("File went away before it was read", "file", gone.File.Path(), "bytes", gone.Lost)
	}
}

// report logs what is wrong with a file once, until it is something else.
func (a *Agent) report(file string, err error) {
	if a.reported[file] != err.Error() {
		a.reported[file] = err.Error()
		a.log.Info("File can't be read", "file", file, "reason", err.Error())
	}
}

// reportAll reports what a scan had problems with. What could not be read since the one before gets another try.
func (a *Agent) reportAll(problems []tail.Problem) {
	still := map[string]bool{}
	for _, p := range problems {
		a.report(p.Path, p.Err)
		still[p.Path] = true
	}
	for _, s := range a.order {
		if s.refused {
			s.ready, s.refused = true, false // another try
			still[s.file.Path()] = true
		}
	}
	for file := range a.reported {
		if !still[file] {
			delete(a.reported, file)
		}
	}
}

// poll makes streams ready that may have something to read, and completes records that have waited long enough.
func (a *Agent) poll(now time.Time) (active bool, err error) {
	for _, s := range a.order {
		if s.ready || s.waiting {
			continue
		}
		if s.isEnded {
			if !s.gone && s.file.Lag() > 0 { // its writer had it open all the same
				s.isEnded, s.finished, s.ready = false, false, true
				s.file.Resume()
			}
			continue
		}
		if now.Sub(s.readAt) < activeFor || s.file.Final() {
			s.ready, active = true, true
		} else if !a.files.WatchFile(s.file) {
			s.ready, s.readAt = true, now
		}
		held, err := a.pollHeld(s, now)
		if err != nil {
			return active, err
		}
		active = active || held
	}
	return active, nil
}

// pollHeld completes a multi-line record that no line followed for long enough; it reports whether there is one. One at
// the end of a rotated file may go on in the next, which gets it in a moment.
func (a *Agent) pollHeld(s *stream, now time.Time) (bool, error) {
	m := a.cfg.Decode.Multiline
	if m == nil || s.feed.active || s.after != nil || s.dec.Pending() == 0 {
		return false, nil
	}
	if now.Sub(s.grewAt) < m.Timeout.Std() {
		return true, nil
	}
	return true, a.flush(s, nil, false, now)
}

// keepHouse brings the journal up to date with what needs no batch, and lets go of files that are done with.
func (a *Agent) keepHouse() error {
	for _, s := range slices.Clone(a.order) {
		if err := a.keep(s); err != nil {
			return fmt.Errorf("journal %s: %w", s.file.Path(), err)
		}
	}
	return a.journal.Flush()
}

func (a *Agent) keep(s *stream) error {
	if err := a.store(s); err != nil {
		return err
	}
	pending, known := a.journal.Pending(s.ref)
	if !known || s.sealed != s.last || s.before != nil || s.feed.active {
		return nil
	}
	if s.moved {
		s.moved = false
		if err := a.journal.Append(s.move()); err != nil {
			return err
		}
		failpoint.Hit(failpoint.FileMoved)
	}
	if a.now().Sub(s.readAt) > idleAfter {
		s.file.Idle()
	}
	if !s.isEnded || pending || a.carriedOn(s) {
		return nil
	}
	if s.gone {
		if a.streams[journal.FileRef(s.stored.Behind)] != nil {
			return nil // by way of s an agent finds what a power cut has left of that one
		}
		a.forget(s)
		failpoint.Hit(failpoint.FileForgotten)
		return a.journal.Append(journal.Forget{File: s.ref})
	}
	if !s.finished {
		s.finished = true
		s.clean = s.file.MarkAt(s.file.Position(), nil) // also behind a record that ended in the next file
		s.file.Finish()
		failpoint.Hit(failpoint.FileFinished)
		a.log.V(1).Info("Finished file", "file", s.file.Path(), "bytes", s.file.Position(), "id", s.ref)
		done := s.move()
		done.Finished = true
		return a.journal.Append(done)
	}
	return nil
}

// store brings what the journal knows of a file's name and beginning up to date: it is found again by them. It is also
// told that a file was proven to have all that was read of it, after a start of the machine.
func (a *Agent) store(s *stream) error {
	state := s.file.State(s.clean)
	if state.Identity == s.stored.Identity && state.Path == s.stored.Path && state.Head == s.stored.Head &&
		state.Boot == s.stored.Boot {
		return nil
	}
	s.stored = state
	a.syncAt = time.Time{}
	err := a.journal.Append(journal.PutFile{Ref: s.ref, File: journal.File{State: state, Origin: s.originJSON()}})
	failpoint.Hit(failpoint.FileRenamed)
	return err
}

// carriedOn tells whether a record that began in s is not complete yet, or not in a sealed batch; or one that ended in
// s began in a file that is not finished: without s, the next agent would join that with what comes behind s.
func (a *Agent) carriedOn(s *stream) bool {
	for _, b := range a.open {
		if slices.Contains(b.streams, s) {
			return true
		}
	}
	return slices.ContainsFunc(a.order, func(t *stream) bool { return t.before == s || t.into == s && !t.finished })
}

func (a *Agent) forget(s *stream) {
	delete(a.streams, s.ref)
	a.order = slices.DeleteFunc(a.order, func(t *stream) bool { return t == s })
}
