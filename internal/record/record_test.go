package record

import "testing"

// TestMurmur2 uses the vectors of Kafka's own UtilsTest, so that a key leads where every Java client sends it.
func TestMurmur2(t *testing.T) {
	tests := map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	for key, want := range tests {
		t.Run(key, func(t *testing.T) {
			if got := int32(murmur2([]byte(key))); got != want {
				t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
			}
		})
	}
}

func TestPartition(t *testing.T) {
	tests := map[string]struct {
		key  string
		n    int32
		want int32
	}{
		"a negative hash loses its sign":  {key: "21", n: 12, want: (-973932308 & 0x7fffffff) % 12},
		"a positive hash stays as it is":  {key: "abc", n: 12, want: 479470107 % 12},
		"one partition takes everything":  {key: "foobar", n: 1, want: 0},
		"an empty key leads somewhere":    {key: "", n: 7, want: 275646681 % 7},
		"a number of partitions is prime": {key: "foobar", n: 31, want: (-790332482 & 0x7fffffff) % 31},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Partition([]byte(tc.key), tc.n); got != tc.want {
				t.Errorf("Partition(%q, %d) = %d, want %d", tc.key, tc.n, got, tc.want)
			}
		})
	}
}
