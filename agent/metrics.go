package agent

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which records or bytes did not reach Kafka.
const (
	lostOversize    = "oversize"    // cut off or dropped by decode.oversize
	lostFilter      = "filter"      // dropped by a filter, on purpose
	lostUnread      = "unread"      // the file went away before it was read
	lostTooLarge    = "tooLarge"    // a record that, with its envelope, key and headers, is above max.message.bytes
	lostUnavailable = "unavailable" // a pending batch could not be built again and is not in Kafka
)

// metrics are the agent's figures. Every label has a bounded set of values.
type metrics struct {
	registry     *prometheus.Registry
	readBytes    prometheus.Counter
	records      prometheus.Counter
	ackedRecords prometheus.Counter
	ackedBytes   prometheus.Counter
	batches      prometheus.Counter
	resent       prometheus.Counter
	lostRecords  *prometheus.CounterVec
	lostBytes    *prometheus.CounterVec
	batchBytes   prometheus.Histogram
	ackSeconds   prometheus.Histogram
	files        prometheus.Gauge
	lagBytes     prometheus.Gauge
	bufferBytes  prometheus.Gauge
	blocked      prometheus.Gauge
	timeToLoss   prometheus.Gauge
	powerCut     prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry:     prometheus.NewRegistry(),
		readBytes:    counter("read_bytes_total", "Bytes read from files."),
		records:      counter("records_total", "Records put into batches."),
		ackedRecords: counter("acked_records_total", "Records that Kafka acknowledged."),
		ackedBytes:   counter("acked_bytes_total", "Bytes of keys and values that Kafka acknowledged."),
		batches:      counter("batches_total", "Batches that Kafka acknowledged."),
		resent:       counter("resent_batches_total", "Batches built again and sent again after a restart."),
		lostRecords: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipe_agent_lost_records_total", Help: "Records that did not reach Kafka, by reason."},
			[]string{"reason"}),
		lostBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipe_agent_lost_bytes_total", Help: "Bytes that did not reach Kafka, by reason."},
			[]string{"reason"}),
		powerCut: counter("power_cut_bytes_total", "Bytes that were read and may have been taken by a power cut."),
		batchBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "logpipe_agent_batch_bytes", Help: "Uncompressed size of batches.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 8)}),
		ackSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "logpipe_agent_ack_seconds", Help: "Time from sealing a batch to its acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}),
		files:       gauge("files", "Files that are watched."),
		lagBytes:    gauge("lag_bytes", "Bytes of the watched files that are not acknowledged yet."),
		bufferBytes: gauge("buffer_bytes", "Memory held by records that are not acknowledged yet."),
		blocked:     gauge("blocked_partitions", "Partitions that take no batches at the moment."),
		timeToLoss: gauge("time_to_loss_seconds",
			"Time until the oldest unread byte of a container log is rotated away; -1 when nothing is at risk."),
	}
	m.registry.MustRegister(m.readBytes, m.records, m.ackedRecords, m.ackedBytes, m.batches, m.resent, m.lostRecords,
		m.lostBytes, m.batchBytes, m.ackSeconds, m.files, m.lagBytes, m.bufferBytes, m.blocked, m.timeToLoss,
		m.powerCut)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "logpipe_agent_" + name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "logpipe_agent_" + name, Help: help})
}
