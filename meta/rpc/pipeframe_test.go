package rpc

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// TestPostDoesNotWait: a peer that takes nothing holds up nobody who posts; what was posted arrives whole and in order once
// it reads, and the sender ends with the connection.
func TestPostDoesNotWait(t *testing.T) {
	postAndRead(t, func() (net.Conn, net.Conn) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return conn, peer
	})
}

// postAndRead posts to a peer that reads late, and to one that does not read.
func postAndRead(t *testing.T, connected func() (conn, peer net.Conn)) {
	t.Helper()
	for _, reads := range []bool{true, false} {
		conn, peer := connected()
		var w frameWriter
		w.init(conn)
		const frames, size = 80, 100 << 10
		want := make([]byte, 0, frames*(size+4))
		began := time.Now()
		for i := range frames {
			if _, err := w.post(func(dst []byte) ([]byte, error) { return append(dst, bytes.Repeat([]byte{byte(i)}, size)...), nil }); err != nil {
				t.Fatal(err)
			}
			want = append(append(want, 0, 0x90, 1, 0), bytes.Repeat([]byte{byte(i)}, size)...)
		}
		if took := time.Since(began); took > pipeWriteMax {
			t.Fatalf("posting to a peer that does not read took %v", took)
		}
		if reads {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("other bytes arrived, %v", err)
			}
		}
		_ = conn.Close()
		w.await()
		_ = peer.Close()
	}
}
