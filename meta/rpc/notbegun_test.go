package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"stele/meta/types"
)

func pipedClient(t *testing.T, addr string, id types.ClusterID) grpc_health_v1.HealthClient {
	t.Helper()
	_, h := piped(t, addr, id)
	return h
}

// inPlainWords holds that an error, also below others, says nothing in the words of the protocol: users read it.
func inPlainWords(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	text := fmt.Errorf("write on be 2: %w", err).Error()
	for _, word := range []string{"rpc error", "desc =", "code =", "transport:", "context deadline exceeded"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is in %q", word, text)
		}
	}
}

// TestPlainWords: what an error says is what its sender said, or why nobody could be asked.
func TestPlainWords(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{status.Error(codes.Internal, "tablet 7: input/output error"), "tablet 7: input/output error"},
		{status.FromContextError(context.DeadlineExceeded).Err(), "no answer in time"},
		{status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:9: connect: connection refused"`),
			"connection error: Error while dialing: dial tcp 127.0.0.1:9: connect: connection refused"},
		{status.Error(codes.Unimplemented, ""), "Unimplemented"},
		{notBegun(status.Error(codes.Canceled, "the connection is closing")), "the connection is closing"},
	} {
		got := fromStatus(c.err)
		if got.Error() != c.says || status.Code(got) != status.Code(c.err) || NotBegun(got) != NotBegun(c.err) {
			t.Errorf("%v is %v, %v", c.err, got, status.Code(got))
		}
	}
}

// notBegunBy tells calls of which it is certain that they did nothing from those of which nobody knows, by one way.
func notBegunBy(t *testing.T, dial func(*testing.T, string, types.ClusterID) grpc_health_v1.HealthClient) {
	t.Helper()
	e, addr, stop := servePiped(t, "c1")
	h := dial(t, addr, "c1")
	expect := func(what string, err error, code codes.Code, notBegun bool) {
		t.Helper()
		if status.Code(err) != code || NotBegun(err) != notBegun {
			t.Errorf("%s: %v, not begun: %v", what, err, NotBegun(err))
		}
		inPlainWords(t, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ask(ended, h, "n")
	expect("a call whose caller has gone", err, codes.Canceled, true)
	_, err = ask(t.Context(), dial(t, addr, "c2"), "n")
	expect("a call of another cluster", err, codes.PermissionDenied, true)
	for _, what := range []string{"n", "plain"} {
		if _, err = ask(t.Context(), h, what); NotBegun(err) {
			t.Errorf("the answer to %s: %v", what, err)
		}
		inPlainWords(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	begin := func(ctx context.Context) {
		go func() {
			_, err := ask(ctx, h, "wait")
			failed <- err
		}()
		<-e.waiting
	}
	begin(ctx)
	cancel()
	expect("a call under way whose caller leaves", <-failed, codes.Canceled, false)
	begin(t.Context())
	stop()
	if err := <-failed; err == nil || NotBegun(err) {
		t.Errorf("a call under way whose server ends: %v", err)
	} else {
		inPlainWords(t, err)
	}
	for range 3 {
		_, err = ask(t.Context(), h, "n")
		expect("a call to nobody", err, codes.Unavailable, true)
	}
	if came := e.calls.Load(); came != 4 {
		t.Errorf("%d calls came", came)
	}
}

// TestNotBegun: which calls have certainly done nothing, by gRPC and by pipe.
func TestNotBegun(t *testing.T) {
	t.Run("grpc", func(t *testing.T) { notBegunBy(t, client) })
	t.Run("pipe", func(t *testing.T) { notBegunBy(t, pipedClient) })
}

// TestNearNotBegun is TestNotBegun by the Unix socket and the ducts.
func TestNearNotBegun(t *testing.T) { notBegunBy(t, pipedClient) }

// TestInsideNotBegun is TestNotBegun within the process.
func TestInsideNotBegun(t *testing.T) { notBegunBy(t, pipedClient) }

// TestLostFrames: of the frames on a connection that breaks each is known to be lost that the peer has not read as a whole, but for those that were on
// their way.
func TestLostFrames(t *testing.T) {
	conn, peer := net.Pipe() // which keeps nothing on the way
	var w frameWriter
	w.init(conn)
	const frames, size, read = 20, 1000, 7
	ends := make([]int64, frames)
	for i := range ends {
		var err error
		if ends[i], err = w.post(func(dst []byte) ([]byte, error) { return append(dst, bytes.Repeat([]byte{byte(i)}, size)...), nil }); err != nil {
			t.Fatal(err)
		}
		if w.lost(ends[i]) {
			t.Errorf("frame %d may still be sent", i)
		}
	}
	got := make([]byte, read*(size+4)+size/2)
	for n := 0; n < len(got); {
		k, err := peer.Read(got[n:])
		if n += k; err != nil {
			t.Fatal(err)
		}
	}
	_ = peer.Close()
	w.await()
	for i, end := range ends {
		if w.lost(end) != (i >= read) {
			t.Errorf("frame %d, of %d that were read: lost %v", i, read, w.lost(end))
		}
	}
	if end, err := w.post(func(dst []byte) ([]byte, error) { return append(dst, 1), nil }); err == nil || !w.lost(end) {
		t.Errorf("a frame on a broken connection: %v", err)
	}
}

// cutOff is a connection that breaks in the midst of a write.
type cutOff struct {
	net.Conn
	writes int
}

// Write takes all but the last byte.
func (c *cutOff) Write(b []byte) (int, error) {
	if c.writes++; c.writes > 1 {
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:len(b)-1])
	return n, errors.New("cut off")
}

// TestDirectIsCutOff: a call of which the last byte could not be sent did nothing, and nothing follows it that the peer would take for that byte.
func TestDirectIsCutOff(t *testing.T) {
	e, addr, _ := servePiped(t, "c1")
	c, h := piped(t, addr, "c1")
	goDirect(t, c, h)
	p := c.ready().(*pipeConn)
	p.mu.Lock()
	cut := &cutOff{Conn: p.side.conn}
	p.side.conn = cut
	p.mu.Unlock()
	before := e.calls.Load()
	if _, err := ask(t.Context(), h, "n"); err == nil || !NotBegun(err) {
		t.Errorf("%v", err)
	}
	if cut.writes != 1 || e.calls.Load() != before {
		t.Errorf("%d writes, %d calls came", cut.writes, e.calls.Load()-before)
	}
	if n, err := ask(t.Context(), h, "nnn"); err != nil || n != 3 {
		t.Errorf("the next call: %d, %v", n, err)
	}
}
