package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logpipe/logpipe/agent"
	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/test/servers"
)

const (
	// fewFiles is how many files are made without LOGPIPE_FAULTS_ROUNDS.
	fewFiles = 100
	// atATime is how many are deleted, and made, at a time, of twice as many that there are.
	atATime = 10
)

// alike begins half of the files. The agent drops it, but its hash of a file's beginning covers nothing else.
var alike = dropped + strings.Repeat("the beginning of many files ", 50) + "\n"

// TestInodesAreReused deletes files that were read and makes others, which get the inode numbers of those: under the
// same or another name, with the same bytes at their beginning or others, while the agent lives or is dead.
func TestInodesAreReused(t *testing.T) {
	w := newTailed(t, servers.Kafka(t, 1).Bootstrap, func(w *tailed, cfg *agent.Config) {
		cfg.Inputs[0].Files.Include = []string{filepath.Join(w.dir, "*.log")}
	})
	pool := &inodePool{tailed: w, freed: map[uint64]string{}}
	for i := range pool.sources {
		pool.sources[i] = lines.NewSource(writerName(i), w.seed+uint64(i))
	}
	w.start()
	began := time.Now()
	for pool.made < rounds(t, fewFiles) {
		dead := w.random.IntN(3) == 0
		if dead {
			w.agent.kill()
		}
		pool.replace()
		if dead {
			w.start()
		}
		w.await("all lines are in Kafka", func() bool { return w.end() >= pool.written() })
	}
	w.agent.kill()
	_, verdict := w.judge(pool.sources[:]...)
	t.Logf("%d files in %.0f s, agent killed %d times: %d inode numbers were reused, %d of them under the same "+
		"name, %d with the same beginning: %s", pool.made, time.Since(began).Seconds(), w.lives.Load(),
		pool.reused, pool.sameName, pool.sameHead, verdict)
	if !verdict.Perfect() {
		t.Error("not exactly once")
	}
	if pool.reused == 0 {
		t.Skip("this file system reuses no inode numbers")
	}
}

// inodePool are files that take each other's place.
type inodePool struct {
	*tailed
	sources [2 * atATime]*lines.Source
	paths   [2 * atATime]string
	// freed has the path that each inode number had last.
	freed                            map[uint64]string
	made, reused, sameName, sameHead int
}

func (p *inodePool) written() (n int64) {
	for _, source := range p.sources {
		n += int64(source.Count())
	}
	return n
}

// replace deletes some files and makes as many.
func (p *inodePool) replace() {
	p.Helper()
	slots := p.random.Perm(len(p.sources))[:atATime]
	before := p.paths
	for _, slot := range slots {
		if path := p.paths[slot]; path != "" {
			p.freed[p.inode(path)] = path
			p.check(os.Remove(path))
		}
	}
	for _, slot := range slots {
		path := before[slot]
		if path == "" || p.random.IntN(2) == 0 {
			path = filepath.Join(p.dir, fmt.Sprintf("%d-%d.log", slot, p.made))
		}
		p.paths[slot] = path
		p.make(path, p.sources[slot])
	}
}

func (p *inodePool) make(path string, source *lines.Source) {
	p.Helper()
	begin := ""
	if p.random.IntN(2) == 0 {
		begin = alike
	}
	p.check(os.WriteFile(path, []byte(begin), 0o600))
	p.writeTo(path, source, 1+p.random.IntN(40))
	p.made++
	before, reused := p.freed[p.inode(path)]
	if !reused {
		return
	}
	p.reused++
	if before == path {
		p.sameName++
	}
	if begin != "" {
		p.sameHead++
	}
}

func (p *inodePool) inode(path string) uint64 {
	p.Helper()
	found, err := os.Stat(path)
	p.check(err)
	return found.Sys().(*syscall.Stat_t).Ino
}
