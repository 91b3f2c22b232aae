package demo

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/logpipe/logpipe/internal/lines"
	"github.com/logpipe/logpipe/sink/store"
)

// dataFile is a visible file: <topic>-<partition>-<first offset>-<last offset>.<extension>.
type dataFile struct {
	name      string
	partition int32
	first     int64
}

var dataName = regexp.MustCompile(`-(\d+)-(\d{20})-(\d{20})\.[a-z.]+$`)

// verify reads every visible file and completes the report.
func (p *pipe) verify(ctx context.Context, report *Report) error {
	files, err := store.Open(ctx, p.storeConfig())
	if err != nil {
		return fmt.Errorf("open the files to check them: %w", err)
	}
	defer files.Close()
	found, err := find(files, p.topic)
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b dataFile) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.first, b.first))
	})
	checker := lines.NewChecker()
	report.Files, report.WriterPartitions = len(found), map[string]int32{}
	for _, file := range found {
		if err := readLines(files, file.name, func(line []byte) {
			checker.Add(line)
			if writer, _, ok := lines.Parse(line); ok {
				if known, seen := report.WriterPartitions[writer]; seen && known != file.partition {
					report.WriterPartitions[writer] = -1
				} else {
					report.WriterPartitions[writer] = file.partition
				}
			}
		}); err != nil {
			return err
		}
	}
	report.Verdict = checker.Verdict(p.written())
	return p.keepTruth()
}

// find lists the visible files below dir.
func find(files store.Store, dir string) ([]dataFile, error) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	var out []dataFile
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if entry.IsDir() {
			below, err := find(files, name)
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
			continue
		}
		match := dataName.FindStringSubmatch(name)
		if match == nil {
			return nil, fmt.Errorf("%s does not look like a file of the sink", name)
		}
		partition, _ := strconv.ParseInt(match[1], 10, 32)
		first, _ := strconv.ParseInt(match[2], 10, 64)
		out = append(out, dataFile{name: name, partition: int32(partition), first: first})
	}
	return out, nil
}

func readLines(files store.Store, name string, each func(line []byte)) error {
	file, err := files.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("decompress %s: %w", name, err)
		}
	}
	return eachLine(in, name, each)
}

// eachLine calls each with every line of in.
func eachLine(in io.Reader, name string, each func(line []byte)) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), 16<<20)
	for scanner.Scan() {
		each(scanner.Bytes())
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}
