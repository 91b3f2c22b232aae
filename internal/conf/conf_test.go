package conf

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type settings struct {
	Name  string   `json:"name"`
	Wait  Duration `json:"wait,omitempty"`
	Inner struct {
		Count int `json:"count"`
	} `json:"inner"`
}

func TestLoad(t *testing.T) {
	full := settings{Name: "a", Wait: Duration(90 * time.Second)}
	full.Inner.Count = 3
	tests := map[string]struct {
		text    string
		want    settings
		wantErr string
	}{
		"every field": {
			text: `{"name":"a","wait":"1m30s","inner":{"count":3}}` + "\n",
			want: full,
		},
		"an unknown field": {
			text:    `{"name":"a","inner":{"coumt":3}}`,
			wantErr: `unknown field "coumt"`,
		},
		"a field of the wrong type": {
			text:    "{\"name\":\"a\",\n\"inner\":{\n\"count\":\"3\"}}",
			wantErr: "line 3: inner.count takes a value of type int, not a string",
		},
		"a missing comma": {
			text:    "{\"name\":\"a\"\n\"inner\":{}}",
			wantErr: "line 2: invalid character '\"' after object key:value pair",
		},
		"a duration without a unit": {
			text:    `{"wait":"90"}`,
			wantErr: `invalid duration "90": write a number with a unit, such as "500ms"`,
		},
		"two objects": {
			text:    `{"name":"a"} {"name":"b"}`,
			wantErr: "there is more behind the end of the JSON object",
		},
		"rubbish behind the object": {
			text:    `{"name":"a"}}`,
			wantErr: "there is more behind the end of the JSON object",
		},
		"an empty file": {
			wantErr: "the file is empty",
		},
		"a file that is cut off": {
			text:    `{"name":"a"`,
			wantErr: "unexpected EOF",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var got settings
			err := Load(path, &got)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want one with %q and the file's name", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	if err := Load(filepath.Join(t.TempDir(), "none"), &settings{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}

func TestInvalid(t *testing.T) {
	tests := map[string]struct {
		value any
		want  string
	}{
		"a text":     {value: "x y", want: `a.b: invalid value "x y": do this`},
		"a number":   {value: -3, want: `a.b: invalid value -3: do this`},
		"a duration": {value: Duration(time.Minute), want: `a.b: invalid value 1m0s: do this`},
		"nothing":    {value: "", want: `a.b: invalid value "": do this`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Invalid("a.b", tc.value, "do this").Error(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestUnder(t *testing.T) {
	sentinel := errors.New("b: bad")
	tests := map[string]struct {
		err  error
		want string
	}{
		"one error":      {err: sentinel, want: "a.b: bad"},
		"several errors": {err: errors.Join(sentinel, errors.New("c: worse")), want: "a.b: bad\na.c: worse"},
		"errors below each other": {
			err:  errors.Join(Under("x", errors.Join(sentinel, errors.New("d: bad"))), errors.New("c: worse")),
			want: "a.x.b: bad\na.x.d: bad\na.c: worse",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Under("a", tc.err)
			if got == nil || got.Error() != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
			if !errors.Is(got, sentinel) {
				t.Error("the error inside is not found any more")
			}
		})
	}
	if err := Under("a", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

func TestDurationAsText(t *testing.T) {
	data, err := json.Marshal(settings{Name: "a", Wait: Duration(1500 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"a","wait":"1.5s","inner":{"count":0}}`; string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
	if got := Duration(time.Second).Std(); got != time.Second {
		t.Errorf("Std() = %v", got)
	}
}
