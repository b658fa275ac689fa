package web

import (
	"database/sql"
	"encoding/json"
	"testing"
)

// Numbers are numbers, unless a browser would round them.
func TestValue(t *testing.T) {
	for _, c := range []struct{ text, kind, want string }{
		{"42", "bigint", "42"}, {"-42", "int", "-42"}, {"3014451551068808380", "bigint", `"3014451551068808380"`}, {"7", "unsigned bigint", "7"},
		{"0.5", "double", "0.5"}, {"1e300", "double", "1e300"}, {"007", "int", `"007"`}, {"42", "varchar", `"42"`}, {"", "varchar", `""`},
		{"1.50", "decimal", `"1.50"`}, {"a\xff", "varchar", `"a\ufffd"`}, {"<b>", "varchar", `"\u003cb\u003e"`},
	} {
		got, err := json.Marshal(value(sql.RawBytes(c.text), c.kind))
		if err != nil || string(got) != c.want && string(got) != `"a`+"\uFFFD"+`"` {
			t.Errorf("%q of %s: %s, %v, want %s", c.text, c.kind, got, err, c.want)
		}
	}
	if v := value(nil, "int"); v != nil {
		t.Errorf("NULL is %v", v)
	}
}

// Whoever has a name of his own lead here must say who he is.
func TestByAddress(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1:8030": true, "127.0.0.1": true, "[::1]:8030": true, "[::1]": true, "localhost:8030": true, "LOCALHOST": true,
		"db.example:8030": false, "127.0.0.1.example": false, "": false} {
		if byAddress(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}
