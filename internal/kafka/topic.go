package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// topicPoll is how often a new topic is looked at until every partition has a leader.
const topicPoll = 100 * time.Millisecond

// TopicSpec says what a topic has to be.
type TopicSpec struct {
	Name string `json:"name"`
	// Partitions may grow and never shrink.
	Partitions int32 `json:"partitions"`
	// ReplicationFactor counts only when the topic is created.
	ReplicationFactor int16 `json:"replicationFactor"`
	// Config holds the settings that are kept; others are left alone.
	Config map[string]string `json:"config,omitempty"`
}

// TopicStatus is what a topic is.
type TopicStatus struct {
	ID                string
	Partitions        int32
	ReplicationFactor int16
	// UnderReplicated counts partitions with fewer replicas in sync than they have, Offline those without a leader.
	UnderReplicated, Offline int32
	// Leaders counts the partitions each broker leads.
	Leaders map[int32]int32
	// Created, Grown and Drift tell what EnsureTopic changed.
	Created, Grown bool
	Drift          []Drift
}

// Drift is a setting that was not as specified.
type Drift struct{ Key, Want, Got string }

// ErrNotSupported is returned for a change that Kafka can't make.
var ErrNotSupported = errors.New("not supported")

// EnsureTopic creates the topic, or brings it to what spec says: more partitions, and the listed settings. It returns
// when every partition has a leader. An existing topic with more partitions than specified is ErrNotSupported.
func (c *Client) EnsureTopic(ctx context.Context, spec TopicSpec) (TopicStatus, error) {
	admin, err := sarama.NewClusterAdminFromClient(c.sarama)
	if err != nil {
		return TopicStatus{}, fmt.Errorf("open admin connection: %w", err)
	}
	status := TopicStatus{}
	if status.Created, err = createTopic(admin, spec); err != nil {
		return TopicStatus{}, err
	}
	found, err := c.describe(ctx, spec.Name, status.Created)
	if err != nil {
		return TopicStatus{}, err
	}
	switch n := int32(len(found.Partitions)); {
	case n > spec.Partitions:
		return TopicStatus{}, fmt.Errorf("topic %s has %d partitions, %d are specified: shrinking is %w by Kafka; "+
			"specify %d or more", spec.Name, n, spec.Partitions, ErrNotSupported, n)
	case n < spec.Partitions:
		if err := admin.CreatePartitions(spec.Name, spec.Partitions, nil, false); err != nil {
			return TopicStatus{}, fmt.Errorf("grow topic %s from %d to %d partitions: %w", spec.Name, n, spec.Partitions, err)
		}
		status.Grown = true
		if found, err = c.await(ctx, spec); err != nil {
			return TopicStatus{}, err
		}
	}
	if !status.Created {
		if status.Drift, err = revertDrift(admin, spec); err != nil {
			return TopicStatus{}, err
		}
	}
	status.fill(found)
	return status, nil
}

// createTopic reports whether the topic was not there.
func createTopic(admin sarama.ClusterAdmin, spec TopicSpec) (bool, error) {
	entries := make(map[string]*string, len(spec.Config))
	for key, value := range spec.Config {
		entries[key] = &value
	}
	err := admin.CreateTopic(spec.Name, &sarama.TopicDetail{
		NumPartitions: spec.Partitions, ReplicationFactor: spec.ReplicationFactor, ConfigEntries: entries,
	}, false)
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create topic %s with %d partitions and replication factor %d: %w",
			spec.Name, spec.Partitions, spec.ReplicationFactor, err)
	}
	return true, nil
}

// describe returns the topic's metadata; that of a topic just created comes when every partition has a leader.
func (c *Client) describe(ctx context.Context, name string, created bool) (*sarama.TopicMetadata, error) {
	for {
		metadata, err := c.metadata(name)
		if err != nil {
			return nil, fmt.Errorf("describe topic %s: %w", name, err)
		}
		found := metadata.Topics[0]
		if !created && found.Err != sarama.ErrNoError && found.Err != sarama.ErrLeaderNotAvailable {
			return nil, fmt.Errorf("describe topic %s: %w", name, found.Err)
		}
		if !created || found.Err == sarama.ErrNoError && offline(found) == 0 {
			return found, nil
		}
		if err := wait(ctx, topicPoll); err != nil {
			return nil, fmt.Errorf("wait for the leaders of topic %s: %w", name, err)
		}
	}
}

// await returns the topic's metadata when it has grown.
func (c *Client) await(ctx context.Context, spec TopicSpec) (*sarama.TopicMetadata, error) {
	for {
		found, err := c.describe(ctx, spec.Name, true)
		if err != nil || int32(len(found.Partitions)) >= spec.Partitions {
			return found, err
		}
		if err := wait(ctx, topicPoll); err != nil {
			return nil, fmt.Errorf("wait for topic %s to grow: %w", spec.Name, err)
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// revertDrift sets the listed settings that differ, and no others.
func revertDrift(admin sarama.ClusterAdmin, spec TopicSpec) ([]Drift, error) {
	if len(spec.Config) == 0 {
		return nil, nil
	}
	keys := slices.Sorted(maps.Keys(spec.Config))
	entries, err := admin.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: spec.Name, ConfigNames: keys,
	})
	if err != nil {
		return nil, fmt.Errorf("read configuration of topic %s: %w", spec.Name, err)
	}
	got := map[string]string{}
	for _, entry := range entries {
		got[entry.Name] = entry.Value
	}
	var drift []Drift
	change := map[string]sarama.IncrementalAlterConfigsEntry{}
	for _, key := range keys {
		if want := spec.Config[key]; got[key] != want {
			drift = append(drift, Drift{Key: key, Want: want, Got: got[key]})
			change[key] = sarama.IncrementalAlterConfigsEntry{
				Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &want,
			}
		}
	}
	if len(drift) == 0 {
		return nil, nil
	}
	if err := admin.IncrementalAlterConfig(sarama.TopicResource, spec.Name, change, false); err != nil {
		return nil, fmt.Errorf("configure topic %s: %w", spec.Name, err)
	}
	return drift, nil
}

// DeleteTopic deletes a topic; that there is none is no error.
func (c *Client) DeleteTopic(name string) error {
	admin, err := sarama.NewClusterAdminFromClient(c.sarama)
	if err != nil {
		return fmt.Errorf("open admin connection: %w", err)
	}
	if err := admin.DeleteTopic(name); err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return nil
}

func (s *TopicStatus) fill(found *sarama.TopicMetadata) {
	s.ID, s.Partitions, s.Offline = found.Uuid.String(), int32(len(found.Partitions)), offline(found)
	s.Leaders = map[int32]int32{}
	for _, p := range found.Partitions {
		s.ReplicationFactor = max(s.ReplicationFactor, int16(len(p.Replicas)))
		if len(p.Isr) < len(p.Replicas) {
			s.UnderReplicated++
		}
		if p.Leader >= 0 {
			s.Leaders[p.Leader]++
		}
	}
}

func offline(topic *sarama.TopicMetadata) int32 {
	var n int32
	for _, p := range topic.Partitions {
		if p.Leader < 0 || p.Err == sarama.ErrLeaderNotAvailable {
			n++
		}
	}
	return n
}
