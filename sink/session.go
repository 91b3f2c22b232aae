package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/sink/store"
)

// keepCommits is how many of the newest commits stay below commits/. The newest is the position of the partition; the
// others show a person what happened last.
const keepCommits = 3

var (
	// errFenced says that the session's directory is gone: another session has taken the partition.
	errFenced = errors.New("another sink has taken the partition")
	// errHalted is what needs a person: going on could lose, double or overwrite records.
	errHalted = errors.New("halted")
)

// session is one claim of a partition. As long as its directory exists it is the only one that can commit:
//
//	claim    make sessions/<id>
//	fence    take every other session's directory away, so that none of them can create, close or commit a file any more
//	recover  only then look at the commits: nobody can add one now, and what is not published yet gets published
//
// Any error ends the session. The next one learns from the store what became of it.
type session struct {
	files   store.Store
	at      layout
	topicID string
	id      string
	rolls   int
	// commits in the store, oldest first.
	commits []int64
	// next is the first offset that is not committed, -1 where the partition has no position yet.
	next int64
	// gap is what Kafka had deleted before it was read; it goes into the next manifest.
	gap *offsetRange
}

func newSession(files store.Store, at layout, topicID, id string) *session {
	return &session{files: files, at: at, topicID: topicID, id: id, next: -1}
}

func (s *session) dir() string { return s.at.session(s.id) }

func (s *session) claim() error {
	for _, dir := range []string{s.at.sessions(), s.at.commits()} {
		if err := s.files.MkdirAll(dir); err != nil {
			return fmt.Errorf("prepare partition: %w", err)
		}
	}
	failpoint.Hit(failpoint.ClaimPrepared)
	if err := s.files.Mkdir(s.dir()); err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	failpoint.Hit(failpoint.ClaimMade)
	return nil
}

func (s *session) fence() error {
	entries, err := s.files.ReadDir(s.at.sessions())
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == s.id {
			continue
		}
		if err := s.evict(entry.Name()); err != nil {
			return fmt.Errorf("fence session: %w", err)
		}
		failpoint.Hit(failpoint.FenceRemoved)
	}
	return nil
}

// evict takes the directory of another session away in one step, and removes it then. Removing it in place would take
// one file after the other where the store has no atomic way, and what is left could still be committed meanwhile.
func (s *session) evict(name string) error {
	dir := s.at.session(name)
	if !strings.HasSuffix(name, fencedSuffix) {
		fenced := dir + fencedSuffix
		err := s.files.RenameDir(dir, fenced)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // its owner, or another that came at the same moment, was quicker
		}
		if err != nil {
			return err
		}
		dir = fenced
	}
	failpoint.Hit(failpoint.FenceRenamed)
	return s.files.RemoveAll(dir)
}

// recover publishes what is committed but not visible yet, and finds the position.
func (s *session) recover() error {
	commits, err := s.list()
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RecoverListed)
	committed := s.topicID
	for i, first := range commits {
		m, err := s.readManifest(path.Join(s.at.commit(first), manifestName))
		if errors.Is(err, fs.ErrNotExist) && i < len(commits)-1 {
			// The session before this one was removing it. Only the newest says where to go on.
			if err := s.files.RemoveAll(s.at.commit(first)); err != nil {
				return fmt.Errorf("remove old commit: %w", err)
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := s.follow(m, first); err != nil {
			return err
		}
		failpoint.Hit(failpoint.RecoverFollowed)
		if err := s.publish(m); err != nil {
			return err
		}
		committed = m.TopicID
	}
	if committed != s.topicID {
		return s.recreated(committed) // only now: what is committed becomes visible all the same
	}
	if s.next >= 0 {
		return s.prune()
	}
	return s.readStart()
}

// list returns the first offsets of the commits, ascending.
func (s *session) list() ([]int64, error) {
	entries, err := s.files.ReadDir(s.at.commits())
	if err != nil {
		return nil, fmt.Errorf("list commits: %w", err)
	}
	var commits []int64
	for _, entry := range entries {
		if first, ok := parseCommitName(entry.Name()); ok && entry.IsDir() {
			commits = append(commits, first)
		}
	}
	slices.Sort(commits)
	return commits, nil
}

// follow moves the position over m, which must continue the chain.
func (s *session) follow(m manifest, first int64) error {
	switch {
	case m.First != first:
		return fmt.Errorf("%w: the manifest in %s begins at offset %d", errHalted, s.at.commit(first), m.First)
	case s.next >= 0 && m.First != s.next:
		return fmt.Errorf("%w: commit %s should begin at offset %d", errHalted, s.at.commit(first), s.next)
	}
	s.next = m.Last + 1
	s.commits = append(s.commits, first)
	return nil
}

func (s *session) recreated(committed string) error {
	return fmt.Errorf("%w: topic %s was re-created: the files in the store are from id %s, Kafka now has %s; use another "+
		"sink name, or move %s away to read the new topic from its start", errHalted, s.at.topic, committed, s.topicID,
		path.Dir(s.at.base()))
}

func (s *session) readManifest(name string) (manifest, error) {
	data, err := s.files.ReadFile(name, maxManifestBytes)
	if err != nil {
		return manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	m, err := parseManifest(data, s.at)
	if err != nil {
		return manifest{}, fmt.Errorf("%w: %s: %w", errHalted, name, err)
	}
	return m, nil
}

// readStart finds the position of a partition that has no commit yet.
func (s *session) readStart() error {
	m, err := s.readManifest(s.at.start())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case m.TopicID != s.topicID:
		return s.recreated(m.TopicID)
	}
	s.next = m.First
	return nil
}

// begin pins the start of a partition that has never been read. Without it, a session that ends before its first commit
// would leave no trace, and the next one would choose its own start: records in between could be missed unseen.
func (s *session) begin(offset int64) error {
	m := s.manifest(offset, offset-1)
	name := path.Join(s.dir(), startName)
	if err := writeManifest(s.files, name, m); err != nil {
		return s.explain(err)
	}
	failpoint.Hit(failpoint.StartWritten)
	if err := s.files.RenameFile(name, s.at.start()); err != nil {
		return s.explain(fmt.Errorf("pin start: %w", err))
	}
	failpoint.Hit(failpoint.StartPinned)
	s.next = offset
	return nil
}

// skipTo notes that the records before start are no longer in Kafka.
func (s *session) skipTo(start int64) { s.gap = &offsetRange{First: s.next, Last: start - 1} }

func (s *session) manifest(first, last int64) manifest {
	return manifest{
		Version: manifestVersion, Session: s.id, Topic: s.at.topic, TopicID: s.topicID, Partition: s.at.partition,
		First: first, Last: last, Files: []manifestFile{},
	}
}

// rollDir names the directory of the next roll.
func (s *session) rollDir() string {
	s.rolls++
	return path.Join(s.dir(), strconv.Itoa(s.rolls))
}

// explain tells whether err came of the session's directory having been removed.
func (s *session) explain(err error) error {
	if _, statErr := s.files.Stat(s.dir()); errors.Is(statErr, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errFenced, err)
	}
	return err
}

// leave removes the session's directory. It is only tidy: the next session would do it.
func (s *session) leave() error {
	if err := s.files.RemoveAll(s.dir()); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}
