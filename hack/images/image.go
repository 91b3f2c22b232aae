package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// epoch is when all images and files were made, as far as they say: a real time would change the digest.
var epoch = time.Unix(0, 0).UTC()

// titles say in one line what an image is.
var titles = map[string]string{
	"manager": "logpipe manager: makes topics, agents and sinks of resources",
	"agent":   "logpipe agent: log files to Kafka",
	"sink":    "logpipe sink: Kafka to HDFS",
}

// assemble makes an image of two layers. The lower one, all but the program, is the same in every image.
func assemble(o options, program string, files []file) (v1.Image, error) {
	image := empty.Image
	last := len(files) - 1
	for _, part := range [][]file{files[:last], files[last:]} {
		layer, err := newLayer(part)
		if err != nil {
			return nil, err
		}
		addendum := mutate.Addendum{Layer: layer, History: v1.History{
			Created: v1.Time{Time: epoch}, CreatedBy: "hack/images " + part[len(part)-1].path,
		}}
		if image, err = mutate.Append(image, addendum); err != nil {
			return nil, fmt.Errorf("append layer: %w", err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", o.arch, v1.Time{Time: epoch}
	config.Config = v1.Config{
		Entrypoint: []string{"/" + program}, User: user, WorkingDir: "/", Labels: labels(program, o.version),
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, fmt.Errorf("set configuration: %w", err)
	}
	return image, nil
}

func labels(program, version string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    titles[program],
		"org.opencontainers.image.source":   "https://github.com/logpipe/logpipe",
		"org.opencontainers.image.version":  version,
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
}

func newLayer(files []file) (v1.Layer, error) {
	var archive bytes.Buffer
	if err := writeTar(&archive, files); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	return layer, nil
}

// writeTar writes the files and, before each, those of its directories that are not there yet.
func writeTar(to io.Writer, files []file) error {
	w := tar.NewWriter(to)
	made := map[string]bool{".": true}
	for _, f := range files {
		if err := writeDirectories(w, path.Dir(path.Clean(f.path)), made); err != nil {
			return err
		}
		header := tar.Header{
			Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, Size: int64(len(f.content)), ModTime: epoch,
		}
		if f.isDirectory() {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(&header); err != nil {
			return fmt.Errorf("write header of %s: %w", f.path, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("end layer: %w", err)
	}
	return nil
}

func writeDirectories(w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	made[dir] = true
	if err := writeDirectories(w, path.Dir(dir), made); err != nil {
		return err
	}
	header := tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch}
	if err := w.WriteHeader(&header); err != nil {
		return fmt.Errorf("write header of %s: %w", dir, err)
	}
	return nil
}
