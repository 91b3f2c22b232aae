package agent

import (
	"time"

	"golang.org/x/time/rate"
)

// limiter delays the reading of a file once it is ahead of its rate. What is not read stays in the file.
type limiter struct {
	bytes, records *rate.Limiter
}

func newLimiter(r *RateLimit) *limiter {
	if r == nil {
		return nil
	}
	return &limiter{bytes: perSecond(r.BytesPerSecond), records: perSecond(r.RecordsPerSecond)}
}

// perSecond allows bursts of one second.
func perSecond(n int64) *rate.Limiter {
	if n == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(n), int(n))
}

// delay is how long reading has to wait; a nil limiter never waits.
func (l *limiter) delay(now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	return max(debt(l.bytes, now), debt(l.records, now))
}

// debt is how long it takes until the limiter's tokens, which spend takes below zero, are back at zero.
func debt(l *rate.Limiter, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	tokens := l.TokensAt(now)
	if tokens >= 0 {
		return 0
	}
	return time.Duration(-tokens / float64(l.Limit()) * float64(time.Second))
}

// spend takes what was read, in portions no larger than a burst, because a larger one would be refused.
func (l *limiter) spend(now time.Time, bytes, records int) {
	if l == nil {
		return
	}
	take(l.bytes, now, bytes)
	take(l.records, now, records)
}

func take(l *rate.Limiter, now time.Time, n int) {
	if l == nil {
		return
	}
	for burst := l.Burst(); n > 0; n -= burst {
		l.ReserveN(now, min(n, burst))
	}
}
