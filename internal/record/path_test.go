package record

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	const nested = `{"user": {"id": 17, "name": "K\u00fcmmel \"x\"", "admin": true, "tags": ["a"], "left": null}}`
	tests := map[string]struct {
		path, value string
		want        string
		wantFound   bool
	}{
		"a number":                  {path: "user.id", value: nested, want: "17", wantFound: true},
		"a string with escapes":     {path: "user.name", value: nested, want: `Kümmel "x"`, wantFound: true},
		"a truth value":             {path: "user.admin", value: nested, want: "true", wantFound: true},
		"a top-level field":         {path: "a", value: ` {"b":1,"a":"x"} `, want: "x", wantFound: true},
		"an empty string":           {path: "a", value: `{"a":""}`, wantFound: true},
		"a name with dots":          {path: "user.id", value: `{"user.id":"x"}`, want: "x", wantFound: true},
		"a number as it is written": {path: "a", value: `{"a":1.50e3}`, want: "1.50e3", wantFound: true},
		"a long number": {
			path: "a", value: `{"a":12345678901234567890}`, want: "12345678901234567890", wantFound: true,
		},
		"a name that a query would expand":  {path: "a*", value: `{"ab":1,"a*":2}`, want: "2", wantFound: true},
		"a name that a query would modify":  {path: "@reverse", value: `{"@reverse":"x"}`, want: "x", wantFound: true},
		"an object":                         {path: "user", value: nested},
		"an array":                          {path: "user.tags", value: nested},
		"null":                              {path: "user.left", value: nested},
		"a missing field":                   {path: "user.other", value: nested},
		"a path through a number":           {path: "user.id.x", value: nested},
		"a record that is not JSON":         {path: "a", value: `level=info {"a":1}`},
		"a record that is cut off":          {path: "a", value: `{"a":1,"b":`},
		"a record with something behind it": {path: "a", value: `{"a":1} x`},
		"a JSON array":                      {path: "0", value: `["x"]`},
		"a JSON string":                     {path: "a", value: `"a"`},
		"an empty record":                   {path: "a"},
		"a record nested too deep":          {path: "a", value: nest(maxDepth)},
		"a record nested as deep as may be": {path: "a", value: nest(maxDepth - 1), want: "1", wantFound: true},
		"many brackets in a string": {
			path: "a", value: `{"b":"\"` + strings.Repeat("[", 2*maxDepth) + `","a":1}`, want: "1", wantFound: true,
		},
		"many flat arrays": {
			path: "a", value: `{"b":[` + strings.Repeat("[],", 2*maxDepth) + `[]],"a":1}`, want: "1", wantFound: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			path, err := ParsePath(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			got, found := path.Lookup([]byte(tc.value))
			if got != tc.want || found != tc.wantFound {
				t.Errorf("got %q, %v, want %q, %v", got, found, tc.want, tc.wantFound)
			}
		})
	}
}

// nest returns a record with n arrays inside each other.
func nest(n int) string {
	return `{"a":1,"b":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
}

func TestParsePathRefusesEmptyNames(t *testing.T) {
	for _, path := range []string{"", ".", "a.", ".a", "a..b"} {
		if _, err := ParsePath(path); err == nil {
			t.Errorf("path %q was accepted", path)
		}
	}
}

func FuzzLookup(f *testing.F) {
	f.Add("user.id", []byte(`{"user":{"id":"x"}}`))
	f.Add("a#.@b|c", []byte(`{"a#":{"@b|c":1}}`))
	f.Fuzz(func(t *testing.T, dotted string, value []byte) {
		path, err := ParsePath(dotted)
		if err != nil {
			return
		}
		if _, found := path.Lookup(value); found && !json.Valid(value) {
			t.Errorf("%q found in %q, which is not JSON", dotted, value)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	path, err := ParsePath("user.id")
	if err != nil {
		b.Fatal(err)
	}
	value := []byte(`{"time":"2026-03-01T12:00:00Z","level":"info","msg":"cart updated",` +
		`"user":{"name":"x","id":"u-4711"},"items":[1,2,3],"took":0.0123,"trace":"4bf92f3577b34da6a3ce929d0e0e4736"}`)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := path.Lookup(value); !ok {
			b.Fatal("not found")
		}
	}
}
