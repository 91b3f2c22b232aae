package tail

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Bounds of a pattern. They keep matching cheap whatever a pattern's author writes.
const (
	maxPatternBytes = 4096
	maxElements     = 32
	maxDoubleStars  = 2
	maxAlternatives = 8 // opening braces
)

// pattern is one compiled glob pattern.
type pattern struct {
	text string
	// root is the longest leading directory without a wildcard.
	root string
	// prefixes[i] matches the directories i levels below root on the way to a match. The last one ends in ** if the
	// pattern has one, and matches all deeper ones.
	prefixes []string
	endless  bool
	// names is true if the last element fixes some characters of a name, as *.log does.
	names bool
}

// ValidatePattern returns an error that says why text is no pattern that Input takes.
func ValidatePattern(text string) error {
	_, err := compile(text)
	return err
}

func compileAll(texts []string) ([]pattern, error) {
	out := make([]pattern, len(texts))
	for i, text := range texts {
		p, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("[%d]: pattern %q: %w", i, text, err)
		}
		out[i] = p
	}
	return out, nil
}

func compile(text string) (pattern, error) {
	if err := checkPattern(text); err != nil {
		return pattern{}, err
	}
	elements := strings.Split(text[1:], "/")
	fixed := 0
	for fixed < len(elements)-1 && !strings.ContainsAny(elements[fixed], `*?[{\`) {
		fixed++
	}
	last := elements[len(elements)-1]
	p := pattern{
		text:  text,
		root:  "/" + path.Join(elements[:fixed]...),
		names: strings.Trim(last, "*?") != "",
	}
	for i := fixed; i < len(elements); i++ {
		prefix := "/" + path.Join(elements[:i]...)
		if elements[i] == "**" {
			p.prefixes, p.endless = append(p.prefixes, path.Join(prefix, "**")), true
			break
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	return p, nil
}

func checkPattern(text string) error {
	switch {
	case !strings.HasPrefix(text, "/"):
		return errors.New("must be an absolute path")
	case len(text) > maxPatternBytes:
		return fmt.Errorf("longer than %d bytes", maxPatternBytes)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("contains a control character")
	case strings.Count(text, "/") > maxElements:
		return fmt.Errorf("more than %d path elements", maxElements)
	case strings.Count(text, "**") > maxDoubleStars:
		return fmt.Errorf("more than %d **", maxDoubleStars)
	case strings.Count(text, "{") > maxAlternatives:
		return fmt.Errorf("more than %d {", maxAlternatives)
	case slashInBraces(text):
		return errors.New("a slash inside {} is not supported: write one pattern for each")
	}
	for _, element := range strings.Split(text[1:], "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("contains the path element %q", element)
		}
	}
	if !doublestar.ValidatePattern(text) {
		return doublestar.ErrBadPattern
	}
	return nil
}

func slashInBraces(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth > 0 {
				return true
			}
		}
	}
	return false
}

func (p *pattern) matches(name string) bool { return doublestar.MatchUnvalidated(p.text, name) }

func matchesAny(patterns []pattern, name string) bool {
	for i := range patterns {
		if patterns[i].matches(name) {
			return true
		}
	}
	return false
}

// descends tells whether there may be matches below dir.
func (p *pattern) descends(dir string) bool {
	level := 0
	if dir != p.root {
		rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(p.root, "/")+"/")
		if !ok {
			return false
		}
		level = strings.Count(rest, "/") + 1
	}
	if p.endless && level >= len(p.prefixes)-1 {
		return doublestar.MatchUnvalidated(p.prefixes[len(p.prefixes)-1], dir)
	}
	return level < len(p.prefixes) && doublestar.MatchUnvalidated(p.prefixes[level], dir)
}

// coversAll tells whether the pattern matches everything below dir.
func (p *pattern) coversAll(dir string) bool {
	return strings.HasSuffix(p.text, "/**") && doublestar.MatchUnvalidated(p.text, dir)
}
