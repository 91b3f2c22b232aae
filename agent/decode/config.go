package decode

import "github.com/logpipe/logpipe/internal/conf"

// Format names how lines are framed in a file.
type Format string

// The formats of a file. Auto looks at each file's first line and chooses CRI, Docker or Raw.
const (
	FormatAuto   Format = "Auto"
	FormatRaw    Format = "Raw"
	FormatCRI    Format = "CRI"
	FormatDocker Format = "Docker"
)

// OversizePolicy names what becomes of a record longer than MaxRecordBytes.
type OversizePolicy string

// The policies for over-long records. Whatever is cut off or dropped is counted by reason.
const (
	// OversizeSplit cuts the record into parts of MaxRecordBytes.
	OversizeSplit OversizePolicy = "Split"
	// OversizeTruncate keeps the first MaxRecordBytes.
	OversizeTruncate OversizePolicy = "Truncate"
	// OversizeDrop keeps nothing.
	OversizeDrop OversizePolicy = "Drop"
)

// Config says how bytes become records. Together with the bytes it determines them, so it is journaled with each batch.
type Config struct {
	// Format of the lines. Default Auto.
	Format Format `json:"format,omitempty"`
	// MaxRecordBytes bounds a record, joined and multi-line ones included. Default 256 KiB, at least 256 bytes.
	MaxRecordBytes int `json:"maxRecordBytes,omitempty"`
	// Oversize says what becomes of longer records. Default Split.
	Oversize OversizePolicy `json:"oversize,omitempty"`
	// Multiline joins lines into records; nil takes every line as a record.
	Multiline *Multiline `json:"multiline,omitempty"`
	// Filters are applied in order to every record.
	Filters []Filter `json:"filters,omitempty"`
}

// Multiline says which lines belong to one record. Exactly one of the patterns is set; they are RE2 expressions.
type Multiline struct {
	// StartPattern matches the first line of a record.
	StartPattern string `json:"startPattern,omitempty"`
	// ContinuePattern matches lines that belong to the record before.
	ContinuePattern string `json:"continuePattern,omitempty"`
	// EndPattern matches the last line of a record.
	EndPattern string `json:"endPattern,omitempty"`
	// Timeout completes a record when no line has come for so long. Default 5s.
	Timeout conf.Duration `json:"timeout,omitempty"`
	// MaxLines bounds a record. Default 500.
	MaxLines int `json:"maxLines,omitempty"`
}

// Filter drops or changes records. Exactly one field is set.
type Filter struct {
	Drop   *Drop   `json:"drop,omitempty"`
	Redact *Redact `json:"redact,omitempty"`
}

// Drop drops the records that match.
type Drop struct {
	// Match is an RE2 expression.
	Match string `json:"match"`
}

// Redact replaces what matches.
type Redact struct {
	// Pattern is an RE2 expression.
	Pattern string `json:"pattern"`
	// Replacement may refer to groups as $1 or ${name}. Default "***".
	Replacement string `json:"replacement,omitempty"`
}
