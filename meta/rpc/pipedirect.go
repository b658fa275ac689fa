package rpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// direct is a second connection to the peer of a pipe, for one call at a time whose caller reads the answer itself. On the pipe a
// goroutine takes the answers in and wakes who waits for them, which saves system calls when there are many calls; for one call
// alone it is one goroutine to be woken, and often a thread, more than needed. To the server it is another pipe.
//
// It lives no longer than its pipe, which is what watches the peer.
type direct struct {
	p    *pipeConn
	conn net.Conn
	r    *bufio.Reader
	buf  []byte // of requests
	last uint64 // id of the last call
	sent bool   // all of the last call, as far as is known here
}

// directPause is how long calls take the pipe after a direct connection could not be made.
const directPause = time.Second

// direct returns the direct connection for a call that is alone, as those before it were; nil = the call is to take the pipe. The
// connection is made when it is first wanted. It comes back by release.
func (p *pipeConn) direct(ctx context.Context) *direct {
	if _, ok := ctx.Deadline(); ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return nil
	case p.waiting.Load() > 0 || p.sideTaken:
		p.crowd = crowdLasts
		return nil
	case p.crowd > 0:
		p.crowd--
		return nil
	case p.side == nil:
		p.sideTaken = true
		p.owner.wg.Go(p.openDirect) // the pipe has not failed: its receiver is counted in wg
		return nil
	}
	p.sideTaken = true
	return p.side
}

// crowdLasts is how many calls take the pipe after two have met, each of them alone. Calls of several callers are often alone by
// chance, but cost the least when all come the same way: one of four that went beside it made all of them dearer by a tenth. Nor does
// a call overtake what was sent by Start: a read or write that comes before the version it wants is published has to wait.
const crowdLasts = 32

// openDirect makes the direct connection.
func (p *pipeConn) openDirect() {
	conn, r, err := greeted(p.owner.addr, p.owner.cfg)
	if err != nil {
		select {
		case <-time.After(directPause):
		case <-p.done:
		}
		p.release(nil)
		return
	}
	p.release(&direct{p: p, conn: conn, r: r})
}

// greeted connects to a peer that knows pipes.
func greeted(addr string, cfg DialConfig) (net.Conn, *bufio.Reader, error) {
	conn, err := connect(context.Background(), addr)
	if err != nil {
		return nil, nil, err
	}
	conn, err = greet(conn, cfg.Cluster)
	if err == nil && conn == nil {
		err = errors.New("the peer knows no pipes")
	}
	if err != nil {
		return nil, nil, err
	}
	return conn, bufio.NewReaderSize(conn, directBuffer), nil
}

// directBuffer is enough for the answers of small statements; larger ones are read past it.
const directBuffer = 4 << 10

// release takes the direct connection back; nil = it is no more.
func (p *pipeConn) release(d *direct) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d != nil && p.err != nil {
		_ = d.conn.Close() // it may be closed already
		d = nil
	}
	p.side, p.sideTaken = d, false
}

// call makes one call and reads its answer.
func (d *direct) call(ctx context.Context, method string, in, out proto.Message, timeout time.Duration) error {
	if err := d.build(method, in, timeout); err != nil {
		d.p.release(d)
		return notBegun(status.Error(codes.Unavailable, "send: "+err.Error()))
	}
	d.sent = false
	f, err := d.exchange(ctx, timeout)
	if err == nil {
		err = d.p.outcome(f, out)
		d.p.release(d)
		return err
	}
	// What still comes on this connection belongs to a call that nobody waits for.
	if d.sent { // else the peer would take what follows for the rest of the call
		d.forget()
	}
	_ = d.conn.Close() // its end is no news
	err = d.failed(ctx, err)
	if !d.sent {
		err = notBegun(err)
	}
	d.p.release(nil)
	return err
}

// failed is what the caller is told of a call that has failed on the way.
func (d *direct) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return status.FromContextError(context.DeadlineExceeded).Err()
	}
	d.p.fail(status.Error(codes.Unavailable, "connection lost: "+err.Error())) // the peer has ended, or is about to be found so
	_, err = d.p.answered(frame{})
	return err
}

// build makes the frame of the next call.
func (d *direct) build(method string, in proto.Message, timeout time.Duration) error {
	d.last++
	if cap(d.buf) > pipeBuffer {
		d.buf = nil
	}
	out, err := appendCall(append(d.buf[:0], 0, 0, 0, 0), d.last, method, in, timeout)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(out, uint32(len(out)-4))
	d.buf = out
	return nil
}

// exchange sends a call and reads the frame that answers it, which is valid until the next call. After an error the connection is
// of no use any more.
func (d *direct) exchange(ctx context.Context, timeout time.Duration) (frame, error) {
	if err := d.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return frame{}, err
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = d.conn.SetDeadline(past) }) // fails on a closed connection, which is of no use either
	}
	f, err := d.roundTrip()
	if !stop() { // its deadline may hit the next call
		err = errors.Join(err, ctx.Err())
	}
	return f, err
}

// past is a deadline that has expired.
var past = time.Unix(1, 0)

func (d *direct) roundTrip() (frame, error) {
	if _, err := d.conn.Write(d.buf); err != nil {
		return frame{}, err
	}
	d.sent = true
	f, err := readFrame(d.r)
	if err == nil && f.id != d.last {
		err = fmt.Errorf("%w: answer to call %d, not %d", errFrame, f.id, d.last)
	}
	return f, err
}

// forget tells the peer that nobody waits for the last call.
func (d *direct) forget() {
	b := appendHead([]byte{0, 0, 0, 0}, frameCancel, d.last)
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	if err := d.conn.SetWriteDeadline(time.Now().Add(forgetTimeout)); err == nil {
		_, _ = d.conn.Write(b) // fails if the connection does, and then the peer knows
	}
}

// forgetTimeout is how long a call that has ended may take to say so.
const forgetTimeout = 100 * time.Millisecond
