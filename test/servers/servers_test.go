package servers

import (
	"regexp"
	"strings"
	"testing"
)

func TestUniqueNameFitsTopicsAndDirectories(t *testing.T) {
	for _, name := range []string{"UPPER/lower", "with spaces, ünicode", strings.Repeat("long", 50)} {
		t.Run(name, func(t *testing.T) {
			first, second := UniqueName(t), UniqueName(t)
			if !regexp.MustCompile(`^[a-z0-9-]{1,80}$`).MatchString(first) {
				t.Errorf("%q is no topic name", first)
			}
			if first == second {
				t.Errorf("%q twice", first)
			}
		})
	}
}

func TestValueFindsItsLine(t *testing.T) {
	output := "namenode=hdfs://127.0.0.1:1\nconf=/tmp/conf\n"
	if got := value(output, "conf"); got != "/tmp/conf" {
		t.Errorf("conf = %q", got)
	}
	if got := value(output, "bootstrap"); got != "" {
		t.Errorf("bootstrap = %q", got)
	}
}
