package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// InspectTopic returns what a topic is and which of the listed settings are not as specified, and changes nothing. It
// returns ErrTopicNotFound, with the cluster id all the same, if there is none.
func (c *Client) InspectTopic(ctx context.Context, spec TopicSpec) (TopicStatus, error) {
	metadata, err := c.metadata(ctx, spec.Name)
	if err != nil {
		return TopicStatus{}, fmt.Errorf("describe topic %s: %w", spec.Name, err)
	}
	var status TopicStatus
	if metadata.ClusterID != nil {
		status.ClusterID = *metadata.ClusterID
	}
	if err := topicError(metadata.Topics[0]); err != nil {
		return status, err
	}
	status.fill(metadata.Topics[0])
	if len(spec.Config) > 0 {
		status.Drift, err = c.drift(ctx, spec)
	}
	return status, err
}

// drift lists the settings that differ from those specified.
func (c *Client) drift(ctx context.Context, spec TopicSpec) ([]Drift, error) {
	keys := slices.Sorted(maps.Keys(spec.Config))
	got, err := c.settings(ctx, spec.Name, keys)
	if err != nil {
		return nil, authorized(err, "DESCRIBE_CONFIGS")
	}
	var drift []Drift
	for _, key := range keys {
		if want := spec.Config[key]; got[key] != want {
			drift = append(drift, Drift{Key: key, Want: want, Got: got[key]})
		}
	}
	return drift, nil
}
