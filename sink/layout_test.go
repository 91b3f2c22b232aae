package sink

import "testing"

func TestLayout(t *testing.T) {
	tests := map[string]struct{ got, want string }{
		"sessions":           {testLayout.session("id"), "_logpipe/test_sink/lines/7/sessions/id"},
		"commits":            {testLayout.commit(42), "_logpipe/test_sink/lines/7/commits/00000000000000000042"},
		"start":              {testLayout.start(), "_logpipe/test_sink/lines/7/start.json"},
		"visible file names": {testLayout.finalStem(1, 20), "lines-7-00000000000000000001-00000000000000000020"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %s, want %s", test.got, test.want)
			}
		})
	}
}

func FuzzCommitName(f *testing.F) {
	for _, name := range []string{"00000000000000000042", "42", "", "-0000000000000000001", "+0000000000000000001",
		"99999999999999999999", "0000000000000000004a", "../0000000000000000"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		first, ok := parseCommitName(name)
		if ok && (first < 0 || commitName(first) != name) {
			t.Errorf("%q was read as %d, which is written %q", name, first, commitName(first))
		}
		if !ok && first != 0 {
			t.Errorf("%q was refused with %d", name, first)
		}
	})
}
