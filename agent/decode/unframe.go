package decode

import (
	"bytes"
	"encoding/json"
	"time"
)

// unframe sets d.framing from the beginning of a line and returns the text behind it. A line that is not in the format
// is taken as it is.
func (d *Decoder) unframe(line []byte) []byte {
	d.framing = framing{mapped: true, inChunk: true}
	format := d.plan.format
	if format == FormatAuto {
		format = guess(line)
	}
	switch format {
	case FormatCRI:
		if text, ok := d.cri(line); ok {
			return text
		}
	case FormatDocker:
		if len(line) <= d.plan.max {
			if text, ok := d.docker(line); ok {
				return text
			}
		}
	default:
		return line
	}
	d.framing.raw = true
	d.stats.Malformed++
	return line
}

var dockerStart = []byte(`{"log":"`)

// guess tells the format of one line by its first bytes. It looks at each line by itself, so that it says the same
// wherever decoding begins.
func guess(line []byte) Format {
	switch {
	case len(line) > 0 && line[0] == '{' && bytes.HasPrefix(line, dockerStart):
		return FormatDocker
	case len(line) > len("2006-01-02T15:04:05Z stdout F") && line[4] == '-' && line[10] == 'T' && isCRI(line):
		return FormatCRI
	default:
		return FormatRaw
	}
}

// isCRI tells whether a line that starts like a time goes on like a line of a container runtime.
func isCRI(line []byte) bool {
	space := bytes.IndexByte(line[:min(len(line), 40)], ' ')
	if space < 0 {
		return false
	}
	rest := line[space+1:]
	return bytes.HasPrefix(rest, stdout) || bytes.HasPrefix(rest, stderr)
}

var (
	stdout = []byte("stdout ")
	stderr = []byte("stderr ")
)

// cri reads "<RFC 3339 time> <stdout|stderr> <P|F>[:<tag>...] <text>", the format of the Container Runtime Interface.
func (d *Decoder) cri(line []byte) ([]byte, bool) {
	space := bytes.IndexByte(line[:min(len(line), 40)], ' ')
	if space < 0 {
		return nil, false
	}
	t, ok := d.clock.parse(line[:space])
	if !ok {
		return nil, false
	}
	rest := line[space+1:]
	stream := Stdout
	switch {
	case bytes.HasPrefix(rest, stdout):
	case bytes.HasPrefix(rest, stderr):
		stream = Stderr
	default:
		return nil, false
	}
	rest = rest[len(stdout):]
	tags := rest
	text := rest[len(rest):]
	if i := bytes.IndexByte(rest, ' '); i >= 0 {
		tags, text = rest[:i], rest[i+1:]
	}
	if len(tags) == 0 || tags[0] != 'P' && tags[0] != 'F' || len(tags) > 1 && tags[1] != ':' {
		return nil, false
	}
	d.framing.stream, d.framing.partial, d.framing.time = stream, tags[0] == 'P', t
	return text, true
}

// criClock parses RFC 3339 times. Lines of one second share all but the fraction, so the rest is parsed once.
type criClock struct {
	second [19]byte
	zone   string
	time   time.Time
}

func (c *criClock) parse(text []byte) (time.Time, bool) {
	if len(text) < len("2006-01-02T15:04:05Z") {
		return time.Time{}, false
	}
	rest, nanos := text[19:], 0
	if rest[0] == '.' {
		digits := 1
		for ; digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9'; digits++ {
			if digits > 9 {
				return time.Time{}, false
			}
			nanos = nanos*10 + int(rest[digits]-'0')
		}
		if digits == 1 {
			return time.Time{}, false
		}
		for i := digits; i <= 9; i++ {
			nanos *= 10
		}
		rest = rest[digits:]
	}
	if string(c.second[:]) != string(text[:19]) || c.zone != string(rest) {
		t, err := time.Parse("2006-01-02T15:04:05Z07:00", string(text[:19])+string(rest))
		if err != nil {
			return time.Time{}, false
		}
		copy(c.second[:], text)
		c.zone, c.time = string(rest), t.UTC()
	}
	return c.time.Add(time.Duration(nanos)), true
}

var (
	streamKey = []byte(`","stream":"`)
	timeKey   = []byte(`","time":"`)
	newline   = []byte(`\n`)
)

// docker reads a line of Docker's json-file driver: {"log":"text\n","stream":"stdout","time":"..."}. A text without its
// newline is a part of a line.
func (d *Decoder) docker(line []byte) ([]byte, bool) {
	if text, ok := d.dockerPlain(line); ok {
		return text, true
	}
	var fields struct {
		Log    *string   `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}
	if json.Unmarshal(line, &fields) != nil || fields.Log == nil {
		return nil, false
	}
	return d.dockerText([]byte(*fields.Log), fields.Stream, fields.Time)
}

// dockerPlain is the short way for a text without escapes but its newline, in the order in which Docker writes the
// fields.
func (d *Decoder) dockerPlain(line []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, dockerStart)
	if !ok {
		return nil, false
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 {
		return nil, false
	}
	text := rest[:quote]
	whole := bytes.HasSuffix(text, newline)
	if whole {
		text = text[:len(text)-len(newline)]
	}
	if bytes.IndexByte(text, '\\') >= 0 || !plainText(text) {
		return nil, false
	}
	rest, ok = bytes.CutPrefix(rest[quote:], streamKey)
	if !ok {
		return nil, false
	}
	name, rest, ok := bytes.Cut(rest, timeKey)
	if !ok || !bytes.HasSuffix(rest, []byte(`"}`)) {
		return nil, false
	}
	t, ok := d.clock.parse(rest[:len(rest)-2])
	stream := dockerStream(string(name))
	if !ok || stream == NoStream {
		return nil, false
	}
	d.framing = framing{stream: stream, partial: !whole, time: t, inChunk: true}
	return text, true
}

// plainText tells whether JSON text stands for itself: it has no control characters and is UTF-8 or ASCII alike, which
// is left to the long way to decide.
func plainText(text []byte) bool {
	for _, c := range text {
		if c < 0x20 || c >= 0x80 {
			return false
		}
	}
	return true
}

func dockerStream(name string) Stream {
	switch name {
	case "stdout":
		return Stdout
	case "stderr":
		return Stderr
	default:
		return NoStream
	}
}

func (d *Decoder) dockerText(text []byte, stream string, t time.Time) ([]byte, bool) {
	s := dockerStream(stream)
	if s == NoStream {
		return nil, false
	}
	line, whole := bytes.CutSuffix(text, []byte("\n"))
	d.framing = framing{stream: s, partial: !whole, time: t.UTC()}
	return line, true
}
