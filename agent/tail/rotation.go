package tail

import (
	"path"
	"strings"
)

// gzipSuffix is what gzip, logrotate and the kubelet put behind the name of a file they compress.
const gzipSuffix = ".gz"

// rotation is what a rotated file's name has in place of, or behind, its live name: "1", "20240131-120000", "old".
type rotation string

// rotationOf tells whether name is what rotation makes of the live name, with or without the gzip suffix: app.log.1,
// app.log-20240131.gz, 0.log.20240131-120000 and app-2024-01-31T12-00-00.000.log are.
func rotationOf(live, name string) (rotation, bool) {
	name, zipped := strings.CutSuffix(name, gzipSuffix)
	if rest, ok := strings.CutPrefix(name, live); ok {
		if rest == "" {
			return "", zipped
		}
		return asRotation(rest, 1)
	}
	extension := path.Ext(live)
	rest, isPrefixed := strings.CutPrefix(name, strings.TrimSuffix(live, extension))
	rest, isSuffixed := strings.CutSuffix(rest, extension)
	if !isPrefixed || !isSuffixed || extension == "" {
		return "", false
	}
	return asRotation(rest, dateDigits) // fewer, and app-1.log may well be another instance's live file
}

// dateDigits is the least number of digits in a date.
const dateDigits = 6

// asRotation takes a separator followed by numbers, with as many digits as given at least, or by a usual word.
func asRotation(s string, digits int) (rotation, bool) {
	if s == "" || !strings.ContainsRune(".-_", rune(s[0])) {
		return "", false
	}
	s = s[1:]
	switch s {
	case "old", "bak", "prev":
		return rotation(s), true
	}
	found := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			found++
		case !strings.ContainsRune(".-_:+TZ", r):
			return "", false
		}
	}
	return rotation(s), found >= digits
}

// older tells whether a file rotated as r is older than one rotated as other. Single small numbers count upwards with
// age, dates and all else count downwards, number by number.
func (r rotation) older(other rotation) bool {
	a, b := string(r), string(other)
	if r.counts() && other.counts() {
		return compareNumbers(a, b) > 0
	}
	for a != "" && b != "" {
		var x, y string
		x, a = cutNumber(a)
		y, b = cutNumber(b)
		if c := compareNumbers(x, y); c != 0 {
			return c < 0
		}
	}
	return a == "" && b != ""
}

// counts tells whether r is the number of rotations since the file was live.
func (r rotation) counts() bool {
	return r != "" && len(r) < dateDigits && strings.Trim(string(r), "0123456789") == ""
}

// cutNumber cuts the first run of digits, or of anything else, off s.
func cutNumber(s string) (run, rest string) {
	isDigit := func(i int) bool { return s[i] >= '0' && s[i] <= '9' }
	i := 1
	for i < len(s) && isDigit(i) == isDigit(0) {
		i++
	}
	return s[:i], s[i:]
}

// compareNumbers compares runs of digits by value, others as text.
func compareNumbers(x, y string) int {
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	if len(x) != len(y) && strings.Trim(x+y, "0123456789") == "" {
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}
