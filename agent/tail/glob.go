package tail

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

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
	// elements are those of the pattern's path.
	elements []string
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
	return pattern{
		text:     text,
		root:     "/" + path.Join(elements[:fixed]...),
		elements: elements,
		names:    strings.Trim(elements[len(elements)-1], "*?") != "",
	}, nil
}

func checkPattern(text string) error {
	switch {
	case !strings.HasPrefix(text, "/"):
		return errors.New("must be an absolute path")
	case len(text) > maxPatternBytes:
		return fmt.Errorf("longer than %d bytes", maxPatternBytes)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("contains a control character")
	case !utf8.ValidString(text):
		return errors.New("is not valid UTF-8")
	case strings.Count(text, "/") > maxElements:
		return fmt.Errorf("more than %d path elements", maxElements)
	case strings.Count(text, "**") > maxDoubleStars:
		return fmt.Errorf("more than %d **", maxDoubleStars)
	case strings.Count(text, "{") > maxAlternatives:
		return fmt.Errorf("more than %d {", maxAlternatives)
	case slashInside(text):
		return errors.New("a slash inside {} or [] is not supported: write one pattern for each")
	}
	for element := range strings.SplitSeq(text[1:], "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("contains the path element %q", element)
		}
	}
	if !doublestar.ValidatePattern(text) {
		return doublestar.ErrBadPattern
	}
	return nil
}

func slashInside(text string) bool {
	depth, inClass := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '/' && (depth > 0 || inClass):
			return true
		case c == ']':
			inClass = false
		case inClass:
		case c == '[':
			inClass = true
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
	}
	return false
}

func (p *pattern) matches(name string) bool { return p.match(name, false) }

// match tells whether the pattern matches the whole name, or is to match something below it.
func (p *pattern) match(name string, below bool) bool {
	rest, ok := strings.CutPrefix(name, "/")
	return ok && matchElements(p.elements, rest, below)
}

// matchElements matches element by element, so that nothing but ** ever matches a slash.
func matchElements(elements []string, name string, below bool) bool {
	for ; len(elements) > 0 && name != ""; elements = elements[1:] {
		if elements[0] == "**" {
			return below || matchDeep(elements[1:], name)
		}
		var element string
		element, name, _ = strings.Cut(name, "/")
		if !matchElement(elements[0], element) {
			return false
		}
	}
	return name == "" && (len(elements) > 0) == below
}

// matchDeep matches what is behind ** with the ends of name. A ** at the very end matches all that is below.
func matchDeep(elements []string, name string) bool {
	if len(elements) == 0 {
		return true
	}
	for {
		if matchElements(elements, name, false) {
			return true
		}
		var ok bool
		if _, name, ok = strings.Cut(name, "/"); !ok {
			return false
		}
	}
}

// matchElement matches one element of a path. At the very end of a name doublestar does not match a* followed by {,}.
func matchElement(pattern, name string) bool {
	return doublestar.MatchUnvalidated(pattern+"/x", name+"/x")
}

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
	return (dir == p.root || strings.HasPrefix(dir, strings.TrimSuffix(p.root, "/")+"/")) &&
		(dir == "/" || p.match(dir, true))
}

// coversAll tells whether the pattern matches everything below dir.
func (p *pattern) coversAll(dir string) bool {
	return strings.HasSuffix(p.text, "/**") && (p.matches(dir) || p.match(dir+"/x", false))
}
