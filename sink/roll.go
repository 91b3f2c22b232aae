package sink

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/logpipe/logpipe/internal/failpoint"
	"github.com/logpipe/logpipe/sink/format"
	"github.com/logpipe/logpipe/sink/store"
)

// Why a roll was committed; the values of a metric's label.
const (
	rollBytes     = "bytes"
	rollRecords   = "records"
	rollInterval  = "interval"
	rollIdle      = "idle"
	rollOpenFiles = "openFiles"
	rollGap       = "gap"
	rollRelease   = "release"
)

var errTooManyFiles = errors.New("too many open files")

// roll is what a partition is writing: the records of the offsets from first to next-1, in one file per bucket. Its
// directory is made with the first file, so an idle partition costs the store nothing.
type roll struct {
	files store.Store
	dir   string
	cfg   *Config
	first int64
	next  int64
	made  bool

	buckets map[string]*bucket
	order   []*bucket
	records int64
	// full is why the roll takes no more records.
	full string
	// started is when the first offset was passed, last when the newest one was; zero in an empty roll.
	started time.Time
	last    time.Time
}

// bucket is one file of a roll.
type bucket struct {
	dir  string
	name string
	file store.File
	out  *format.Writer
}

func newRoll(files store.Store, dir string, cfg *Config, first int64) *roll {
	return &roll{files: files, dir: dir, cfg: cfg, first: first, next: first, buckets: map[string]*bucket{}}
}

func (r *roll) empty() bool { return r.next == r.first }

// add writes rec to the file of its bucket. errTooManyFiles leaves the roll as it was.
func (r *roll) add(rec *format.Record, dir string, now time.Time) error {
	b, err := r.bucket(dir)
	if err != nil {
		return err
	}
	if err := b.out.Write(rec); err != nil {
		return fmt.Errorf("write roll: %w", err)
	}
	failpoint.Hit(failpoint.RollWritten)
	r.records++
	r.pass(rec.Offset+1, now)
	switch {
	case b.out.Written() >= r.cfg.Roll.MaxBytes:
		r.full = rollBytes
	case r.cfg.Roll.MaxRecords > 0 && r.records >= r.cfg.Roll.MaxRecords:
		r.full = rollRecords
	}
	return nil
}

// pass moves the end of the roll, over offsets without a record too: those of control and aborted records.
func (r *roll) pass(next int64, now time.Time) {
	if next <= r.next {
		return
	}
	if r.empty() {
		r.started = now
	}
	r.next, r.last = next, now
}

func (r *roll) bucket(dir string) (*bucket, error) {
	if b := r.buckets[dir]; b != nil {
		return b, nil
	}
	if len(r.buckets) >= r.cfg.MaxOpenFiles {
		return nil, errTooManyFiles
	}
	if err := r.mkdir(); err != nil {
		return nil, err
	}
	b := &bucket{dir: dir, name: fileName(len(r.order))}
	name := path.Join(r.dir, b.name)
	file, err := r.files.Create(name)
	if err != nil {
		return nil, fmt.Errorf("begin file: %w", err)
	}
	failpoint.Hit(failpoint.RollCreated)
	b.file = file
	if b.out, err = format.NewWriter(r.cfg.File, file); err != nil {
		file.Abort()
		return nil, fmt.Errorf("begin file: %w", err)
	}
	r.buckets[dir] = b
	r.order = append(r.order, b)
	return b, nil
}

// mkdir makes the roll's directory. The session's must be there: that is the fence.
func (r *roll) mkdir() error {
	if r.made {
		return nil
	}
	if err := r.files.Mkdir(r.dir); err != nil {
		return fmt.Errorf("begin roll: %w", err)
	}
	failpoint.Hit(failpoint.RollMade)
	r.made = true
	return nil
}

// due returns why the roll is to be committed now, or nothing.
func (r *roll) due(now time.Time) string {
	if r.empty() {
		return ""
	}
	idle := r.cfg.Roll.IdleTimeout.Std()
	switch {
	case r.full != "":
		return r.full
	case now.Sub(r.started) >= r.cfg.Roll.Interval.Std():
		return rollInterval
	case idle > 0 && now.Sub(r.last) >= idle:
		return rollIdle
	}
	return ""
}

// timeLeft is how long it is until a timer makes the roll due, if no record comes.
func (r *roll) timeLeft(now time.Time) time.Duration {
	left := r.cfg.Roll.Interval.Std()
	if r.empty() {
		return left
	}
	left -= now.Sub(r.started)
	if idle := r.cfg.Roll.IdleTimeout.Std(); idle > 0 {
		left = min(left, idle-now.Sub(r.last))
	}
	return left
}

// finish closes every file and notes it in m. The roll is of no use after an error.
func (r *roll) finish(m *manifest, stem string) error {
	if err := r.mkdir(); err != nil {
		return err
	}
	for len(r.order) > 0 {
		b := r.order[0]
		if err := b.close(r); err != nil {
			return err
		}
		failpoint.Hit(failpoint.RollClosed)
		r.order = r.order[1:]
		m.Files = append(m.Files, manifestFile{
			Path: path.Join(b.dir, stem+format.Extension(r.cfg.File)), Name: b.name,
			Bytes: b.out.Written(), Records: b.out.Records(), CRC32C: b.out.CRC32C(),
			MinTime: b.out.MinTime().UTC(), MaxTime: b.out.MaxTime().UTC(),
		})
	}
	return nil
}

func (b *bucket) close(r *roll) error {
	if err := b.out.Close(); err != nil {
		return fmt.Errorf("write roll: %w", err)
	}
	return closeFile(r.files, b.file, path.Join(r.dir, b.name), b.out.Written())
}

// abandon gives up the files that are still open. What is left of them goes with the session's directory.
func (r *roll) abandon() {
	for _, b := range r.order {
		b.out.Discard()
		b.file.Abort()
	}
	r.order = nil
}
