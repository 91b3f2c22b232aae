package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// topicPoll is how often a changed topic is looked at until it is as it has to be.
const topicPoll = 100 * time.Millisecond

// ErrNotSupported is returned for a change that Kafka can't make.
var ErrNotSupported = errors.New("not supported")

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
	ID string
	// ClusterID is known after InspectTopic.
	ClusterID         string
	Partitions        int32
	ReplicationFactor int16
	// UnderReplicated counts partitions with fewer replicas in sync than they have, Offline those without a leader.
	UnderReplicated, Offline int32
	// Leaders counts the partitions each broker leads.
	Leaders map[int32]int32
	// Created and Grown tell what EnsureTopic did, Drift which settings it had to put right, or InspectTopic found to be
	// wrong.
	Created, Grown bool
	Drift          []Drift
}

// Drift is a setting that was not as specified.
type Drift struct{ Key, Want, Got string }

// EnsureTopic creates the topic, or brings it to what spec says: more partitions, and the listed settings. When it has
// changed partitions it returns once all have a leader. An existing topic with more partitions than specified is
// ErrNotSupported. Without the rights it needs (CREATE, ALTER, ALTER_CONFIGS, DESCRIBE_CONFIGS) it returns
// ErrNotAuthorized.
func (c *Client) EnsureTopic(ctx context.Context, spec TopicSpec) (TopicStatus, error) {
	status := TopicStatus{}
	found, err := c.existing(ctx, spec.Name)
	if errors.Is(err, ErrTopicNotFound) {
		status.Created = true
		found, err = c.createTopic(ctx, spec)
	}
	if err != nil {
		return TopicStatus{}, err
	}
	switch n := int32(len(found.Partitions)); {
	case n > spec.Partitions:
		return TopicStatus{}, fmt.Errorf("topic %s has %d partitions, %d are specified: shrinking is %w by Kafka; "+
			"specify %d or more", spec.Name, n, spec.Partitions, ErrNotSupported, n)
	case n < spec.Partitions:
		status.Grown = true
		if found, err = c.growTopic(ctx, spec); err != nil {
			return TopicStatus{}, err
		}
	}
	if !status.Created && len(spec.Config) > 0 {
		if status.Drift, err = c.revertDrift(ctx, spec); err != nil {
			return TopicStatus{}, err
		}
	}
	status.fill(found)
	return status, nil
}

func (c *Client) existing(ctx context.Context, name string) (*sarama.TopicMetadata, error) {
	metadata, err := c.metadata(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("describe topic %s: %w", name, err)
	}
	found := metadata.Topics[0]
	return found, topicError(found)
}

// createTopic is satisfied if another has just created it.
func (c *Client) createTopic(ctx context.Context, spec TopicSpec) (*sarama.TopicMetadata, error) {
	entries := make(map[string]*string, len(spec.Config))
	for key, value := range spec.Config {
		entries[key] = &value
	}
	details := map[string]*sarama.TopicDetail{spec.Name: {
		NumPartitions: spec.Partitions, ReplicationFactor: spec.ReplicationFactor, ConfigEntries: entries,
	}}
	request := sarama.NewCreateTopicsRequest(sarama.MaxVersion, details, c.cfg.RequestTimeout.Std(), false)
	err := c.askController(ctx, spec.Name, func(controller *sarama.Broker) error {
		response, err := controller.CreateTopics(request)
		if err != nil {
			return err
		}
		return answered(response.TopicErrors[spec.Name])
	})
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return nil, fmt.Errorf("create topic %s with %d partitions and replication factor %d: %w",
			spec.Name, spec.Partitions, spec.ReplicationFactor, authorized(err, "CREATE"))
	}
	return c.awaitLeaders(ctx, spec.Name, 1)
}

func (c *Client) growTopic(ctx context.Context, spec TopicSpec) (*sarama.TopicMetadata, error) {
	request := &sarama.CreatePartitionsRequest{
		Version:         3,
		TopicPartitions: map[string]*sarama.TopicPartition{spec.Name: {Count: spec.Partitions}},
		Timeout:         c.cfg.RequestTimeout.Std(),
	}
	err := c.askController(ctx, spec.Name, func(controller *sarama.Broker) error {
		response, err := controller.CreatePartitions(request)
		if err != nil {
			return err
		}
		answer := response.TopicPartitionErrors[spec.Name]
		if answer == nil {
			return sarama.ErrIncompleteResponse
		}
		return answered(&sarama.TopicError{Err: answer.Err, ErrMsg: answer.ErrMsg})
	})
	if err != nil {
		return nil, fmt.Errorf("grow topic %s to %d partitions: %w", spec.Name, spec.Partitions, authorized(err, "ALTER"))
	}
	return c.awaitLeaders(ctx, spec.Name, spec.Partitions)
}

