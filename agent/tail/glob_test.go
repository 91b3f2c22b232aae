package tail

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPatterns(t *testing.T) {
	for name, test := range map[string]struct {
		pattern string
		match   []string
		miss    []string
		descend []string
		avoid   []string
	}{
		"a plain path": {
			pattern: "/var/log/app.log",
			match:   []string{"/var/log/app.log"},
			miss:    []string{"/var/log/app.log.1", "/var/log/app-log"},
			descend: []string{"/var/log"},
			avoid:   []string{"/var", "/var/log/x"},
		},
		"a star stays in its path element": {
			pattern: "/var/log/*/a*.log",
			match:   []string{"/var/log/x/a.log", "/var/log/x/abc.log", "/var/log/.x/a.log"},
			miss:    []string{"/var/log/a.log", "/var/log/x/y/a.log", "/var/log/x/b.log"},
			descend: []string{"/var/log", "/var/log/x"},
			avoid:   []string{"/var/log/x/y"},
		},
		"two stars are any number of directories": {
			pattern: "/srv/**/logs/*.log",
			match:   []string{"/srv/logs/a.log", "/srv/x/logs/a.log", "/srv/x/y/z/logs/a.log"},
			miss:    []string{"/srv/a.log", "/srv/logs/x/a.log"},
			descend: []string{"/srv", "/srv/x", "/srv/x/y/z"},
			avoid:   []string{"/other"},
		},
		"two stars behind a star": {
			pattern: "/srv/*/x/**",
			match:   []string{"/srv/a/x/b", "/srv/a/x/b/c"},
			miss:    []string{"/srv/a/y/b"},
			descend: []string{"/srv", "/srv/a", "/srv/a/x", "/srv/a/x/b"},
			avoid:   []string{"/srv/a/y"},
		},
		"a question mark and classes": {
			pattern: "/l/?[0-9][^x].log",
			match:   []string{"/l/a1y.log"},
			miss:    []string{"/l/a1x.log", "/l/aay.log", "/l/1y.log"},
		},
		"alternatives": {
			pattern: "/var/log/{nginx,apache*}/{access,error}.log",
			match:   []string{"/var/log/nginx/access.log", "/var/log/apache2/error.log"},
			miss:    []string{"/var/log/other/error.log"},
			descend: []string{"/var/log/nginx", "/var/log/apache2"},
			avoid:   []string{"/var/log/other"},
		},
		"an escaped star": {
			pattern: `/l/a\*.log`,
			match:   []string{"/l/a*.log"},
			miss:    []string{"/l/ab.log"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := compile(test.pattern)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, does func(string) bool, names []string, want bool) {
				for _, name := range names {
					if does(name) != want {
						t.Errorf("%s %s: %v, want %v", what, name, !want, want)
					}
				}
			}
			check("matches", p.matches, test.match, true)
			check("matches", p.matches, test.miss, false)
			check("descends", p.descends, test.descend, true)
			check("descends", p.descends, test.avoid, false)
		})
	}
}

func TestInvalidPatterns(t *testing.T) {
	for name, test := range map[string]struct{ pattern, wantError string }{
		"relative":                {"log/*.log", "absolute"},
		"empty":                   {"", "absolute"},
		"a way up":                {"/var/log/../../etc/passwd", `path element ".."`},
		"an empty element":        {"/var//log", `path element ""`},
		"a trailing slash":        {"/var/log/", `path element ""`},
		"a NUL":                   {"/var/log/\x00", "control character"},
		"not UTF-8":               {"/var/log/\xff", "UTF-8"},
		"a newline":               {"/var/log/a\n", "control character"},
		"too long":                {"/" + strings.Repeat("a", 5000), "longer than"},
		"a glob bomb":             {"/**/**/**/x", "more than 2 **"},
		"too deep":                {strings.Repeat("/a", 40), "more than 32"},
		"an open class":           {"/var/log/[a", "syntax error"},
		"an open brace":           {"/var/log/{a", "syntax error"},
		"a slash in braces":       {"/var/{log/a,b}", "slash inside {} or []"},
		"a slash in a class":      {"/var[/]log", "slash inside {} or []"},
		"exponential many braces": {"/" + strings.Repeat("{a,b}", 9), "more than 8 {"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Config{Inputs: []Input{{Include: []string{"/ok", test.pattern}}}}.Validate()
			if err == nil || !strings.Contains(err.Error(), test.wantError) ||
				!strings.Contains(err.Error(), "inputs[0].include[1]: pattern") {
				t.Errorf("error %v, want %q of inputs[0].include[1]", err, test.wantError)
			}
		})
	}
}

func TestExcludeIsOfItsInput(t *testing.T) {
	w := newWorld(t, "**/*.log")
	w.cfg.Inputs[0].Exclude = []string{w.path("skip/**"), w.path("**/no.log")}
	w.cfg.Inputs = append(w.cfg.Inputs, Input{Include: []string{w.path("skip/but/this.log")}})
	for _, name := range []string{"a.log", "x/y/b.log", "x/no.log", "skip/c.log", "skip/but/this.log"} {
		w.append(name, "text\n")
	}
	w.start()
	w.step()
	w.wantText(map[string]string{"a.log": "text\n", "x/y/b.log": "text\n", "skip/but/this.log": "text\n"})
}

func FuzzPattern(f *testing.F) {
	f.Add("/var/log/**/*.log", "/var/log/a/b.log")
	f.Add("/a/{b,c}/[a-z]?", "/a/b/cd")
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := compile(text)
		isPath := strings.HasPrefix(name, "/") && !strings.Contains(name, "//") && !strings.HasSuffix(name, "/")
		if err != nil || !isPath || !utf8.ValidString(name) || !p.matches(name) {
			return
		}
		// Whatever matches must be reachable from the root on.
		for dir := name[:strings.LastIndexByte(name, '/')]; len(dir) >= len(p.root) && dir != ""; {
			if !p.descends(dir) {
				t.Fatalf("%q matches %q but does not descend into %q", text, name, dir)
			}
			dir = dir[:strings.LastIndexByte(dir, '/')]
		}
	})
}
