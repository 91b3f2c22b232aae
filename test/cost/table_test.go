package cost

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is measured, as the table names it.
const (
	linesPerSecond = "lines/s"
	cpuPerMillion  = "CPU s per million lines"
	cpuShare       = "CPU, % of one core"
	delay50        = "delay p50, ms"
	delay99        = "delay p99, ms"
)

// row compares one figure.
type row struct {
	what, figure     string
	exactly, atLeast []float64
}

// summarise makes a row of each figure.
func summarise(what string, exactly, atLeast []measured) []row {
	var rows []row
	for _, figure := range []string{linesPerSecond, cpuPerMillion, cpuShare, delay50, delay99} {
		if _, ok := exactly[0][figure]; ok {
			rows = append(rows, row{what, figure, column(exactly, figure), column(atLeast, figure)})
		}
	}
	return rows
}

// column lists one figure of all runs, in order of size.
func column(runs []measured, figure string) []float64 {
	var out []float64
	for _, m := range runs {
		out = append(out, m[figure])
	}
	slices.Sort(out)
	return out
}

// table shows the rows as Markdown.
func table(rows []row, sync []time.Duration) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s, %d runs of each in turns: median (range); one fdatasync of 4 KiB here: p50 %s, p99 %s\n\n",
		time.Now().Format(time.DateOnly), *rounds, sync[len(sync)/2], sync[len(sync)*99/100])
	out.WriteString("| | | `ExactlyOnce` | `AtLeastOnce` | difference |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		exactly, atLeast := r.exactly[len(r.exactly)/2], r.atLeast[len(r.atLeast)/2]
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %+.1f %% |\n", r.what, r.figure, span(r.exactly), span(r.atLeast),
			100*(exactly-atLeast)/atLeast)
	}
	return out.String()
}

// span is the median and the range of sorted values.
func span(sorted []float64) string {
	format := "%.2f (%.2f to %.2f)"
	if sorted[0] >= 1000 {
		format = "%.0f (%.0f to %.0f)"
	}
	return fmt.Sprintf(format, sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1])
}

// syncTimes measures what the journal's disk takes, sorted.
func syncTimes(dir string, count int) ([]time.Duration, error) {
	file, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var times []time.Duration
	for range count {
		began := time.Now()
		if _, err := file.Write(make([]byte, 4<<10)); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began).Round(time.Microsecond))
	}
	slices.Sort(times)
	return times, nil
}

func TestTable(t *testing.T) {
	exactly := []measured{{linesPerSecond: 900}, {linesPerSecond: 1100}, {linesPerSecond: 1000}}
	atLeast := []measured{{linesPerSecond: 2000}, {linesPerSecond: 2000}, {linesPerSecond: 2000}}
	got := table(summarise("drained", exactly, atLeast), []time.Duration{time.Millisecond})
	want := "| drained | lines/s | 1000.00 (900.00 to 1100.00) | 2000 (2000 to 2000) | -50.0 % |\n"
	if lines := slices.Collect(strings.Lines(got)); lines[len(lines)-1] != want {
		t.Errorf("the last row of the table is wrong:\n%s", got)
	}
}

func TestWrittenAt(t *testing.T) {
	began := time.Unix(0, 0)
	l := &log{at: []time.Time{began, began.Add(1), began.Add(2)}, upTo: []int64{2, 2, 5}}
	for number, want := range []int{0, 0, 2, 2, 2} {
		if got := l.writtenAt(int64(number)); !got.Equal(began.Add(time.Duration(want))) {
			t.Errorf("line %d was written at %v, want %d", number, got, want)
		}
	}
}