// awaitLeaders returns the topic once it has that many partitions and all have a leader. Brokers learn of a change one
// after another.
func (c *Client) awaitLeaders(ctx context.Context, name string, partitions int32) (*sarama.TopicMetadata, error) {
	for {
		found, err := c.existing(ctx, name)
		if err == nil && int32(len(found.Partitions)) >= partitions && offline(found) == 0 {
			return found, nil
		}
		if errors.Is(err, ErrNotAuthorized) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the leaders of topic %s: %w", name, errors.Join(ctx.Err(), err))
		case <-time.After(topicPoll):
		}
	}
}

// revertDrift sets the listed settings that differ, and no others.
func (c *Client) revertDrift(ctx context.Context, spec TopicSpec) ([]Drift, error) {
	drift, err := c.drift(ctx, spec)
	if err != nil || len(drift) == 0 {
		return nil, err
	}
	change := map[string]sarama.IncrementalAlterConfigsEntry{}
	for _, d := range drift {
		change[d.Key] = sarama.IncrementalAlterConfigsEntry{
			Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &d.Want,
		}
	}
	if err := c.configureTopic(ctx, spec.Name, change); err != nil {
		return nil, fmt.Errorf("configure topic %s: %w", spec.Name, authorized(err, "ALTER_CONFIGS"))
	}
	return drift, nil
}

func (c *Client) configureTopic(
	ctx context.Context, name string, change map[string]sarama.IncrementalAlterConfigsEntry,
) error {
	request := &sarama.IncrementalAlterConfigsRequest{
		Version: 1,
		Resources: []*sarama.IncrementalAlterConfigsResource{
			{Type: sarama.TopicResource, Name: name, ConfigEntries: change},
		},
	}
	return c.askController(ctx, name, func(controller *sarama.Broker) error {
		response, err := controller.IncrementalAlterConfigs(request)
		if err != nil {
			return err
		}
		if len(response.Resources) != 1 {
			return sarama.ErrIncompleteResponse
		}
		answer := response.Resources[0]
		return answered(&sarama.TopicError{Err: sarama.KError(answer.ErrorCode), ErrMsg: &answer.ErrorMsg})
	})
}

// DeleteTopic deletes a topic; that there is none is no error.
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	request := sarama.NewDeleteTopicsRequest(sarama.MaxVersion, []string{name}, c.cfg.RequestTimeout.Std())
	err := c.askController(ctx, name, func(controller *sarama.Broker) error {
		response, err := controller.DeleteTopics(request)
		if err != nil {
			return err
		}
		code, ok := response.TopicErrorCodes[name]
		if !ok {
			return sarama.ErrIncompleteResponse
		}
		return answered(&sarama.TopicError{Err: code, ErrMsg: response.TopicErrorMessages[name]})
	})
	if err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		return fmt.Errorf("delete topic %s: %w", name, authorized(err, "DELETE"))
	}
	return nil
}

// askController asks the broker that changes topics; with KRaft that is any one, which passes the request on (KIP-590).
func (c *Client) askController(ctx context.Context, topic string, question func(*sarama.Broker) error) error {
	metadata, err := c.metadata(ctx, topic)
	if err != nil {
		return err
	}
	address := addressOf(metadata, metadata.ControllerID)
	if address == "" {
		return sarama.ErrControllerNotAvailable
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std()+c.cfg.DialTimeout.Std())
	defer cancel()
	return c.ask(ctx, address, question)
}

// answered returns what a broker says went wrong with a topic.
func answered(answer *sarama.TopicError) error {
	switch {
	case answer == nil:
		return sarama.ErrIncompleteResponse
	case answer.Err == sarama.ErrNoError:
		return nil
	default:
		return answer
	}
}

// authorized names the right that is missing, if that is what err says.
func authorized(err error, right string) error {
	if errors.Is(err, sarama.ErrTopicAuthorizationFailed) || errors.Is(err, sarama.ErrClusterAuthorizationFailed) {
		return fmt.Errorf("%w: grant %s on the topic", ErrNotAuthorized, right)
	}
	return err
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
