package faults

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// commits follows the logs of sinks, which tell when a roll has become visible.
type commits struct {
	*testing.T
	logs  []*commitLog
	times [writers][]time.Time
}

// commitLog is a log that was read up to an offset.
type commitLog struct {
	name   string
	offset int64
}

var committed = regexp.MustCompile(`(?m)^time=(\S+) .*msg="Committed roll" .*partition=(\d)\b.*\n`)

func (c *commits) follow(log string) { c.logs = append(c.logs, &commitLog{name: log}) }

// read takes in what is new.
func (c *commits) read() {
	c.Helper()
	for _, log := range c.logs {
		text := c.news(log)
		for _, match := range committed.FindAllSubmatch(text, -1) {
			at, err := time.Parse(time.RFC3339Nano, string(match[1]))
			if err != nil {
				c.Fatal(err)
			}
			partition := match[2][0] - '0'
			c.times[partition] = append(c.times[partition], at)
		}
	}
}

// news returns the lines of a log that have come since it was asked for them.
func (c *commits) news(log *commitLog) []byte {
	c.Helper()
	file, err := os.Open(log.name)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		c.Fatal(err)
	}
	text := make([]byte, info.Size()-log.offset)
	if _, err := file.ReadAt(text, log.offset); err != nil {
		c.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	log.offset += int64(len(text))
	return text
}

// after counts the commits of a partition after a moment.
func (c *commits) after(partition int, moment time.Time) int {
	n := 0
	for _, at := range slices.Backward(c.times[partition]) {
		if !at.After(moment) {
			break
		}
		n++
	}
	return n
}

// pause returns the longest time between from and to without a new commit in one partition.
func (c *commits) pause(from, to time.Time) (longest time.Duration) {
	for _, times := range c.times {
		last := from
		for _, at := range times {
			if at.After(from) && !at.After(to) {
				longest = max(longest, at.Sub(last))
				last = at
			}
		}
	}
	return longest
}

func (c *commits) count() (n int) {
	for _, times := range c.times {
		n += len(times)
	}
	return n
}

// pauses are how long nothing became visible after a fault, by its kind.
type pauses map[string][]time.Duration

func (p pauses) String() string {
	var out strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(p)) {
		all := slices.Sorted(slices.Values(p[kind]))
		fmt.Fprintf(&out, "%s %d times: p50 %.1f s, max %.1f s\n", kind, len(all), all[len(all)/2].Seconds(),
			all[len(all)-1].Seconds())
	}
	return out.String()
}
