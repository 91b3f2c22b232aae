package sink

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/logpipe/logpipe/internal/conf"
	"github.com/logpipe/logpipe/sink/format"
)

// The defaults of a Config, and the bounds of what can be asked for.
const (
	defaultPath         = "{topic}/dt=%Y-%m-%d/hr=%H"
	defaultTimeZone     = "UTC"
	defaultRollBytes    = 128 << 20
	defaultRollInterval = 5 * time.Minute
	defaultOpenFiles    = 16
	defaultFetches      = 2
	defaultFetchBytes   = 1 << 20
	defaultSession      = 10 * time.Second

	minRollBytes    = 64 << 10
	minRollInterval = 100 * time.Millisecond
	maxOpenFiles    = 1000
	maxFetches      = 64
	minFetchBytes   = 4 << 10
	maxFetchBytes   = 64 << 20
	minSession      = 6 * time.Second // Kafka's group.min.session.timeout.ms
	maxSession      = 30 * time.Minute
	// blockSlack is what a file may grow beyond roll.maxBytes: a large record and the buffers of the compression.
	blockSlack = 64 << 20
)

// Default fills in what is not set.
func (c *Config) Default() {
	c.Kafka.Default()
	c.Store.Default()
	c.File.Default()
	setDefault(&c.ConsumerGroup, "logpipe-"+strings.ReplaceAll(c.Name, "/", "-"))
	setDefault(&c.InitialOffset, Earliest)
	setDefault(&c.Path, defaultPath)
	setDefault(&c.TimeZone, defaultTimeZone)
	setDefault(&c.Roll.MaxBytes, defaultRollBytes)
	setDefault(&c.Roll.Interval, conf.Duration(defaultRollInterval))
	setDefault(&c.MaxOpenFiles, defaultOpenFiles)
	setDefault(&c.MaxFetchesInFlight, defaultFetches)
	setDefault(&c.FetchBytes, defaultFetchBytes)
	setDefault(&c.SessionTimeout, conf.Duration(defaultSession))
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	topicPattern = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
)

// Validate returns everything that is wrong with c, each error naming the field, its value and what to do. It expects
// the defaults to be filled in.
func (c *Config) Validate() error {
	var errs []error
	require := func(ok bool, field string, value any, remedy string) {
		if !ok {
			errs = append(errs, conf.Invalid(field, value, remedy))
		}
	}
	require(namePattern.MatchString(c.Name), "name", c.Name, "write namespace/name in lower-case letters, digits, - and .")
	require(topicPattern.MatchString(c.Topic) && strings.Trim(c.Topic, ".") != "", "topic", c.Topic,
		"use 1 to 249 letters, digits, '.', '_' and '-'")
	require(c.ConsumerGroup != "", "consumerGroup", c.ConsumerGroup, "name the group that the sinks share")
	require(c.InitialOffset == Earliest || c.InitialOffset == Latest, "initialOffset", string(c.InitialOffset),
		"use Earliest or Latest")
	errs = append(errs,
		conf.Under("kafka", c.Kafka.Validate()),
		conf.Under("store", c.Store.Validate()),
		conf.Under("file", c.File.Validate()),
		c.validatePath(),
		conf.Under("roll", c.Roll.validate()),
		c.validateBlock(),
		c.validateBounds(),
	)
	if c.Listen != "" {
		_, _, err := net.SplitHostPort(c.Listen)
		require(err == nil, "listen", c.Listen, "write host:port, or :port for all addresses")
	}
	return errors.Join(errs...)
}

func (c *Config) validatePath() error {
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		return conf.Invalid("timeZone", c.TimeZone, "use an IANA name such as Europe/Berlin")
	}
	if _, err := format.ParsePath(c.Path, c.TimeZone); err != nil {
		return conf.Invalid("path", c.Path, err.Error())
	}
	return nil
}

func (r Roll) validate() error {
	var errs []error
	if r.MaxBytes < minRollBytes {
		errs = append(errs, conf.Invalid("maxBytes", r.MaxBytes, fmt.Sprintf("use %d or more", minRollBytes)))
	}
	if r.MaxRecords < 0 {
		errs = append(errs, conf.Invalid("maxRecords", r.MaxRecords, "use 0 for no bound, or a positive number"))
	}
	if r.Interval.Std() < minRollInterval {
		errs = append(errs, conf.Invalid("interval", r.Interval, "use "+minRollInterval.String()+" or more"))
	}
	if r.IdleTimeout < 0 {
		errs = append(errs, conf.Invalid("idleTimeout", r.IdleTimeout, "use 0 to wait for the interval, or more"))
	}
	return errors.Join(errs...)
}

// validateBlock makes sure that a file fits into one block: the HDFS client can't go on to a second one reliably.
func (c *Config) validateBlock() error {
	if !strings.HasPrefix(c.Store.URL, "hdfs:") || c.Store.BlockSize >= c.Roll.MaxBytes+blockSlack {
		return nil
	}
	return conf.Invalid("roll.maxBytes", c.Roll.MaxBytes,
		fmt.Sprintf("a file is one block: leave %d MiB below store.blockSize, which is %d", blockSlack>>20,
			c.Store.BlockSize))
}

func (c *Config) validateBounds() error {
	var errs []error
	within := func(field string, value, lowest, highest int) {
		if value < lowest || value > highest {
			errs = append(errs, conf.Invalid(field, value, fmt.Sprintf("use %d to %d", lowest, highest)))
		}
	}
	within("maxOpenFiles", c.MaxOpenFiles, 1, maxOpenFiles)
	within("maxFetchesInFlight", c.MaxFetchesInFlight, 1, maxFetches)
	within("fetchBytes", c.FetchBytes, minFetchBytes, maxFetchBytes)
	if t := c.SessionTimeout.Std(); t < minSession || t > maxSession {
		errs = append(errs, conf.Invalid("sessionTimeout", c.SessionTimeout,
			fmt.Sprintf("use %s to %s", minSession, maxSession)))
	}
	return errors.Join(errs...)
}
