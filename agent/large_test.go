package agent

import (
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
	cluster := newFake(t)
	refuseLarge(cluster, 1<<20)
	b := benchOn(t, cluster.ListenAddrs(), 6)
	b.cfg.Metadata, b.cfg.Compression = Metadata{As: MetadataEnvelope}, kafka.CompressionNone
	b.write("app.log", "before\n"+strings.Repeat("\x01", 200<<10)+"\nbehind\n")
	a, _ := b.runLogged()
	got := values(b.read(2))
	if diff := cmp.Diff([]string{`{"message":"before"}`, `{"message":"behind"}`}, got); diff != "" {
		t.Errorf("records (-want +got):\n%.2000s", diff)
	}
	await(t, "the loss is counted", func() bool { return a.Stats().LostRecords == 1 })
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
