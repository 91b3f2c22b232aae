package kafka_test

import (
	"errors"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipe/logpipe/internal/kafka"
)

func sameTopic(f *fixture) {
	topic, err := f.client.Topic(f.Context(), f.topic)
	if err != nil {
		f.Fatal(err)
	}
	got, err := f.client.EnsureTopic(f.Context(), kafka.TopicSpec{
		Name: f.topic, Partitions: 2, Config: map[string]string{"max.message.bytes": "20000"},
	})
	if err != nil {
		f.Fatal(err)
	}
	want := kafka.TopicStatus{ID: topic.ID, Partitions: 2, ReplicationFactor: 1, Leaders: map[int32]int32{}}
	for _, leader := range topic.Leaders {
		want.Leaders[leader]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("status (-want +got):\n%s", diff)
	}
}

func describeTopic(f *fixture) {
	topic, err := f.client.Topic(f.Context(), f.topic)
	if err != nil {
		f.Fatal(err)
	}
	if topic.Partitions != 2 || topic.MaxMessageBytes != 20000 || len(topic.Leaders) != 2 {
		f.Errorf("topic is %+v", topic)
	}
	if len(topic.ID) != 22 || topic.ClusterID == "" {
		f.Errorf("topic id is %q, cluster id %q", topic.ID, topic.ClusterID)
	}
	if _, err := f.client.Topic(f.Context(), f.topic+"-not"); !errors.Is(err, kafka.ErrTopicNotFound) {
		f.Errorf("error %v, want %v", err, kafka.ErrTopicNotFound)
	}
}

func changeTopic(f *fixture) {
	spec := kafka.TopicSpec{Name: f.topic, Partitions: 5, Config: map[string]string{"retention.ms": "3600000"}}
	status, err := f.client.EnsureTopic(f.Context(), spec)
	if err != nil {
		f.Fatal(err)
	}
	if status.Created || !status.Grown || status.Partitions != 5 || status.ReplicationFactor != 1 || status.Offline != 0 {
		f.Errorf("status is %+v", status)
	}
	want := []kafka.Drift{{Key: "retention.ms", Want: "3600000", Got: "604800000"}}
	if diff := cmp.Diff(want, status.Drift); diff != "" {
		f.Errorf("drift (-want +got):\n%s", diff)
	}
	for deadline := time.Now().Add(patience); status.Drift != nil; { // brokers hear of a setting one after another
		if status, err = f.client.EnsureTopic(f.Context(), spec); err != nil || status.Grown || time.Now().After(deadline) {
			f.Fatalf("the second time: %+v, %v", status, err)
		}
	}
	if topic, err := f.client.Topic(f.Context(), f.topic); err != nil || topic.MaxMessageBytes != 20000 {
		f.Errorf("a setting that is not listed is %d now, error %v", topic.MaxMessageBytes, err)
	}
}

func shrinkTopic(f *fixture) {
	_, err := f.client.EnsureTopic(f.Context(), kafka.TopicSpec{Name: f.topic, Partitions: 1})
	if !errors.Is(err, kafka.ErrNotSupported) || !strings.Contains(err.Error(), "specify 2 or more") {
		f.Errorf("error is %v", err)
	}
}

func madeAnew(f *fixture) {
	id := f.producerID()
	p := f.producer(kafka.ProducerConfig{})
	f.send(p, batchOf(0, id, 0, 10))
	if err := f.client.DeleteTopic(f.Context(), f.topic); err != nil {
		f.Fatal(err)
	}
	for { // brokers forget a topic one after another
		status, err := f.client.EnsureTopic(f.Context(), kafka.TopicSpec{Name: f.topic, Partitions: 2, ReplicationFactor: 1})
		if err != nil {
			f.Fatal(err)
		}
		if status.Created {
			break
		}
	}
	p.Send(batchOf(1, id, 0, 10)) // a partition without a connection to the old topic
	if r := f.results(p, 1)[0]; !errors.Is(r.Err, kafka.ErrTopicChanged) {
		f.Errorf("error %v, want %v", r.Err, kafka.ErrTopicChanged)
	}
	if got := f.read(1, 0, 1<<20); got != nil {
		f.Errorf("%q was stored", got)
	}
	if err := f.client.DeleteTopic(f.Context(), f.topic+"-not"); err != nil {
		f.Errorf("delete what is not there: %v", err)
	}
}
