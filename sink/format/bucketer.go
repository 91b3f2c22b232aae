package format

import (
	"bytes"
	"time"
)

// maxInterned bounds the names that a Bucketer remembers.
const maxInterned = 1024

// Bucketer names the directory of one record after the other, quickly when they are mostly the same. It is used by one
// goroutine at a time.
type Bucketer struct {
	path   *Path
	names  map[string]string
	buffer []byte

	// last is the directory of the previous record. It is right for the next one too if that has the same values and
	// a time in the same minute.
	last      string
	minute    int64 // the first second of the minute, counted from 1970; time zones may differ by half hours
	topic     string
	partition int32
	keyed     bool
	key       []byte
	headers   []headerValue
}

// headerValue is the value that the previous record had for a header of the template.
type headerValue struct {
	name  string
	value []byte
}

// Bucketer returns a new Bucketer of p.
func (p *Path) Bucketer() *Bucketer {
	b := &Bucketer{path: p, names: make(map[string]string)}
	for _, part := range p.parts {
		switch part.kind {
		case keyPart:
			b.keyed = true
		case headerPart:
			b.headers = append(b.headers, headerValue{name: part.text})
		}
	}
	return b
}

// Bucket returns the directory of rec; see Path.Expand. It does not allocate when the directory is among the last.
func (b *Bucketer) Bucket(rec *Record, latest time.Time) string {
	if b.last != "" && b.sameTime(rec, latest) && b.sameValues(rec) {
		return b.last
	}
	b.buffer = b.path.Expand(b.buffer[:0], rec, latest)
	name, known := b.names[string(b.buffer)]
	if !known {
		if len(b.names) >= maxInterned {
			clear(b.names)
		}
		name = string(b.buffer)
		b.names[name] = name
	}
	b.last = name
	if b.path.timed && name == InvalidTime {
		b.last = "" // it is not right for other times of this minute
	}
	b.remember(rec)
	return name
}

func (b *Bucketer) sameTime(rec *Record, latest time.Time) bool {
	if !b.path.timed {
		return true
	}
	second := rec.Time.Unix()
	return second >= max(b.minute, 0) && second < b.minute+60 && !rec.Time.After(latest)
}

func (b *Bucketer) sameValues(rec *Record) bool {
	if rec.Topic != b.topic || rec.Partition != b.partition || b.keyed && !bytes.Equal(rec.Key, b.key) {
		return false
	}
	for i := range b.headers {
		if !bytes.Equal(rec.header(b.headers[i].name), b.headers[i].value) {
			return false
		}
	}
	return true
}

func (b *Bucketer) remember(rec *Record) {
	if b.path.timed {
		b.minute = rec.Time.Unix() - int64(rec.Time.In(b.path.zone).Second())
	}
	b.topic, b.partition = rec.Topic, rec.Partition
	if b.keyed {
		b.key = append(b.key[:0], rec.Key...)
	}
	for i := range b.headers {
		b.headers[i].value = append(b.headers[i].value[:0], rec.header(b.headers[i].name)...)
	}
}
