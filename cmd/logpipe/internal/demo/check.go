package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/logpipe/logpipe/internal/lines"
)

// truthFile is kept in the demo's directory: how many lines each writer wrote.
const truthFile = "written.json"

func (p *pipe) written() map[string]uint64 {
	out := map[string]uint64{}
	for _, w := range p.writers {
		out[w.name] = w.written.Load()
	}
	return out
}

// keepTruth stores how many lines each writer wrote, for Check.
func (p *pipe) keepTruth() error {
	data, err := json.Marshal(p.written())
	if err != nil {
		return fmt.Errorf("store the truth: %w", err)
	}
	return os.WriteFile(filepath.Join(p.o.Dir, truthFile), data, 0o600)
}

// Check compares the lines of in, in whatever order files follow each other, with the truth a demo left in its
// directory. It returns ErrImperfect if a line is missing, doubled or changed.
func Check(in io.Reader, truth string, out io.Writer) error {
	data, err := os.ReadFile(truth)
	if err != nil {
		return fmt.Errorf("read the truth: %w", err)
	}
	written := map[string]uint64{}
	if err := json.Unmarshal(data, &written); err != nil {
		return fmt.Errorf("parse %s: %w", truth, err)
	}
	checker := lines.NewChecker()
	if err := eachLine(in, "input", checker.Add); err != nil {
		return err
	}
	verdict := checker.Verdict(written)
	_, _ = fmt.Fprintln(out, verdict)
	verdict.OutOfOrder = 0 // a listing has files in the order of their names, over all partitions
	if !verdict.Perfect() {
		return ErrImperfect
	}
	return nil
}
