// Package conf loads the configuration files of the agent and the sink and words what is wrong with them.
package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"
)

// Load reads the JSON file at path into cfg. Unknown fields are errors: a setting that nothing reads is a mistake.
func Load(path string, cfg any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(cfg); err != nil {
		return fmt.Errorf("parse configuration %s: %w", path, locate(data, err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("parse configuration %s: there is more behind the end of the JSON object", path)
	}
	return nil
}

// locate adds the line where data is not JSON, or not what a field takes.
func locate(data []byte, err error) error {
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: %w", line(data, syntax.Offset), err)
	case errors.As(err, &mistyped):
		return fmt.Errorf("line %d: %s takes a value of type %s, not a %s",
			line(data, mistyped.Offset), mistyped.Field, mistyped.Type.Kind(), mistyped.Value)
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty")
	default:
		return err
	}
}

// line returns the number of the line that offset lies in.
func line(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte{'\n'})
}

// Invalid words a bad setting: the field as the user wrote it, its value, and what to do about it.
func Invalid(field string, value any, remedy string) error {
	return fmt.Errorf("%s: invalid value %s: %s", field, quote(value), remedy)
}

// Under prefixes every error joined in err with the field it lies below.
func Under(field string, err error) error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s.%w", field, err)
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, Under(field, e))
	}
	return errors.Join(out...)
}

func quote(value any) string {
	if reflect.ValueOf(value).Kind() == reflect.String {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprint(value)
}

// Duration is a time.Duration that is written as text, such as "1m30s".
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String formats d like time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("invalid duration %q: write a number with a unit, such as \"500ms\" or \"1h\"", text)
	}
	*d = Duration(v)
	return nil
}
