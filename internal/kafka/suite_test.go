package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/kafka"
	"github.com/logpipe/logpipe/test/servers"
)

// suite is what every cluster has to do, the embedded one as well as a real one.
var suite = map[string]func(*fixture){
	"batches of every codec come out as they went in":                   everyCodec,
	"batches sent again by another producer are stored once":            sentAgain,
	"sequence numbers go on at 0 after the highest":                     wrappedSequence,
	"a gap in the sequence halts the partition and stores nothing":      gap,
	"a batch above the topic's limit lets none behind it pass":          tooLarge,
	"a scan finds the last sequence of a producer that was forgotten":   scan,
	"records of open and aborted transactions are not seen":             transactions,
	"a fetch below the size of a batch brings that batch":               smallFetch,
	"a fetch from the middle of a batch leaves out what is before":      middleOfBatch,
	"a fetch outside of the log says what the log has":                  outOfRange,
	"a fetch that waits for records ends with its context":              fetchEnds,
	"a fetch that waits for records holds up no other":                  fetchWaits,
	"a fetch of deleted records says where the log starts":              deletedRecords,
	"a topic that is as it has to be is left alone":                     sameTopic,
	"a topic is described":                                              describeTopic,
	"a topic grows and its settings are put right, others left alone":   changeTopic,
	"a topic does not shrink":                                           shrinkTopic,
	"a topic that is deleted and made anew takes no batches of the old": madeAnew,
}

func runSuite(t *testing.T, bootstrap []string) {
	for name, test := range suite {
		t.Run(name, func(t *testing.T) {
			test(newFixture(t, bootstrap, kafka.TopicSpec{
				Name: strings.ToLower(servers.UniqueName(t)), Partitions: 2, ReplicationFactor: 1,
				Config: map[string]string{"max.message.bytes": "20000"},
			}))
		})
	}
}

