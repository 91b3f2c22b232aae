// Images builds the container images of logpipe without a base image, a registry or a container engine: one archive per
// program of cmd, for "docker load", "ctr images import" and "kind load image-archive".
//
// Input: flags, see -help; the repository that it is called in, at its top or in hack/images.
//
// Output: NAME.tar per image and digests.txt, whose lines are name, digest of the manifest, and id, which is the digest
// of the configuration and what nodes show. The same source, version and Go release give the same digests everywhere.
// With -rootfs it writes only the files of the images, one tree per image: the Dockerfile copies them.
//
// Exit codes: 0, 1 for an error, 2 for a wrong command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// programs are those that run in a cluster. Each has a main in cmd and a target in the Dockerfile.
var programs = []string{"manager", "agent", "sink"}

// Tags of releases, such as v0.1.0 and v0.2.0-rc.1.
var releases = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// options are the flags.
type options struct {
	repository, registry, version, arch, out, rootfs string
}

func main() {
	var o options
	flag.StringVar(&o.repository, "repository", "", "top of the repository; found from the working directory if empty")
	flag.StringVar(&o.registry, "registry", "ghcr.io/logpipe", "what the names of the images begin with")
	flag.StringVar(&o.version, "version", "v0.1.0", "tag of the images")
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "architecture, as GOARCH has it")
	flag.StringVar(&o.out, "out", "", "directory for the archives; bin/images of the repository if empty")
	flag.StringVar(&o.rootfs, "rootfs", "", "write only the files of the images, below this directory")
	flag.Parse()
	if problem := o.problem(); problem != "" {
		fmt.Fprintln(os.Stderr, "images:", problem)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// problem says what is wrong with the command line.
func (o *options) problem() string {
	if flag.NArg() > 0 {
		return fmt.Sprintf("unexpected argument %q", flag.Arg(0))
	}
	if !releases.MatchString(o.version) {
		return fmt.Sprintf("-version: %q is not a version: use one like v0.1.0", o.version)
	}
	return ""
}

func run(ctx context.Context, o options) error {
	if err := o.resolve(); err != nil {
		return err
	}
	if o.rootfs != "" {
		return writeTrees(ctx, o)
	}
	return writeArchives(ctx, o)
}

// resolve fills in what the flags left open, with absolute paths: the compiler runs in another directory.
func (o *options) resolve() error {
	if o.repository == "" {
		top, err := findRepository()
		if err != nil {
			return err
		}
		o.repository = top
	}
	if o.out == "" {
		o.out = filepath.Join(o.repository, "bin", "images")
	}
	for _, path := range []*string{&o.repository, &o.out, &o.rootfs} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", *path, err)
		}
		*path = absolute
	}
	return nil
}

func findRepository() (string, error) {
	for _, top := range []string{".", filepath.Join("..", "..")} {
		_, err := os.Stat(filepath.Join(top, "cmd", "agent", "main.go"))
		if err == nil {
			return top, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find repository: %w", err)
		}
	}
	return "", errors.New("find repository: cmd/agent is neither here nor two directories above: name it with -repository")
}

func writeArchives(ctx context.Context, o options) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("make directory of archives: %w", err)
	}
	var digests strings.Builder
	for _, program := range programs {
		line, err := writeArchive(ctx, o, program)
		if err != nil {
			return fmt.Errorf("make image %s: %w", program, err)
		}
		fmt.Print(line)
		digests.WriteString(line)
	}
	path := filepath.Join(o.out, "digests.txt")
	if err := os.WriteFile(path, []byte(digests.String()), 0o644); err != nil {
		return fmt.Errorf("write digests: %w", err)
	}
	return nil
}

// writeArchive returns the line of digests.txt.
func writeArchive(ctx context.Context, o options, program string) (string, error) {
	tag, err := name.NewTag(o.registry + "/" + program + ":" + o.version)
	if err != nil {
		return "", fmt.Errorf("parse name: %w", err)
	}
	files, err := rootFiles(ctx, o, program)
	if err != nil {
		return "", err
	}
	image, err := assemble(o, program, files)
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("compute digest: %w", err)
	}
	id, err := image.ConfigName()
	if err != nil {
		return "", fmt.Errorf("compute id: %w", err)
	}
	path := filepath.Join(o.out, program+".tar")
	// Under another name first: whoever loads it meanwhile gets a whole one.
	if err := tarball.WriteToFile(path+".partial", tag, image); err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	if err := os.Rename(path+".partial", path); err != nil {
		return "", fmt.Errorf("rename archive: %w", err)
	}
	return fmt.Sprintf("%s %s %s\n", tag.Name(), digest, id), nil
}
