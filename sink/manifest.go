package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
)

// manifestVersion is the only version written and understood.
const manifestVersion = 1

// maxManifestBytes bounds what is read: some 1000 files with paths of 4 KiB.
const maxManifestBytes = 8 << 20

// manifest describes a committed roll. It is the position of a partition: First is the Last+1 of the one before.
type manifest struct {
	Version   int            `json:"version"`
	Session   string         `json:"session"`
	Topic     string         `json:"topic"`
	TopicID   string         `json:"topicID"`
	Partition int32          `json:"partition"`
	First     int64          `json:"first"`
	Last      int64          `json:"last"`
	Gap       *offsetRange   `json:"gap,omitempty"`
	Files     []manifestFile `json:"files"`
}

// offsetRange is a range of offsets, both ends included.
type offsetRange struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// manifestFile is a file of a roll.
type manifestFile struct {
	// Path is where readers find it, relative to the store's root.
	Path string `json:"path"`
	// Name is what it is called in the roll's directory until it is published.
	Name    string    `json:"name"`
	Bytes   int64     `json:"bytes"`
	Records int64     `json:"records"`
	CRC32C  uint32    `json:"crc32c"`
	MinTime time.Time `json:"minTime"`
	MaxTime time.Time `json:"maxTime"`
}

func (m manifest) records() (n int64) {
	for _, file := range m.Files {
		n += file.Records
	}
	return n
}

func (m manifest) bytes() (n int64) {
	for _, file := range m.Files {
		n += file.Bytes
	}
	return n
}

var (
	sessionPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	extPattern     = regexp.MustCompile(`^(\.[a-z0-9]+)+$`)
)

// parseManifest reads a manifest of the partition that l names. Whoever may write to the root may have made it, so it
// must be exactly what a sink writes.
func parseManifest(data []byte, l layout) (manifest, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return manifest{}, fmt.Errorf("parse manifest: %w", err)
	}
	if version.Version != manifestVersion {
		return manifest{}, fmt.Errorf("manifest has version %d, this sink understands %d: use the logpipe version that "+
			"wrote it, or a newer one", version.Version, manifestVersion)
	}
	var m manifest
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return manifest{}, fmt.Errorf("parse manifest: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return manifest{}, errors.New("parse manifest: data after its end")
	}
	return m, m.validate(l)
}

func (m manifest) validate(l layout) error {
	switch {
	case m.Topic != l.topic || m.Partition != l.partition:
		return fmt.Errorf("manifest is of partition %d of topic %q", m.Partition, m.Topic)
	case !sessionPattern.MatchString(m.Session):
		return fmt.Errorf("manifest has session %q, which is no UUID", m.Session)
	case m.First < 0 || m.Last < m.First-1:
		return fmt.Errorf("manifest has the range %d to %d", m.First, m.Last)
	case m.Gap != nil && (m.Gap.First < m.First || m.Gap.Last > m.Last || m.Gap.Last < m.Gap.First):
		return fmt.Errorf("manifest has the gap %d to %d outside of %d to %d", m.Gap.First, m.Gap.Last, m.First, m.Last)
	}
	names, paths := map[string]bool{}, map[string]bool{}
	for _, file := range m.Files {
		if err := file.validate(l.finalStem(m.First, m.Last)); err != nil {
			return err
		}
		if names[file.Name] || paths[file.Path] {
			return fmt.Errorf("manifest names the file %q or %q twice", file.Name, file.Path)
		}
		names[file.Name], paths[file.Path] = true, true
	}
	return nil
}

// validate refuses paths that a rename must not touch: outside of the root, among the control files, or not of this
// roll.
func (f manifestFile) validate(stem string) error {
	ext, ok := strings.CutPrefix(path.Base(f.Path), stem)
	switch {
	case !parseFileName(f.Name):
		return fmt.Errorf("manifest names the file %q, which is no name of a data file", f.Name)
	case !localPath(f.Path), strings.Split(f.Path, "/")[0] == controlDir:
		return fmt.Errorf("manifest has the path %q, which is not below the root", f.Path)
	case !ok || !extPattern.MatchString(ext):
		return fmt.Errorf("manifest has the path %q, whose name is not of this roll", f.Path)
	case f.Bytes < 0 || f.Records < 1:
		return fmt.Errorf("manifest has %d bytes and %d records for %q", f.Bytes, f.Records, f.Path)
	}
	return nil
}

// localPath tells whether name, relative to the root, is clean and stays below it.
func localPath(name string) bool {
	return name != "" && path.Clean("/"+name) == "/"+name && !strings.ContainsRune(name, 0)
}
