package tail

import (
	"fmt"
	"time"
)

// Config says which files a Set finds and how it treats them.
type Config struct {
	Inputs []Input
	// Accept decides on each new file that the patterns select, by its path; nil accepts all. A file that is not
	// accepted is asked for again at every scan.
	Accept func(path string) bool
	// StartAtEnd passes over what is in the files that are there at the very first scan without any known state. All
	// other files are read from their beginning.
	StartAtEnd bool
	// Compressed also reads .gz files: the rest of a rotated file that was compressed too early, and those that the
	// patterns select.
	Compressed bool
	// MaxFiles bounds the files that are not finished, and with them the open descriptors: a file has at most one.
	// Default 16384.
	MaxFiles int
	// MaxDecompressed bounds what one compressed file may expand to, in bytes. Default 16 GiB. The ratio is bounded by
	// maxRatio besides.
	MaxDecompressed int64
	// FinishQuiet is how long a rotated or deleted file must not have grown before an unterminated last line is taken
	// for complete. Default 5s.
	FinishQuiet time.Duration
	// IdleAfter is how long a file that was read to its end, and acknowledged, keeps its descriptor under its own name.
	// Default 1m.
	IdleAfter time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Boot is the machine's boot id. Default: what the kernel says.
	Boot string
}

// Input selects files by their path.
type Input struct {
	// Include and Exclude are absolute glob patterns: * and ? within one path element, ** for any number of them, [a-z]
	// and [^a-z] classes, and {a,b} alternatives without a slash.
	Include []string
	Exclude []string
	// IgnoreOlder leaves out files that were not modified for so long when first seen; they are read from their
	// beginning once they are written to. 0 reads all.
	IgnoreOlder time.Duration
}

func (c Config) withDefaults() Config {
	if c.MaxFiles == 0 {
		c.MaxFiles = 16384
	}
	if c.MaxDecompressed == 0 {
		c.MaxDecompressed = 16 << 30
	}
	if c.FinishQuiet == 0 {
		c.FinishQuiet = 5 * time.Second
	}
	if c.IdleAfter == 0 {
		c.IdleAfter = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Accept == nil {
		c.Accept = func(string) bool { return true }
	}
	if c.Boot == "" {
		c.Boot = bootID()
	}
	return c
}

// Validate returns an error that names the pattern which can't be used.
func (c Config) Validate() error {
	_, err := compileInputs(c.Inputs)
	return err
}

// input is a compiled Input.
type input struct {
	include, exclude []pattern
	ignoreOlder      time.Duration
}

func compileInputs(inputs []Input) ([]input, error) {
	out := make([]input, len(inputs))
	for i, in := range inputs {
		var err error
		if out[i].include, err = compileAll(in.Include); err != nil {
			return nil, fmt.Errorf("inputs[%d].include%w", i, err)
		}
		if out[i].exclude, err = compileAll(in.Exclude); err != nil {
			return nil, fmt.Errorf("inputs[%d].exclude%w", i, err)
		}
		out[i].ignoreOlder = in.IgnoreOlder
	}
	return out, nil
}

// selects tells whether the input's patterns select the file.
func (in *input) selects(path string) bool {
	return matchesAny(in.include, path) && !matchesAny(in.exclude, path)
}

// descends tells whether the input may select files below the directory.
func (in *input) descends(dir string) bool {
	for i := range in.exclude {
		if in.exclude[i].coversAll(dir) {
			return false
		}
	}
	for i := range in.include {
		if in.include[i].descends(dir) {
			return true
		}
	}
	return false
}
