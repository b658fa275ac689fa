package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-mysql-org/go-mysql/mysql"
	"pgregory.net/rapid"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// TestPacketsSurviveTheWire writes payloads and reads them back, plain and compressed, in pieces of any size.
func TestPacketsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		compressed := rapid.Bool().Draw(t, "compressed")
		var wire bytes.Buffer
		w := packetWriter{out: func(b []byte) error { _, err := wire.Write(b); return err }}
		if compressed {
			w.comp = &frameWriter{}
		}
		var payloads [][]byte
		for range rapid.IntRange(1, 20).Draw(t, "packets") {
			unit := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "unit")
			p := bytes.Repeat(unit, rapid.IntRange(1, 2000).Draw(t, "repeat"))
			payloads = append(payloads, p)
			w.begin()
			w.buf = append(w.buf, "dropped"...)
			w.cancel()
			w.begin()
			w.buf = append(w.buf, p...)
			if err := w.end(); err != nil {
				t.Fatal(err)
			}
			if len(w.buf) >= flushBytes+len(p)+4 {
				t.Fatalf("%d bytes gathered", len(w.buf))
			}
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		raw := bufio.NewReader(iotest.OneByteReader(&wire))
		r := packetReader{raw: raw, src: raw}
		if compressed {
			r.comp = &frameReader{raw: raw}
			r.src = r.comp
		}
		for i, want := range payloads {
			limit := rapid.SampledFrom([]int{len(want), len(want) - 1}).Draw(t, "limit")
			narrow, next := func() {}, r.next
			if rapid.Bool().Draw(t, "in place") {
				narrow, next = r.widen(rapid.SampledFrom([]int{16, 4096}).Draw(t, "buffer")), r.nextInPlace
			}
			got, err := next(limit)
			if limit < len(want) {
				if !errors.Is(err, errPacketTooLarge) || r.skip() != nil {
					t.Fatalf("packet %d beyond the limit: %v", i, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("packet %d of %d bytes: got %d, %v", i, len(want), len(got), err)
			}
			narrow()
		}
		if _, err := r.next(1); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %v", err)
		}
	})
}

func TestLongPayloadIsSplit(t *testing.T) {
	for _, n := range []int{payloadMax - 1, payloadMax, payloadMax + 1, 2 * payloadMax} {
		var wire bytes.Buffer
		w := packetWriter{out: func(b []byte) error { _, err := wire.Write(b); return err }}
		w.begin()
		w.buf = append(w.buf, make([]byte, n)...)
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		if want := n + 4*(n/payloadMax+1); wire.Len() != want {
			t.Errorf("%d bytes take %d on the wire, want %d", n, wire.Len(), want)
		}
		raw := bufio.NewReader(&wire)
		r := packetReader{raw: raw, src: raw}
		if got, err := r.next(n); err != nil || len(got) != n {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
}

func TestWriterStaysBroken(t *testing.T) {
	broken := errors.New("broken pipe")
	w := packetWriter{out: func([]byte) error { return broken }}
	for range 2 { // a packet behind a torn one would be taken for its rest
		w.begin()
		_ = w.end() // gathered only
		if err := w.flush(); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	w.out = func([]byte) error { return nil }
	if err := w.flush(); !errors.Is(err, broken) {
		t.Errorf("mended itself: %v", err)
	}
}

func TestLenInt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n") >> rapid.IntRange(0, 63).Draw(t, "shift")
		c := cursor{b: appendLenInt(nil, n)}
		if got := c.lenInt(); got != n || c.bad || len(c.b) != 0 {
			t.Fatalf("%d: got %d, bad %v", n, got, c.bad)
		}
	})
}

func FuzzCompressedStream(f *testing.F) {
	w := frameWriter{}
	f.Add(bytes.Clone(w.wrap([]byte("\x05\x00\x00\x00hello"))))
	f.Add(bytes.Clone(w.wrap(append([]byte{100, 0, 0, 0}, make([]byte, 100)...))))
	f.Add([]byte{3, 0, 0, 0, 9, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := bufio.NewReader(bytes.NewReader(b))
		comp := &frameReader{raw: raw}
		r := packetReader{raw: raw, src: comp, comp: comp}
		for {
			p, err := r.next(1 << 16)
			if err != nil {
				return
			}
			if len(p) > 1<<16 {
				t.Fatalf("%d bytes beyond the limit", len(p))
			}
		}
	})
}

// TestStatesAreMySQLs compares the SQLSTATEs of package errno with the library's, which knows the older numbers.
func TestStatesAreMySQLs(t *testing.T) {
	ours := map[uint16]string{
		errno.OutcomeUnknown: "08007", // "transaction resolution unknown" says what MySQL's HY000 does not
	}
	for _, e := range errno.All() {
		want, known := mysql.MySQLState[e.Number]
		if other, differs := ours[e.Number]; differs {
			want = other
		} else if !known {
			continue
		}
		if e.State != want {
			t.Errorf("%d has SQLSTATE %s, want %s", e.Number, e.State, want)
		}
	}
}

func TestExplain(t *testing.T) {
	killed, stop := context.WithCancelCause(context.Background())
	stop(errKilled)
	cases := []struct {
		ctx   context.Context
		err   error
		code  uint16
		state string
	}{
		{context.Background(), sqltypes.Errorf(1062, "dup"), 1062, "23000"},
		{context.Background(), fmt.Errorf("insert: %w", sqltypes.Errorf(1146, "gone")), 1146, "42S02"},
		{context.Background(), clientErrorf(1045, "no"), 1045, "28000"},
		{context.Background(), errors.New("disk on fire"), 1105, "HY000"},
		{context.Background(), context.DeadlineExceeded, 3024, "HY000"},
		{context.Background(), context.Canceled, 1317, "70100"},
		{killed, errors.New("rpc: canceled"), 1317, "70100"},
		{killed, sqltypes.Errorf(1062, "dup"), 1062, "23000"},
	}
	for _, c := range cases {
		if code, state, _ := explain(c.ctx, c.err); code != c.code || state != c.state {
			t.Errorf("%v: got %d %s, want %d %s", c.err, code, state, c.code, c.state)
		}
	}
	_, _, msg := explain(context.Background(), errors.New(strings.Repeat("ä", errorTextMax)))
	if len(msg) > errorTextMax || !utf8.ValidString(msg) {
		t.Errorf("text of %d bytes, valid %v", len(msg), utf8.ValidString(msg))
	}
}
