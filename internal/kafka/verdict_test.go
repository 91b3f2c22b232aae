package kafka

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/IBM/sarama"
)

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		err  error
		want fate
		is   error
	}{
		"a broken connection is tried again":          {err: io.EOF, want: again},
		"a refused connection is tried again":         {err: fmt.Errorf("connect: %w", errors.New("refused")), want: again},
		"too few replicas are waited for":             {err: sarama.ErrNotEnoughReplicas, want: again},
		"a missing right is waited for":               {err: sarama.ErrTopicAuthorizationFailed, want: later},
		"a wrong password is waited for":              {err: sarama.Wrap(sarama.ErrSASLAuthenticationFailed), want: later},
		"a batch that is there already is stored":     {err: sarama.ErrDuplicateSequenceNumber, want: stored},
		"a batch that can't be encoded is too large":  {err: sarama.PacketEncodingError{}, want: hopeless, is: ErrTooLarge},
		"a topic made anew is not written to":         {err: ErrTopicChanged, want: hopeless, is: ErrTopicChanged},
		"a topic that is missing may come or be seen": {err: ErrTopicNotFound, want: again},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := judge(test.err)
			if got != test.want || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("verdict %d, error %v; want %d, %v", got, err, test.want, test.is)
			}
		})
	}
}
