package tail

import (
	"testing"
)

func TestRotationOf(t *testing.T) {
	for name, test := range map[string]struct {
		live, name string
		want       rotation
		wantNot    bool
	}{
		"logrotate":                       {live: "app.log", name: "app.log.1", want: "1"},
		"logrotate, compressed":           {live: "app.log", name: "app.log.12.gz", want: "12"},
		"logrotate with dateext":          {live: "app.log", name: "app.log-20260131.gz", want: "20260131"},
		"the kubelet":                     {live: "0.log", name: "0.log.20260131-120000", want: "20260131-120000"},
		"lumberjack":                      {live: "a.log", name: "a-2026-01-31T12-00-00.log", want: "2026-01-31T12-00-00"},
		"logback":                         {live: "a.log", name: "a.2026-01-31.log.gz", want: "2026-01-31"},
		"an old one":                      {live: "a.log", name: "a.log.old", want: "old"},
		"compressed in place":             {live: "a.log", name: "a.log.gz", want: ""},
		"itself":                          {live: "a.log", name: "a.log", wantNot: true},
		"another instance":                {live: "app.log", name: "app-1.log", wantNot: true},
		"another file with a longer name": {live: "app.log", name: "app.log.txt", wantNot: true},
		"another program":                 {live: "app.log", name: "app-error.log", wantNot: true},
		"a temporary file":                {live: "0.log", name: "0.log.20260131-120000.tmp", wantNot: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := rotationOf(test.live, test.name)
			if got != test.want && ok || ok == test.wantNot {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

func TestRotationsFromOldToNew(t *testing.T) {
	for name, order := range map[string][]rotation{
		"counted":            {"10", "9", "2", "1"},
		"dates":              {"20251231", "20260101", "20260201"},
		"dates with numbers": {"2026-01-01-1", "2026-01-01-2", "2026-01-01-10", "2026-01-02-1"},
		"the kubelet":        {"20251231-235959", "20260101-000000", "20260101-000001"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range order {
				for j := range order {
					if got := order[i].older(order[j]); got != (i < j) {
						t.Errorf("%q older than %q: %v", order[i], order[j], got)
					}
				}
			}
		})
	}
}
