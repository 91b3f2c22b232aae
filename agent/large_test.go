package agent

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipe/logpipe/internal/kafka"
)

// TestRecordTooLargeForTheTopic has a line that its envelope makes larger than what the topic takes. It can never be
// sent: it is counted as lost, and the lines behind it arrive.
func TestRecordTooLargeForTheTopic(t *testing.T) {
	for _, delivery := range []Delivery{ExactlyOnce, AtLeastOnce} {
		t.Run(string(delivery), func(t *testing.T) {
			cluster := newFake(t)
			refuseLarge(cluster, 1<<20)
			b := benchOn(t, cluster.ListenAddrs(), 6)
			b.cfg.Delivery = delivery
			b.cfg.Metadata, b.cfg.Compression = Metadata{As: MetadataEnvelope}, kafka.CompressionNone
			b.write("app.log", "before\n"+strings.Repeat("\x01", 200<<10)+"\nbehind\n")
			a, _ := b.runLogged()
			got := values(b.read(2))
			if diff := cmp.Diff([]string{`{"message":"before"}`, `{"message":"behind"}`}, got); diff != "" {
				t.Errorf("records (-want +got):\n%.2000s", diff)
			}
			await(t, "the loss is counted", func() bool { return a.Stats().LostRecords == 1 })
		})
	}
}

// TestTopicTakesLess lowers max.message.bytes while an agent runs. Its next batches are smaller; where the longest
// record has no room any more, the session ends with what to do.
func TestTopicTakesLess(t *testing.T) {
	b := newBench(t)
	b.cfg.Decode.MaxRecordBytes = 1 << 10
	b.cfg.Default()
	topic, err := b.client.Topic(t.Context(), b.cfg.Topic)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{cfg: b.cfg, client: realCluster{b.client}, topic: topic}
	for limit, wantErr := range map[int]string{10_000: "", 1_000: "decode.maxRecordBytes", 20_000: ""} {
		spec := kafka.TopicSpec{Name: b.cfg.Topic, Partitions: 6, ReplicationFactor: 1,
			Config: map[string]string{"max.message.bytes": strconv.Itoa(limit)}}
		if _, err := b.client.EnsureTopic(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		err := a.lookAtTopic(t.Context())
		if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("limit %d: got error %v, want %q", limit, err, wantErr)
		}
		if got, want := a.batchBytes(), limit-batchOverhead; err == nil && got != want {
			t.Errorf("limit %d: batches have %d bytes, want %d", limit, got, want)
		}
	}
}

// refuseLarge makes the cluster refuse batches as brokers do that are above max.message.bytes.
func refuseLarge(cluster *kfake.Cluster, limit int) {
	const messageTooLarge = 10
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		produce := request.(*kmsg.ProduceRequest)
		response, large := produce.ResponseKind().(*kmsg.ProduceResponse), false
		for _, topic := range produce.Topics {
			answer := kmsg.ProduceResponseTopic{Topic: topic.Topic, TopicID: topic.TopicID}
			for _, partition := range topic.Partitions {
				large = large || len(partition.Records) > limit
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = partition.Partition, messageTooLarge
				answer.Partitions = append(answer.Partitions, p)
			}
			response.Topics = append(response.Topics, answer)
		}
		if !large {
			return nil, nil, false
		}
		return response, nil, true
	})
}
