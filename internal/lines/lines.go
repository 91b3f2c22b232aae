// Package lines makes log lines that prove where they went: each carries its writer, its number and a checksum, so that
// a Checker sees every line that was lost, doubled, changed or put out of order.
package lines

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"time"
)

const trailer = " lp=" // followed by <writer>:<sequence>:<crc32c of all before it, hex>

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Source makes the lines of one writer, numbered from 0. The same seed gives the same text.
type Source struct {
	writer string
	next   uint64
	random *rand.Rand
	buf    []byte
}

// NewSource returns the source of a writer's lines. The name must not contain ':' or white space.
func NewSource(writer string, seed uint64) *Source {
	return &Source{writer: writer, random: rand.New(rand.NewPCG(seed, 1))}
}

// Next returns the next line with its newline, valid until the next call. The text looks like what servers log: access
// logs, application logs and JSON, 220 bytes on average.
func (s *Source) Next(now time.Time) []byte {
	s.buf = s.text(s.buf[:0], now)
	s.buf = append(s.buf, trailer...)
	s.buf = append(s.buf, s.writer...)
	s.buf = append(s.buf, ':')
	s.buf = strconv.AppendUint(s.buf, s.next, 10)
	s.buf = append(s.buf, ':')
	s.buf = fmt.Appendf(s.buf, "%08x", crc32.Checksum(s.buf, castagnoli))
	s.next++
	return append(s.buf, '\n')
}

// Count is the number of lines made so far.
func (s *Source) Count() uint64 { return s.next }

var (
	paths  = []string{"/", "/api/v1/orders", "/api/v1/orders/%d", "/static/app.%d.js", "/login", "/api/v2/search?q=%d"}
	agents = []string{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "curl/8.9.1", "okhttp/4.12.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)"}
	levels   = []string{"DEBUG", "INFO", "INFO", "INFO", "WARN", "ERROR"}
	messages = []string{"connection from pool returned after %d us", "cache miss for key user:%d, reading from database",
		"order %d accepted, waiting for payment", "retry %d of upstream call to inventory", "slow query took %d ms"}
)

func (s *Source) text(dst []byte, now time.Time) []byte {
	n := s.random.IntN(1_000_000)
	switch s.random.IntN(3) {
	case 0:
		dst = fmt.Appendf(dst, "10.%d.%d.%d - - ", n%256, n/256%256, n/65536)
		dst = now.AppendFormat(dst, "[02/Jan/2006:15:04:05 -0700]")
		return fmt.Appendf(dst, ` "GET %s HTTP/1.1" %d %d "https://shop.example.com/" "%s"`,
			fill(pick(s, paths), n), 200+n%5*100, n%100_000, pick(s, agents))
	case 1:
		dst = now.AppendFormat(dst, "2006-01-02 15:04:05.000")
		return fmt.Appendf(dst, " %-5s [worker-%d] com.example.shop.OrderService - %s (trace=%016x span=%08x)",
			pick(s, levels), n%16, fill(pick(s, messages), n), s.random.Uint64(), s.random.Uint32())
	default:
		dst = now.AppendFormat(append(dst, `{"ts":"`...), time.RFC3339Nano)
		return fmt.Appendf(dst, `","level":"%s","service":"checkout","msg":"%s","user":%d,"trace":"%016x","ms":%d}`,
			pick(s, levels), fill(pick(s, messages), n), n, s.random.Uint64(), n%900)
	}
}

func pick(s *Source, from []string) string { return from[s.random.IntN(len(from))] }

func fill(format string, n int) string {
	if bytes.IndexByte([]byte(format), '%') < 0 {
		return format
	}
	return fmt.Sprintf(format, n)
}

// Parse returns the writer and number of a line (without newline), and false if it is not whole.
func Parse(line []byte) (writer string, sequence uint64, ok bool) {
	at := bytes.LastIndex(line, []byte(trailer))
	if at < 0 {
		return "", 0, false
	}
	parts := bytes.Split(line[at+len(trailer):], []byte(":"))
	if len(parts) != 3 {
		return "", 0, false
	}
	sequence, err := strconv.ParseUint(string(parts[1]), 10, 64)
	if err != nil {
		return "", 0, false
	}
	sum, err := strconv.ParseUint(string(parts[2]), 16, 32)
	covered := line[:len(line)-len(parts[2])]
	if err != nil || len(parts[2]) != 8 || crc32.Checksum(covered, castagnoli) != uint32(sum) {
		return "", 0, false
	}
	return string(parts[0]), sequence, true
}
