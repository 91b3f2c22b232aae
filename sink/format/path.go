package format

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // images without a file system have no time zones of their own

	"github.com/logpipe/logpipe/internal/conf"
)

// What a path may hold. 12 directories of 250 bytes fit below any root on HDFS (8000 bytes) and Linux (4096 bytes).
const (
	maxTemplate  = 1024
	maxDepth     = 12
	maxValue     = 200
	maxComponent = 250
)

const (
	// InvalidTime is the directory of records whose time cannot be right: before 1970, or later than the bound given
	// to Bucket. It bounds the directories that a producer with a wrong clock can make. Hadoop's readers skip it.
	InvalidTime = "__invalid__"
	// EmptyValue stands for a value that is empty or that the record does not have. A value that reads the same is
	// written as %2Dempty-.
	EmptyValue = "-empty-"
)

// part is a piece of a template: literal text, the separator, a piece of the time, or a value of the record.
type part struct {
	kind partKind
	text string // of a literal; the name of a header
}

type partKind byte

const (
	literalPart partKind = iota
	separatorPart
	yearPart
	monthPart
	dayPart
	hourPart
	minutePart
	topicPart
	partitionPart
	keyPart
	headerPart
)

var timeParts = map[byte]partKind{'Y': yearPart, 'm': monthPart, 'd': dayPart, 'H': hourPart, 'M': minutePart}

var valueParts = map[string]partKind{"topic": topicPart, "partition": partitionPart, "key": keyPart}

const knownParts = "%Y %m %d %H %M {topic} {partition} {key} {header.<name>}"

// Path is the parsed template of the directory of a record. It does not change and may be shared.
type Path struct {
	parts []part
	zone  *time.Location
	timed bool
}

// ParsePath parses a template such as "{topic}/dt=%Y-%m-%d/hr=%H", relative to the root of the store. Times are those
// of the records in timeZone, an IANA name; "" is UTC. Literal text consists of letters, digits and =._- and no
// directory starts with a dot or an underscore, since Hadoop's readers skip those.
func ParsePath(template, timeZone string) (*Path, error) {
	var errs []error
	zone, err := time.LoadLocation(timeZone)
	if err != nil || timeZone == "Local" {
		errs = append(errs, conf.Invalid("timeZone", timeZone, "use an IANA name, such as Europe/Berlin"))
	}
	p := &Path{zone: zone}
	if err := p.parse(template); err != nil {
		errs = append(errs, conf.Invalid("path", template, err.Error()))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p, nil
}

func (p *Path) parse(template string) error {
	switch {
	case template == "":
		return errors.New(`use a template such as "{topic}/dt=%Y-%m-%d"`)
	case len(template) > maxTemplate:
		return fmt.Errorf("use at most %d bytes", maxTemplate)
	}
	components := strings.Split(template, "/")
	if len(components) > maxDepth {
		return fmt.Errorf("use at most %d directories", maxDepth)
	}
	for i, component := range components {
		if i > 0 {
			p.parts = append(p.parts, part{kind: separatorPart})
		}
		if err := p.parseComponent(component); err != nil {
			return err
		}
	}
	return nil
}

func (p *Path) parseComponent(component string) error {
	switch {
	case component == "":
		return errors.New("remove the slash at the beginning, at the end or doubled: it is relative to the root")
	case component[0] == '.' || component[0] == '_':
		return fmt.Errorf("directory %q must not start with '.' or '_': Hadoop's readers skip such", component)
	}
	for rest := component; rest != ""; {
		next, length, err := parsePart(rest)
		if err != nil {
			return err
		}
		p.parts = append(p.parts, next)
		p.timed = p.timed || next.isTime()
		rest = rest[length:]
	}
	return nil
}

func (p part) isTime() bool { return p.kind >= yearPart && p.kind <= minutePart }

// parsePart returns the part that s starts with, and its length.
func parsePart(s string) (part, int, error) {
	switch s[0] {
	case '%':
		return parseTime(s)
	case '{':
		return parseValue(s)
	}
	length := strings.IndexAny(s, "%{")
	if length < 0 {
		length = len(s)
	}
	for _, c := range []byte(s[:length]) {
		if !safe[c] {
			return part{}, 0, fmt.Errorf("replace %q: use letters, digits and =._- between variables", c)
		}
	}
	return part{kind: literalPart, text: s[:length]}, length, nil
}

func parseTime(s string) (part, int, error) {
	if len(s) >= 2 {
		if kind, ok := timeParts[s[1]]; ok {
			return part{kind: kind}, 2, nil
		}
		s = s[:2]
	}
	return part{}, 0, fmt.Errorf("unknown variable %q: use %s", s, knownParts)
}

func parseValue(s string) (part, int, error) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return part{}, 0, fmt.Errorf("close the brace of %q", s)
	}
	name := s[1:end]
	if kind, ok := valueParts[name]; ok {
		return part{kind: kind}, end + 1, nil
	}
	if header, ok := strings.CutPrefix(name, "header."); ok && header != "" {
		return part{kind: headerPart, text: header}, end + 1, nil
	}
	return part{}, 0, fmt.Errorf("unknown variable %q: use %s", s[:end+1], knownParts)
}
