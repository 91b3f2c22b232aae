package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	tests := map[string]struct {
		verbosity int
		json      bool
		wantLines int
		wantText  string
	}{
		"details are left out by default": {wantLines: 2, wantText: `msg="Committed roll"`},
		"details are shown on request":    {verbosity: 1, wantLines: 3, wantText: "level=DEBUG msg=\"Opened file\""},
		"JSON has one object per line":    {verbosity: 1, json: true, wantLines: 3, wantText: `"level":"DEBUG"`},
		"errors are shown":                {wantLines: 2, wantText: "err=boom"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log := New(&out, test.verbosity, test.json)
			log.Info("Committed roll", "partition", 3)
			log.V(1).Info("Opened file")
			log.Error(errors.New("boom"), "Lost connection")
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != test.wantLines {
				t.Errorf("got %d lines, want %d:\n%s", len(lines), test.wantLines, out.String())
			}
			if !strings.Contains(out.String(), test.wantText) {
				t.Errorf("want %q in:\n%s", test.wantText, out.String())
			}
			for _, line := range lines {
				if test.json && !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
		})
	}
}
