package record

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAppendEnvelope(t *testing.T) {
	tests := map[string]struct {
		fields  []Field
		message string
		want    string
	}{
		"no fields": {
			message: "hello",
			want:    `{"message":"hello"}`,
		},
		"fields in their order": {
			fields:  []Field{{FieldNode, []byte("n1")}, {FieldFile, []byte("/a b")}, {"nodeLabel:zone", nil}},
			message: "hello",
			want:    `{"node":"n1","file":"/a b","nodeLabel:zone":"","message":"hello"}`,
		},
		"quotes, backslashes and control characters": {
			fields:  []Field{{`a"b`, []byte(`c\d`)}},
			message: "tab\there\r\n\x00\x1f\x7f",
			want:    `{"a\"b":"c\\d","message":"tab\there\r\n\u0000\u001f` + "\x7f" + `"}`,
		},
		"characters of several bytes, U+FFFD among them": {
			message: "Größe 日本 😀 \ufffd",
			want:    `{"message":"Größe 日本 😀 ` + "\ufffd" + `"}`,
		},
		"bytes that are not UTF-8": {
			message: "a\xffb\xe6\x97 \xed\xa0\x80\xf0\x9f\x98",
			want: `{"message":"a\ufffdb\ufffd\ufffd \ufffd\ufffd\ufffd` +
				`\ufffd\ufffd\ufffd"}`,
		},
		"a message that looks like an envelope": {
			message: `"},"message":"x"`,
			want:    `{"message":"\"},\"message\":\"x\""}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := string(AppendEnvelope([]byte("before"), tc.fields, []byte(tc.message)))
			if got != "before"+tc.want {
				t.Errorf("got  %s\nwant before%s", got, tc.want)
			}
		})
	}
}

func FuzzAppendEnvelope(f *testing.F) {
	f.Add("file", []byte("/var/log/a.log"), []byte("line\x00\xff\u2028\"\\"))
	f.Fuzz(func(t *testing.T, name string, value, message []byte) {
		data := AppendEnvelope(nil, []Field{{Name: "f" + name, Value: value}}, message)
		var got map[string]string
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		for field, want := range map[string]string{"f" + name: string(value), FieldMessage: string(message)} {
			// Conversion to runes replaces each byte that is not UTF-8, as the envelope does.
			field, want = string([]rune(field)), string([]rune(want))
			if got[field] != want {
				t.Errorf("field %q is %q, want %q", field, got[field], want)
			}
		}
	})
}

func TestAppendEnvelopeDoesNotAllocate(t *testing.T) {
	fields := []Field{{FieldNode, []byte("n1")}, {FieldOffset, []byte("123456")}}
	message := []byte(strings.Repeat("Größe \"日本\" \xff ", 20))
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { AppendEnvelope(dst, fields, message) }); n > 0 {
		t.Errorf("%v allocations per envelope, want 0", n)
	}
}

func BenchmarkAppendEnvelope(b *testing.B) {
	fields := []Field{
		{FieldFile, []byte("/var/log/pods/shop_cart-7d9f_0b1c/cart/0.log")}, {FieldNode, []byte("node-17")},
		{FieldNamespace, []byte("shop")}, {FieldPod, []byte("cart-7d9f")}, {FieldOffset, []byte("123456789")},
	}
	message := []byte(strings.Repeat(`GET /cart?id=17 HTTP/1.1" 200 `, 7))
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = AppendEnvelope(dst[:0], fields, message)
	}
}
