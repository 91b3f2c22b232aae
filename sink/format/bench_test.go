package format

import (
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
)

// logRecords are as like each other as the lines of a log are, some 200 bytes long.
func logRecords(n int) []Record {
	records := make([]Record, n)
	for i := range records {
		value := fmt.Sprintf(`10.%d.%d.%d - - [31/Jan/2026:12:%02d:%02d +0000] "GET /api/v1/items/%d HTTP/1.1" 200 %d `+
			`"https://example.org/shop/%d" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" rt=0.%03d id=%016x`,
			i%7, i%251, i*7%253, i/60%60, i%60, i*31%9973, i*97%65536, i*13%997, i%1000, uint64(i)*0x9E3779B97F4A7C15)
		records[i] = Record{
			Topic: "web", Partition: 3, Offset: int64(i), Time: noon.Add(time.Duration(i) * time.Millisecond),
			Key: []byte("10.1.2.0/24"), Value: []byte(value),
			Headers: headers("file", "/var/log/nginx/access.log", "node", "node-17"),
		}
	}
	return records
}

func BenchmarkWrite(b *testing.B) {
	records := logRecords(4096)
	tests := map[string]Config{
		"Text":       {},
		"JSONLines":  {Format: JSONLines},
		"Text/gzip1": {Compression: Gzip},
		"Text/zstd1": {Compression: Zstd},
		"JSON/zstd1": {Format: JSONLines, Compression: Zstd},
	}
	for name, cfg := range tests {
		b.Run(name, func(b *testing.B) {
			w, err := NewWriter(cfg, io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Discard()
			b.SetBytes(int64(len(records[0].Value)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := w.Write(&records[i%len(records)]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(w.Written())/float64(w.Records()), "B/record")
		})
	}
}

func BenchmarkBucket(b *testing.B) {
	records := logRecords(4096)
	for _, template := range []string{"{topic}/dt=%Y-%m-%d/hr=%H", "{topic}/{header.node}/dt=%Y-%m-%d"} {
		b.Run(template, func(b *testing.B) {
			p, err := ParsePath(template, "Europe/Berlin")
			if err != nil {
				b.Fatal(err)
			}
			buckets := p.Bucketer()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				buckets.Bucket(&records[i%len(records)], far)
			}
		})
	}
}

// BenchmarkOpenWriter shows what many files open at once cost: KiB/writer is live memory.
func BenchmarkOpenWriter(b *testing.B) {
	records := logRecords(4096)
	for _, cfg := range []Config{
		{}, {Compression: Gzip, Level: 1}, {Compression: Gzip, Level: 6}, {Compression: Zstd, Level: 1},
		{Compression: Zstd, Level: 2}, {Compression: Zstd, Level: 4},
	} {
		b.Run(fmt.Sprintf("%s%d", cfg.Compression, cfg.Level), func(b *testing.B) {
			for b.Loop() {
				const open = 32
				before := liveBytes()
				writers := make([]*Writer, open)
				for i := range writers {
					writers[i], _ = NewWriter(cfg, io.Discard)
					for j := range records {
						_ = writers[i].Write(&records[j])
					}
				}
				b.ReportMetric(float64(liveBytes()-before)/open/1024, "KiB/writer")
				for _, w := range writers {
					w.chunk = nil // neither closed nor put back, for the next round to make new ones
				}
			}
		})
	}
}

func liveBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
