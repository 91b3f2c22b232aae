package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/sink/store"
)

// commit makes all files of a roll durable and moves the position, in one rename. After an error the roll is either
// committed or not, and only the next session can tell; see settle.
func (s *session) commit(r *roll) (manifest, error) {
	m := s.manifest(r.first, r.next-1)
	m.Gap = s.gap
	if err := r.finish(&m, s.at.finalStem(m.First, m.Last)); err != nil {
		return manifest{}, s.explain(err)
	}
	if err := writeManifest(s.files, path.Join(r.dir, manifestName), m); err != nil {
		return manifest{}, s.explain(err)
	}
	failpoint.Hit(failpoint.CommitBefore)
	if err := s.files.RenameDir(r.dir, s.at.commit(m.First)); err != nil {
		if err := s.settle(m, fmt.Errorf("commit roll: %w", err)); err != nil {
			return manifest{}, err
		}
	}
	failpoint.Hit(failpoint.CommitRenamed)
	s.next, s.gap = m.Last+1, nil
	s.commits = append(s.commits, m.First)
	return m, nil
}

// settle finds out what became of a rename that returned cause: its answer may have been lost. When this session's
// manifest is not there now, it may still come: the cause is returned, and the next session removes the directory
// that a late rename would need before it looks again.
func (s *session) settle(m manifest, cause error) error {
	there, err := s.readManifest(path.Join(s.at.commit(m.First), manifestName))
	switch {
	case err == nil && there.Session == s.id:
		return nil
	case err == nil:
		return fmt.Errorf("%w: %w", errFenced, cause)
	default:
		return s.explain(cause)
	}
}

// publish makes the files of a commit visible. It may be called again at any time, by any session: a file that is still
// in the commit's directory is not visible yet, and one that is not there has been published.
func (s *session) publish(m manifest) error {
	dir := s.at.commit(m.First)
	entries, err := s.files.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list commit: %w", err)
	}
	failpoint.Hit(failpoint.PublishListed)
	sizes := map[string]int64{}
	for _, entry := range entries {
		sizes[entry.Name()] = entry.Size()
	}
	for _, file := range m.Files {
		size, pending := sizes[file.Name]
		if !pending {
			continue
		}
		if size != file.Bytes {
			return fmt.Errorf("%w: %s has %d bytes, its manifest says %d", errHalted, path.Join(dir, file.Name), size,
				file.Bytes)
		}
		if err := s.show(path.Join(dir, file.Name), file); err != nil {
			return err
		}
		failpoint.Hit(failpoint.PublishRenamed)
	}
	failpoint.Hit(failpoint.PublishDone)
	return nil
}

// show renames one file to where readers look. A file that is there already while ours is still here was not put there
// by this sink: the rename would replace it. Two sinks that publish the same name in the same instant are not
// noticed, as the store has no rename that refuses to replace a file; that takes two sinks with one path template on
// one topic whose rolls have the same first and last offset.
func (s *session) show(from string, file manifestFile) error {
	if err := s.files.MkdirAll(path.Dir(file.Path)); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	failpoint.Hit(failpoint.PublishMade)
	foreign, err := s.foreign(from, file.Path)
	if err != nil {
		return err
	}
	if foreign {
		return fmt.Errorf("%w: %s exists and is not this sink's: another sink writes to the same path, or the file was "+
			"copied there; remove it, or give one of them another path", errHalted, file.Path)
	}
	err = s.files.RenameFile(from, file.Path)
	if err == nil || errors.Is(err, fs.ErrNotExist) && s.published(from, file) {
		return nil
	}
	return fmt.Errorf("publish: %w", err)
}

// foreign tells whether there is a file at the final path while ours still waits to go there.
func (s *session) foreign(from, final string) (bool, error) {
	for _, name := range []string{final, from} {
		_, err := s.files.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("publish: %w", err)
		}
	}
	return true, nil
}

// published tells whether the session before this one, or the one after it, has published the file meanwhile.
func (s *session) published(from string, file manifestFile) bool {
	info, err := s.files.Stat(file.Path)
	if err != nil || info.Size() != file.Bytes {
		return false
	}
	_, err = s.files.Stat(from)
	return errors.Is(err, fs.ErrNotExist)
}

// prune removes all commits but the newest few. Only published ones come here.
func (s *session) prune() error {
	for len(s.commits) > keepCommits {
		dir := s.at.commit(s.commits[0])
		if err := s.files.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove old commit: %w", err)
		}
		failpoint.Hit(failpoint.PruneRemoved)
		s.commits = s.commits[1:]
	}
	return nil
}

func writeManifest(files store.Store, name string, m manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	file, err := files.Create(name)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	failpoint.Hit(failpoint.ManifestCreated)
	if _, err := file.Write(append(data, '\n')); err != nil {
		file.Abort()
		return fmt.Errorf("write manifest: %w", err)
	}
	failpoint.Hit(failpoint.ManifestWritten)
	return closeFile(files, file, name, int64(len(data)+1))
}

// closeFile closes a file and makes sure that it is as long as what was written: HDFS can complete a file short after
// an error that the client did not hear of.
func closeFile(files store.Store, file store.File, name string, size int64) error {
	if err := file.Close(); err != nil {
		return fmt.Errorf("finish file: %w", err)
	}
	info, err := files.Stat(name)
	if err != nil {
		return fmt.Errorf("finish file: %w", err)
	}
	if info.Size() != size {
		return fmt.Errorf("finish file %s: it has %d bytes of the %d written", name, info.Size(), size)
	}
	return nil
}
