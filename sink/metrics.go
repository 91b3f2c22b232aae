package sink

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the sink's figures. Every label has a bounded set of values: reasons, and the partitions it has claimed.
type metrics struct {
	registry   *prometheus.Registry
	records    prometheus.Counter
	bytesIn    prometheus.Counter
	written    prometheus.Counter
	bytesOut   prometheus.Counter
	files      prometheus.Counter
	commits    *prometheus.CounterVec
	dropped    prometheus.Counter
	gapRecords prometheus.Counter
	rebalances prometheus.Counter
	errors     *prometheus.CounterVec
	fileBytes  prometheus.Histogram
	seconds    prometheus.Histogram
	lastCommit prometheus.Gauge

	total totals
}

// totals are the figures that Stats repeats.
type totals struct {
	records, bytes, files, commits, gaps atomic.Int64
}

func newMetrics(stats func() Stats) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		records:  counter("records_read_total", "Records read from Kafka, those read again included."),
		bytesIn:  counter("bytes_read_total", "Bytes of keys and values read from Kafka, uncompressed."),
		written:  counter("records_total", "Records committed to the store."),
		bytesOut: counter("bytes_total", "Bytes of the files committed to the store, as written."),
		files:    counter("files_total", "Files committed to the store."),
		dropped:  counter("dropped_rolls_total", "Rolls thrown away because of an error; their records are read again."),
		gapRecords: counter("gap_records_total",
			"Offsets that Kafka had deleted before they were read. They are lost, and noted in the manifests."),
		rebalances: counter("rebalances_total", "Times that partitions were given to or taken from this sink."),
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipe_sink_commits_total", Help: "Commits, by what caused them."}, []string{"reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipe_sink_errors_total", Help: "Errors that paused a partition, by reason."}, []string{"reason"}),
		fileBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "logpipe_sink_file_bytes", Help: "Size of committed files.",
			Buckets: prometheus.ExponentialBuckets(64<<10, 4, 8)}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "logpipe_sink_commit_seconds", Help: "Time from closing the files of a roll to its commit.",
			Buckets: prometheus.ExponentialBuckets(0.01, 3, 9)}),
		lastCommit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "logpipe_sink_last_commit_timestamp_seconds", Help: "When this sink committed last."}),
	}
	m.registry.MustRegister(m.records, m.bytesIn, m.written, m.bytesOut, m.files, m.dropped, m.gapRecords, m.rebalances,
		m.commits, m.errors, m.fileBytes, m.seconds, m.lastCommit, positions{stats},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "logpipe_sink_" + name, Help: help})
}

func (m *metrics) received(records, bytes int) {
	m.records.Add(float64(records))
	m.bytesIn.Add(float64(bytes))
}

func (m *metrics) failed(err error) { m.errors.WithLabelValues(reasonOf(err)).Inc() }

func (m *metrics) commit(roll manifest, reason string, now time.Time, took time.Duration) {
	m.commits.WithLabelValues(reason).Inc()
	m.written.Add(float64(roll.records()))
	m.bytesOut.Add(float64(roll.bytes()))
	m.files.Add(float64(len(roll.Files)))
	for _, file := range roll.Files {
		m.fileBytes.Observe(float64(file.Bytes))
	}
	m.seconds.Observe(took.Seconds())
	m.lastCommit.Set(float64(now.UnixMilli()) / 1000)
	m.total.commits.Add(1)
	m.total.records.Add(roll.records())
	m.total.bytes.Add(roll.bytes())
	m.total.files.Add(int64(len(roll.Files)))
	if gap := roll.Gap; gap != nil {
		m.gapRecords.Add(float64(gap.Last - gap.First + 1))
		m.total.gaps.Add(gap.Last - gap.First + 1)
	}
}

func (m *metrics) stats() Stats {
	return Stats{
		Records: m.total.records.Load(), Bytes: m.total.bytes.Load(), Files: m.total.files.Load(),
		Commits: m.total.commits.Load(), GapRecords: m.total.gaps.Load(),
	}
}

var (
	openFiles = prometheus.NewDesc("logpipe_sink_open_files", "Files that are being written.", nil, nil)
	claimed   = prometheus.NewDesc("logpipe_sink_partitions", "Partitions that this sink has claimed.", nil, nil)
	lag       = describe("lag_records", "Offsets that are not read yet.")
	behind    = describe("behind_seconds", "Age of the record read last; 0 when all is read.")
	position  = describe("committed_offset", "First offset that is not committed to the store yet.")
	paused    = prometheus.NewDesc("logpipe_sink_paused", "1 for a partition that is paused.",
		[]string{"partition", "reason"}, nil)
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("logpipe_sink_"+name, help, []string{"partition"}, nil)
}

// positions reports the claimed partitions as they are when asked: one that was given up leaves no figures behind.
type positions struct{ stats func() Stats }

// Describe implements prometheus.Collector.
func (positions) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{openFiles, claimed, lag, behind, position, paused} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (p positions) Collect(out chan<- prometheus.Metric) {
	stats := p.stats()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(openFiles, float64(stats.OpenFiles))
	gauge(claimed, float64(len(stats.Partitions)))
	for _, one := range stats.Partitions {
		number := strconv.Itoa(int(one.Partition))
		gauge(lag, float64(one.lag()), number)
		gauge(behind, one.Behind.Seconds(), number)
		if one.Committed >= 0 {
			gauge(position, float64(one.Committed), number)
		}
		if one.Problem != "" {
			gauge(paused, 1, number, one.Reason)
		}
	}
}
