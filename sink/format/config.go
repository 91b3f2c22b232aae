// Package format encodes Kafka records into the bytes of a file, and names the directory each belongs in.
package format

import (
	"errors"
	"fmt"

	"github.com/logpipe/logpipe/internal/conf"
)

// Encoding names how records follow each other in a file.
type Encoding string

// The encodings.
const (
	// Text writes the value and a newline. A value with newlines in it cannot be told from several records.
	Text Encoding = "Text"
	// JSONLines writes one JSON object per line: topic, partition, offset, timestamp, key, headers and value.
	JSONLines Encoding = "JSONLines"
)

// Compression names how a file is compressed.
type Compression string

// The compressions of a file.
const (
	None Compression = "None"
	Gzip Compression = "Gzip"
	Zstd Compression = "Zstd"
)

// Config is the format of a file.
type Config struct {
	// Format of the records. Default Text.
	Format Encoding `json:"format,omitempty"`
	// Compression of the file. Default None.
	Compression Compression `json:"compression,omitempty"`
	// Level of the compression, 1 (fast) to 9 (small) for Gzip, 1 to 4 for Zstd. An open file takes some 1 MiB of memory
	// with either, 2 MiB with Zstd from 2 on and 36 MiB with 4. Default 1.
	Level int `json:"level,omitempty"`
}

// maxLevel of each compression.
var maxLevel = map[Compression]int{Gzip: 9, Zstd: 4}

// Default fills in what is not set.
func (c *Config) Default() {
	if c.Format == "" {
		c.Format = Text
	}
	if c.Compression == "" {
		c.Compression = None
	}
	if c.Level == 0 && c.Compression != None {
		c.Level = 1
	}
}

// Validate reports every field that cannot be used. It expects the defaults to be filled in.
func (c *Config) Validate() error {
	var errs []error
	if c.Format != Text && c.Format != JSONLines {
		errs = append(errs, conf.Invalid("format", string(c.Format), "use Text or JSONLines"))
	}
	highest, compressed := maxLevel[c.Compression]
	switch {
	case c.Compression != None && !compressed:
		errs = append(errs, conf.Invalid("compression", string(c.Compression), "use None, Gzip or Zstd"))
	case c.Compression == None && c.Level != 0:
		errs = append(errs, conf.Invalid("level", c.Level, "leave it out, or set compression to Gzip or Zstd"))
	case compressed && (c.Level < 1 || c.Level > highest):
		remedy := fmt.Sprintf("use 1 to %d for %s", highest, c.Compression)
		errs = append(errs, conf.Invalid("level", c.Level, remedy))
	}
	return errors.Join(errs...)
}

// Extension of the names of files in this format, such as ".log" or ".jsonl.gz".
func Extension(cfg Config) string {
	ext := ".log"
	if cfg.Format == JSONLines {
		ext = ".jsonl"
	}
	switch cfg.Compression {
	case Gzip:
		ext += ".gz"
	case Zstd:
		ext += ".zst"
	}
	return ext
}
