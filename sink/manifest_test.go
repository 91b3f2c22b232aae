package sink

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testLayout = layout{sink: "test/sink", topic: "lines", partition: 7}

func testManifest() manifest {
	return manifest{
		Version: 1, Session: "5e1c7d52-5d0c-4f0e-9c39-0a4b1c2d3e4f", Topic: "lines", TopicID: "id", Partition: 7,
		First: 10, Last: 29, Gap: &offsetRange{First: 10, Last: 12},
		Files: []manifestFile{{
			Path: "lines/hr=01/" + testLayout.finalStem(10, 29) + ".log.gz", Name: fileName(0), Bytes: 5, Records: 3, CRC32C: 9,
			MinTime: time.Unix(1, 0).UTC(), MaxTime: time.Unix(2, 0).UTC(),
		}},
	}
}

func encode(t testing.TB, m manifest) string {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestParseManifest(t *testing.T) {
	tests := map[string]struct {
		change  func(m *manifest)
		text    func(text string) string
		wantErr string
	}{
		"what was written is read": {},
		"a range may be empty":     {change: func(m *manifest) { m.First, m.Last, m.Gap, m.Files = 10, 9, nil, nil }},
		"another version is refused with advice": {
			change: func(m *manifest) { m.Version = 2 }, wantErr: "use the logpipe version that wrote it"},
		"a newer version is told from a damaged one": {
			text: func(string) string { return `{"version":3,"shape":"new"}` }, wantErr: "has version 3"},
		"an unknown field is refused": {
			text: func(s string) string { return strings.Replace(s, "{", `{"more":1,`, 1) }, wantErr: "unknown field"},
		"data after the end is refused": {
			text: func(s string) string { return s + "{}" }, wantErr: "parse manifest"},
		"a cut manifest is refused": {
			text: func(s string) string { return s[:len(s)-9] }, wantErr: "parse manifest"},
		"another partition is refused": {change: func(m *manifest) { m.Partition = 8 }, wantErr: "partition 8"},
		"another topic is refused":     {change: func(m *manifest) { m.Topic = "other" }, wantErr: `topic "other"`},
		"a session must be a UUID":     {change: func(m *manifest) { m.Session = "../x" }, wantErr: "no UUID"},
		"a range must not go backwards": {
			change: func(m *manifest) { m.Last = 8 }, wantErr: "the range 10 to 8"},
		"a range must not be negative": {change: func(m *manifest) { m.First = -1 }, wantErr: "the range -1"},
		"a gap must lie in the range":  {change: func(m *manifest) { m.Gap.Last = 30 }, wantErr: "the gap 10 to 30"},
		"a path must not climb":        {change: into("../x/"), wantErr: "not below the root"},
		"a path must not climb in its middle": {
			change: into("a/../../x/"), wantErr: "not below the root"},
		"a path must not be absolute":           {change: into("/etc/"), wantErr: "not below the root"},
		"a path must not name control files":    {change: into("_logpipe/x/"), wantErr: "not below the root"},
		"a path must not have empty components": {change: into("a//b/"), wantErr: "not below the root"},
		"a file's name must be of this roll": {
			change: func(m *manifest) { m.Files[0].Path = "lines/passwd" }, wantErr: "not of this roll"},
		"a file's extension must be harmless": {
			change: func(m *manifest) { m.Files[0].Path += "/.." }, wantErr: "not below the root"},
		"a temporary name must be one": {
			change: func(m *manifest) { m.Files[0].Name = "../000000.data" }, wantErr: "no name of a data file"},
		"a file must not come twice": {
			change: func(m *manifest) { m.Files = append(m.Files, m.Files[0]) }, wantErr: "twice"},
		"a file has records": {change: func(m *manifest) { m.Files[0].Records = 0 }, wantErr: "0 records"},
		"a size is not negative": {
			change: func(m *manifest) { m.Files[0].Bytes = -1 }, wantErr: "-1 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := testManifest()
			if test.change != nil {
				test.change(&m)
			}
			text := encode(t, m)
			if test.text != nil {
				text = test.text(text)
			}
			got, err := parseManifest([]byte(text), testLayout)
			if test.wantErr == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(m, got); diff != "" {
					t.Errorf("manifest (-want +got):\n%s", diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("got error %v, want one with %q", err, test.wantErr)
			}
		})
	}
}

// into puts the file of a manifest into dir.
func into(dir string) func(m *manifest) {
	return func(m *manifest) { m.Files[0].Path = dir + testLayout.finalStem(m.First, m.Last) + ".log" }
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(encode(f, testManifest())))
	f.Add([]byte(`{"version":1,"files":[{"path":"../../x","name":"000000.data"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data, testLayout)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if strings.HasPrefix(file.Path, "/") || strings.Contains("/"+file.Path+"/", "/../") ||
				strings.HasPrefix(file.Path, controlDir+"/") || strings.Contains(file.Name, "/") {
				t.Errorf("accepted a path that a rename must not touch: %q, %q", file.Path, file.Name)
			}
		}
		again, err := parseManifest([]byte(encode(t, m)), testLayout)
		if err != nil {
			t.Fatalf("refused its own encoding: %v", err)
		}
		if diff := cmp.Diff(encode(t, m), encode(t, again)); diff != "" {
			t.Errorf("changed by its own encoding (-want +got):\n%s", diff)
		}
	})
}
