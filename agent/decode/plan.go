package decode

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
)

const (
	defaultMaxRecord = 256 << 10
	minMaxRecord     = 256
	defaultMaxLines  = 500
	defaultTimeout   = conf.Duration(5 * time.Second)
	defaultRedaction = "***"
	// leastBound is the least number of bytes that decoding may have to go back.
	leastBound = 4 << 20
)

// Default fills in what is not set.
func (c *Config) Default() {
	if c.Format == "" {
		c.Format = FormatAuto
	}
	if c.MaxRecordBytes == 0 {
		c.MaxRecordBytes = defaultMaxRecord
	}
	if c.Oversize == "" {
		c.Oversize = OversizeSplit
	}
	if m := c.Multiline; m != nil {
		if m.Timeout == 0 {
			m.Timeout = defaultTimeout
		}
		if m.MaxLines == 0 {
			m.MaxLines = defaultMaxLines
		}
	}
	for _, f := range c.Filters {
		if f.Redact != nil && f.Redact.Replacement == "" {
			f.Redact.Replacement = defaultRedaction
		}
	}
}

// Validate returns everything that is wrong with c, each error naming the field, its value and what to do.
func (c Config) Validate() error {
	_, err := Compile(c)
	return err
}

// Plan is a Config made ready. Decoders share it.
type Plan struct {
	format    Format
	max       int
	bound     int64
	oversize  OversizePolicy
	multiline *multiline
	filters   []filter
	// plain says that a line is a record as it lies in the file.
	plain bool
}

type multiline struct {
	start, cont, end *regexp.Regexp
	maxLines         int
}

type filter struct {
	drop, redact *regexp.Regexp
	replacement  []byte
}

// Compile checks c, which must have its defaults, and makes it ready.
func Compile(c Config) (*Plan, error) {
	p := &Plan{format: c.Format, max: c.MaxRecordBytes, oversize: c.Oversize}
	p.bound = max(4*int64(p.max), leastBound)
	var errs []error
	switch c.Format {
	case FormatAuto, FormatRaw, FormatCRI, FormatDocker:
	default:
		errs = append(errs, conf.Invalid("format", string(c.Format), "use Auto, Raw, CRI or Docker"))
	}
	switch c.Oversize {
	case OversizeSplit, OversizeTruncate, OversizeDrop:
	default:
		errs = append(errs, conf.Invalid("oversize", string(c.Oversize), "use Split, Truncate or Drop"))
	}
	if c.MaxRecordBytes < minMaxRecord {
		errs = append(errs, conf.Invalid("maxRecordBytes", c.MaxRecordBytes, "use at least 256"))
	}
	if c.Multiline != nil {
		m, err := c.Multiline.compile()
		p.multiline, errs = m, append(errs, conf.Under("multiline", err))
	}
	for i, f := range c.Filters {
		compiled, err := f.compile()
		p.filters = append(p.filters, compiled)
		errs = append(errs, conf.Under(fmt.Sprintf("filters[%d]", i), err))
	}
	p.plain = c.Format == FormatRaw && p.multiline == nil && len(p.filters) == 0
	return p, errors.Join(errs...)
}

func (m Multiline) compile() (*multiline, error) {
	out := &multiline{maxLines: m.MaxLines}
	var errs []error
	set := 0
	for _, pattern := range []struct {
		field, text string
		into        **regexp.Regexp
	}{
		{"startPattern", m.StartPattern, &out.start},
		{"continuePattern", m.ContinuePattern, &out.cont},
		{"endPattern", m.EndPattern, &out.end},
	} {
		if pattern.text == "" {
			continue
		}
		set++
		var err error
		*pattern.into, err = compileRegexp(pattern.field, pattern.text)
		errs = append(errs, err)
	}
	if set != 1 {
		errs = append(errs, fmt.Errorf(
			"exactly one of startPattern, continuePattern and endPattern must be set, not %d", set))
	}
	if m.MaxLines < 1 {
		errs = append(errs, conf.Invalid("maxLines", m.MaxLines, "use at least 1"))
	}
	if m.Timeout <= 0 {
		errs = append(errs, conf.Invalid("timeout", m.Timeout, "use a positive duration such as 5s"))
	}
	return out, errors.Join(errs...)
}

func compileRegexp(field, text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, conf.Invalid(field, text, "use an RE2 expression: "+err.Error())
	}
	return re, nil
}

func (f Filter) compile() (filter, error) {
	switch {
	case f.Drop != nil && f.Redact == nil:
		re, err := compileRegexp("drop.match", f.Drop.Match)
		return filter{drop: re}, err
	case f.Redact != nil && f.Drop == nil:
		re, err := compileRegexp("redact.pattern", f.Redact.Pattern)
		return filter{redact: re, replacement: []byte(f.Redact.Replacement)}, err
	default:
		return filter{}, errors.New("exactly one of drop and redact must be set")
	}
}

// MaxRecordBytes is the size above which records are cut: the least that a caller's buffer has to take.
func (p *Plan) MaxRecordBytes() int { return p.max }

// begins tells whether text is the first line of a record while another is held.
func (m *multiline) begins(text []byte) bool {
	switch {
	case m.start != nil:
		return m.start.Match(text)
	case m.cont != nil:
		return !m.cont.Match(text)
	default:
		return false
	}
}

// ends tells whether text is the last line of its record.
func (m *multiline) ends(text []byte) bool { return m.end != nil && m.end.Match(text) }

// filter returns what the filters make of a record, whether that is another text, and whether it is kept.
func (p *Plan) filter(value []byte) (out []byte, changed, keep bool) {
	for _, f := range p.filters {
		switch {
		case f.drop != nil:
			if f.drop.Match(value) {
				return nil, false, false
			}
		case f.redact.Match(value):
			value, changed = f.redact.ReplaceAll(value, f.replacement), true
		}
	}
	return value, changed, true
}
