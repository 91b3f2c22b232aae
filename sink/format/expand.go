package format

import (
	"strconv"
	"time"
)

// safe says which bytes stand for themselves in a path; all others of a value are percent-encoded.
var safe = func() (table [256]bool) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=._-"
	for _, c := range []byte(letters) {
		table[c] = true
	}
	return table
}()

const upperHex = "0123456789ABCDEF"

// Expand appends the directory of rec to dst. The result is relative and always stays below the root: values are
// percent-encoded to [A-Za-z0-9=._-], never start with '.' or '_' and are cut at 200 bytes, a directory's name at 250.
// It is InvalidTime if the template has times and the record's is before 1970 or after latest.
func (p *Path) Expand(dst []byte, rec *Record, latest time.Time) []byte {
	if p.timed && (rec.Time.Unix() < 0 || rec.Time.After(latest)) {
		return append(dst, InvalidTime...)
	}
	local := localTime{t: rec.Time, zone: p.zone}
	start := len(dst)
	for i := range p.parts {
		if p.parts[i].kind == separatorPart {
			dst = append(cutEscaped(dst, start, maxComponent), '/')
			start = len(dst)
			continue
		}
		dst = p.parts[i].append(dst, rec, &local)
	}
	return cutEscaped(dst, start, maxComponent)
}

func (p *part) append(dst []byte, rec *Record, local *localTime) []byte {
	switch p.kind {
	case literalPart:
		return append(dst, p.text...)
	case topicPart:
		return appendValue(dst, rec.Topic)
	case partitionPart:
		return strconv.AppendInt(dst, int64(rec.Partition), 10)
	case keyPart:
		return appendValue(dst, rec.Key)
	case headerPart:
		return appendValue(dst, rec.header(p.text))
	default:
		return local.append(dst, p.kind)
	}
}

// localTime takes a time apart once, when it is first needed.
type localTime struct {
	t            time.Time
	zone         *time.Location
	done         bool
	year, day    int
	month        time.Month
	hour, minute int
}

func (l *localTime) append(dst []byte, kind partKind) []byte {
	if !l.done {
		t := l.t.In(l.zone)
		l.year, l.month, l.day = t.Date()
		l.hour, l.minute, _ = t.Clock()
		l.done = true
	}
	switch kind {
	case yearPart:
		return appendDigits(dst, l.year, 4)
	case monthPart:
		return appendDigits(dst, int(l.month), 2)
	case dayPart:
		return appendDigits(dst, l.day, 2)
	case hourPart:
		return appendDigits(dst, l.hour, 2)
	default:
		return appendDigits(dst, l.minute, 2)
	}
}

// appendDigits appends a number of at least the given width.
func appendDigits(dst []byte, n, width int) []byte {
	for limit := 10; width > 1; width-- {
		if n < limit {
			dst = append(dst, '0')
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendValue appends a value of a record as part of a directory's name.
func appendValue[T string | []byte](dst []byte, value T) []byte {
	if len(value) == 0 {
		return append(dst, EmptyValue...)
	}
	start := len(dst)
	forced := value[0] == '.' || value[0] == '_' || string(value) == EmptyValue
	for i := 0; i < len(value) && len(dst)-start <= maxValue; i++ {
		if c := value[i]; safe[c] && (i > 0 || !forced) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return cutEscaped(dst, start, maxValue)
}

// cutEscaped cuts dst to at most limit bytes after start, and never within an escape.
func cutEscaped(dst []byte, start, limit int) []byte {
	if len(dst)-start <= limit {
		return dst
	}
	dst = dst[:start+limit]
	for i := 1; i <= 2; i++ {
		if dst[len(dst)-i] == '%' {
			return dst[:len(dst)-i]
		}
	}
	return dst
}