func everyCodec(f *fixture) {
	codecs := []kafka.Compression{
		"", kafka.CompressionGzip, kafka.CompressionSnappy, kafka.CompressionLz4, kafka.CompressionZstd,
	}
	id := f.producerID()
	var want []string
	var at time.Time
	for i, codec := range codecs {
		b := batchOf(0, id, int32(100*i), 100)
		if i == 0 {
			at = b.Time
		}
		offsets := f.send(f.producer(kafka.ProducerConfig{Compression: codec}), b)
		if diff := cmp.Diff([]int64{int64(100 * i)}, offsets); diff != "" {
			f.Errorf("offsets with %q (-want +got):\n%s", codec, diff)
		}
		want = append(want, lines(id, 100*i, 100)...)
	}
	if diff := cmp.Diff(want, f.read(0, 0, 1<<20)); diff != "" {
		f.Errorf("values (-want +got):\n%s", diff)
	}
	fetcher := f.fetcher(0)
	got, err := fetcher.Fetch(f.Context(), 0, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	first := kafka.Record{
		Time: at, Key: []byte("key"), Value: []byte(want[0]),
		Headers: []*sarama.RecordHeader{{Key: []byte("host"), Value: []byte("a")}},
	}
	if diff := cmp.Diff(first, got.Records[0]); diff != "" {
		f.Errorf("first record (-want +got):\n%s", diff)
	}
}

func sentAgain(f *fixture) {
	id := f.producerID()
	batches := func() (out []*kafka.Batch) {
		for i := range 7 {
			out = append(out, batchOf(1, id, int32(10*i), 10))
		}
		return out
	}
	first := f.send(f.producer(kafka.ProducerConfig{}), batches()...)
	again := f.send(f.producer(kafka.ProducerConfig{}), batches()[2:]...)
	if diff := cmp.Diff(first[2:], again); diff != "" {
		f.Errorf("offsets the second time (-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(lines(id, 0, 70), f.read(1, 0, 1<<20)); diff != "" {
		f.Errorf("values (-want +got):\n%s", diff)
	}
}

func wrappedSequence(f *fixture) {
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	p.Send(batchOf(0, id, math.MaxInt32-1, 4)) // uses 2^31-2, 2^31-1, 0 and 1
	if r := f.results(p, 1)[0]; r.Err != nil {
		f.Skipf("a producer may not begin there: %v", r.Err) // the embedded broker wants a new one to begin at 0
	}
	f.send(p, batchOf(0, id, 2, 1))
	if last, found, err := f.client.ScanProducer(f.Context(), f.topic, 0, 0, id); last != 2 || !found || err != nil {
		f.Errorf("scan found %d, %v, %v; want sequence 2", last, found, err)
	}
	if last, found, err := f.client.ScanProducer(f.Context(), f.topic, 0, 0, id+1); found || err != nil {
		f.Errorf("scan for another producer found %d, %v, %v", last, found, err)
	}
}

func gap(f *fixture) {
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	f.send(p, batchOf(0, id, 0, 10))
	p.Send(batchOf(0, id, 11, 10))
	p.Send(batchOf(0, id, 21, 10))
	for _, r := range f.results(p, 2) {
		if !errors.Is(r.Err, kafka.ErrOutOfOrder) {
			f.Errorf("batch at %d: error %v, want %v", r.Batch.FirstSequence, r.Err, kafka.ErrOutOfOrder)
		}
	}
	f.send(p, batchOf(1, id, 0, 10)) // the other partition goes on
	f.send(f.producer(kafka.ProducerConfig{}), batchOf(0, id, 10, 5))
	if diff := cmp.Diff(lines(id, 0, 15), f.read(0, 0, 1<<20)); diff != "" {
		f.Errorf("values (-want +got):\n%s", diff)
	}
}

func tooLarge(f *fixture) {
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	b := batchOf(0, id, 0, 1)
	b.Records[0].Value = make([]byte, 21_000)
	p.Send(b)
	p.Send(batchOf(0, id, 1, 1))
	for _, r := range f.results(p, 2) {
		if !errors.Is(r.Err, kafka.ErrTooLarge) {
			f.Errorf("error %v, want %v", r.Err, kafka.ErrTooLarge)
		}
	}
	if got := f.read(0, 0, 1<<20); got != nil {
		f.Errorf("%q was stored", got)
	}
}

func scan(f *fixture) {
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	for i := range 20 {
		f.send(p, batchOf(0, id, int32(50*i), 50))
	}
	f.send(p, batchOf(0, f.producerID(), 0, 7))
	last, found, err := f.client.ScanProducer(f.Context(), f.topic, 0, 0, id)
	if last != 999 || !found || err != nil {
		f.Errorf("scan found %d, %v, %v; want 999", last, found, err)
	}
	if last, found, err := f.client.ScanProducer(f.Context(), f.topic, 0, 1000, id); found || err != nil {
		f.Errorf("scan behind its last batch found %d, %v, %v", last, found, err)
	}
}

func transactions(f *fixture) {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Transaction.ID = f.topic
	config.Producer.Transaction.Retry.Max = 200 // the first in a cluster waits for its topic
	producer, err := sarama.NewSyncProducer(f.bootstrap, config)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	transaction := func(name string, end func() error) {
		if err := producer.BeginTxn(); err != nil {
			f.Fatal(err)
		}
		for i := range 3 {
			message := &sarama.ProducerMessage{Topic: f.topic, Value: sarama.StringEncoder(fmt.Sprint(name, i))}
			if _, _, err := producer.SendMessage(message); err != nil {
				f.Fatal(err)
			}
		}
		if err := end(); err != nil {
			f.Fatal(err)
		}
	}
	transaction("committed", producer.CommitTxn)
	transaction("aborted", producer.AbortTxn)
	f.send(f.producer(kafka.ProducerConfig{}), batchOf(0, f.producerID(), 0, 1))
	transaction("again", producer.CommitTxn)
	transaction("aborted too", producer.AbortTxn)
	got := f.read(0, 0, 1<<20)
	if len(got) == 7 && strings.HasPrefix(got[3], "line 0") {
		got = append(got[:3], got[4:]...)
	}
	want := []string{"committed0", "committed1", "committed2", "again0", "again1", "again2"}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("values around one outside of transactions (-want +got):\n%s", diff)
	}
	transaction("open", func() error { return nil })
	f.seesNothing(17)
	if err := producer.AbortTxn(); err != nil {
		f.Fatal(err)
	}
}

// seesNothing fetches at an offset that readers may not see yet.
func (f *fixture) seesNothing(offset int64) {
	f.Helper()
	fetcher := f.fetcher(0)
	got, err := fetcher.Fetch(f.Context(), offset, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	want := &kafka.Fetched{Next: offset, Stable: offset}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("what is fetched of an open transaction (-want +got):\n%s", diff)
	}
}

func smallFetch(f *fixture) {
	id := f.producerID()
	f.send(f.producer(kafka.ProducerConfig{}), batchOf(0, id, 0, 100), batchOf(0, id, 100, 100))
	if diff := cmp.Diff(lines(id, 0, 200), f.read(0, 0, 10)); diff != "" {
		f.Errorf("values (-want +got):\n%s", diff)
	}
}

func middleOfBatch(f *fixture) {
	id := f.producerID()
	f.send(f.producer(kafka.ProducerConfig{Compression: kafka.CompressionLz4}), batchOf(0, id, 0, 100))
	if diff := cmp.Diff(lines(id, 63, 37), f.read(0, 63, 1<<20)); diff != "" {
		f.Errorf("values (-want +got):\n%s", diff)
	}
}

func outOfRange(f *fixture) {
	f.send(f.producer(kafka.ProducerConfig{}), batchOf(0, f.producerID(), 0, 10))
	fetcher := f.fetcher(0)
	got, err := fetcher.Fetch(f.Context(), 11, 1<<20)
	if !errors.Is(err, kafka.ErrOffsetOutOfRange) {
		f.Fatalf("error %v, want %v", err, kafka.ErrOffsetOutOfRange)
	}
	if diff := cmp.Diff(&kafka.Fetched{Next: 11, Start: 0, Stable: 10}, got); diff != "" {
		f.Errorf("log (-want +got):\n%s", diff)
	}
	if _, err := fetcher.Fetch(f.Context(), 5, 1<<20); err != nil {
		f.Errorf("fetch after that: %v", err)
	}
}

func fetchEnds(f *fixture) {
	fetcher := f.fetcher(0)
	if _, err := fetcher.Fetch(f.Context(), 0, 1); err != nil { // connects
		f.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := fetcher.Fetch(ctx, 0, 1)
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 800*time.Millisecond {
		f.Errorf("fetch ended after %v with %v", took, err)
	}
	if _, err := fetcher.Fetch(f.Context(), 0, 1); err != nil {
		f.Errorf("fetch after that: %v", err)
	}
}

func fetchWaits(f *fixture) {
	f.send(f.producer(kafka.ProducerConfig{}), batchOf(0, f.producerID(), 0, 10))
	waits, goesOn := f.fetcher(1), f.fetcher(0)
	done := make(chan error, 1)
	go func() {
		_, err := waits.Fetch(f.Context(), 0, 1<<20)
		done <- err
	}()
	for n := 0; ; n++ {
		select {
		case err := <-done:
			if n < 5 || err != nil {
				f.Errorf("%d fetches while another waited, which ended with %v", n, err)
			}
			return
		default:
		}
		if got, err := goesOn.Fetch(f.Context(), 0, 1<<20); err != nil || len(got.Records) != 10 {
			f.Fatalf("fetch: %+v, %v", got, err)
		}
	}
}

func deletedRecords(f *fixture) {
	id := f.producerID()
	f.send(f.producer(kafka.ProducerConfig{}), batchOf(0, id, 0, 10), batchOf(0, id, 10, 10))
	if err := f.client.Sarama().RefreshMetadata(f.topic); err != nil {
		f.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(f.client.Sarama())
	if err != nil {
		f.Fatal(err)
	}
	if err := admin.DeleteRecords(f.topic, map[int32]int64{0: 13}); err != nil {
		f.Fatal(err)
	}
	got, err := f.fetcher(0).Fetch(f.Context(), 12, 1<<20)
	if !errors.Is(err, kafka.ErrOffsetOutOfRange) {
		f.Fatalf("error %v, want %v", err, kafka.ErrOffsetOutOfRange)
	}
	if diff := cmp.Diff(&kafka.Fetched{Next: 12, Start: 13, Stable: 20}, got); diff != "" {
		f.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(lines(id, 13, 7), f.read(0, 13, 1<<20)); diff != "" {
		f.Errorf("values that are left (-want +got):\n%s", diff)
	}
	if last, found, err := f.client.ScanProducer(f.Context(), f.topic, 0, 0, id); last != 19 || !found || err != nil {
		f.Errorf("scan found %d, %v, %v; want 19", last, found, err)
	}
}
