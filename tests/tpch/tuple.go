package tpch

import (
	"fmt"
	"strconv"
)

// tuple builds one SQL tuple. Texts hold no character that SQL would need escaped.
type tuple struct{ b []byte }

func (t *tuple) reset() *tuple { t.b = append(t.b[:0], '('); return t }

func (t *tuple) comma() {
	if len(t.b) > 1 {
		t.b = append(t.b, ',')
	}
}

func (t *tuple) int(n int) *tuple {
	t.comma()
	t.b = strconv.AppendInt(t.b, int64(n), 10)
	return t
}

// money appends cents as an amount.
func (t *tuple) money(cents int64) *tuple {
	t.comma()
	if cents < 0 {
		t.b = append(t.b, '-')
		cents = -cents
	}
	t.b = strconv.AppendInt(t.b, cents/100, 10)
	t.b = append(t.b, '.', byte('0'+cents/10%10), byte('0'+cents%10))
	return t
}

func (t *tuple) quoted(append1 func(b []byte) []byte) *tuple {
	t.comma()
	t.b = append(append1(append(t.b, '\'')), '\'')
	return t
}

func (t *tuple) string(s string) *tuple {
	return t.quoted(func(b []byte) []byte { return append(b, s...) })
}

func (t *tuple) format(format string, args ...any) *tuple {
	return t.quoted(func(b []byte) []byte { return fmt.Appendf(b, format, args...) })
}

func (t *tuple) text(r *random, low, high int) *tuple {
	return t.quoted(func(b []byte) []byte { return r.text(b, low, high) })
}

func (t *tuple) scribble(r *random, low, high int) *tuple {
	return t.quoted(func(b []byte) []byte { return r.scribble(b, low, high) })
}

func (t *tuple) date(d Day) *tuple { return t.string(d.String()) }

func (t *tuple) phone(r *random, nation int) *tuple {
	return t.format("%d-%d-%d-%d", nation+10, r.between(100, 999), r.between(100, 999), r.between(1000, 9999))
}

func (t *tuple) done() []byte { t.b = append(t.b, ')'); return t.b }
