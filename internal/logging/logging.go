// Package logging makes the logger of the programs: one line per event, as text or JSON.
package logging

import (
	"io"
	"log/slog"

	"github.com/go-logr/logr"
)

// New returns a logger that writes to w what is at most as detailed as verbosity: 0 tells what happened, 1 and more
// tell how. With json every line is one JSON object.
func New(w io.Writer, verbosity int, json bool) logr.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(-verbosity), ReplaceAttr: plainLevel}
	if json {
		return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(w, options))
}

// plainLevel names every V(n) DEBUG; slog would write V(1) as "DEBUG+3".
func plainLevel(_ []string, attr slog.Attr) slog.Attr {
	level, ok := attr.Value.Any().(slog.Level)
	if ok && attr.Key == slog.LevelKey && level < slog.LevelInfo {
		attr.Value = slog.StringValue(slog.LevelDebug.String())
	}
	return attr
}
