package rpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	spb "google.golang.org/genproto/googleapis/rpc/status"
)

const (
	// maxPiped is the largest message that takes the pipe: larger ones would hold up the small ones behind them.
	maxPiped = 256 << 10
	// pipePause is how long calls fail at once after a failed attempt to connect.
	pipePause = 50 * time.Millisecond
	// noPipePause is how long a peer that does not know pipes is called by gRPC alone.
	noPipePause = 10 * time.Second
)

// Conn is a gRPC connection whose frequent small calls take a pipe beside it, or go straight to the handler if the peer is of this
// process. It implements grpc.ClientConnInterface. A peer that knows no pipes gets everything by gRPC.
type Conn struct {
	*grpc.ClientConn
	cfg   DialConfig
	addr  string
	piped map[string]bool

	mu      sync.Mutex
	way     way
	dialing *pipeDial
	pause   time.Time // until then no attempt is made
	err     error     // of the last attempt; nil during a pause: the peer knows no pipes
	closed  bool
	wg      sync.WaitGroup
}

// way carries small calls to a peer until it fails.
type way interface {
	call(ctx context.Context, method string, in, out proto.Message, timeout time.Duration) error
	// start is call without a goroutine that waits: done is told.
	start(method string, in, out proto.Message, timeout time.Duration, done func(error))
	// takes is false for a message that is to go by gRPC.
	takes(in proto.Message) bool
	usable() bool
	// open does what is to be done before the first call. c's lock is held.
	open(c *Conn)
	// fail ends the way and every call on it.
	fail(err error)
	// await returns when nothing of a way that has failed goes on.
	await()
}

// pipeDial is an attempt to connect that several calls wait for.
type pipeDial struct {
	done chan struct{}
	way  way // nil without err: the peer knows no pipes
	err  error
}

// DialPiped is Dial with a pipe for the named methods.
func DialPiped(addr string, cfg DialConfig, methods ...string) (*Conn, error) {
	conn, err := Dial(addr, cfg)
	if err != nil {
		return nil, err
	}
	c := &Conn{ClientConn: conn, cfg: cfg, addr: addr, piped: map[string]bool{}}
	if c.cfg.Timeout == 0 {
		c.cfg.Timeout = DefaultTimeout
	}
	if cfg.TLS == nil { // pipes are clear text
		for _, m := range methods {
			c.piped[m] = true
		}
	}
	return c, nil
}

// Invoke makes a unary call.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, timeout := c.plain(ctx)
	in, ok := args.(proto.Message)
	out, ok2 := reply.(proto.Message)
	if !c.piped[method] || !ok || !ok2 || len(opts) > 1 || // generated code gives StaticMethod
		c.cfg.Cluster.ID() == "" {
		return c.unpiped(ctx, timeout, method, args, reply, opts...)
	}
	w, err := c.wayFor(ctx, in)
	if err != nil {
		return notBegun(fromStatus(err))
	}
	if w == nil {
		return c.unpiped(ctx, timeout, method, args, reply, opts...)
	}
	return fromStatus(w.call(ctx, method, in, out, timeout))
}

// wayFor returns the way of a call, nil = gRPC. It connects for small ones.
func (c *Conn) wayFor(ctx context.Context, in proto.Message) (way, error) {
	w := c.ready()
	switch {
	case w != nil && w.takes(in):
		return w, nil
	case w != nil || tooLarge(in):
		return nil, nil
	}
	return c.connected(ctx)
}

// unpiped makes a call by gRPC.
func (c *Conn) unpiped(ctx context.Context, timeout time.Duration, method string, args, reply any, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return c.ClientConn.Invoke(ctx, method, args, reply, opts...)
}

// ResetConnectBackoff makes the next call connect at once.
func (c *Conn) ResetConnectBackoff() {
	c.ClientConn.ResetConnectBackoff()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause = time.Time{}
}

// Close ends the calls under way and both connections.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	w := c.way
	c.mu.Unlock()
	if w != nil {
		w.fail(status.Error(codes.Canceled, "the connection is closing"))
	}
	err := c.ClientConn.Close()
	c.wg.Wait()
	if w != nil {
		w.await()
	}
	return err
}

// connected returns the way to the peer, nil when it knows no pipes.
func (c *Conn) connected(ctx context.Context) (way, error) {
	c.mu.Lock()
	if c.way != nil && c.way.usable() {
		defer c.mu.Unlock()
		return c.way, nil
	}
	if c.closed {
		c.mu.Unlock()
		return nil, status.Error(codes.Canceled, "the connection is closing")
	}
	if time.Now().Before(c.pause) {
		defer c.mu.Unlock()
		return nil, c.err
	}
	if c.dialing == nil {
		d := &pipeDial{done: make(chan struct{})}
		c.dialing = d
		c.wg.Go(func() { c.dial(d) })
	}
	d := c.dialing
	c.mu.Unlock()
	select {
	case <-d.done:
		return d.way, d.err
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// dial connects for all who wait for d.
func (c *Conn) dial(d *pipeDial) {
	d.way, d.err = openWay(c.addr, c.cfg)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialing = nil
	c.err = d.err
	switch {
	case d.err != nil:
		c.pause = time.Now().Add(pipePause)
	case d.way == nil:
		c.pause = time.Now().Add(noPipePause)
	case c.closed:
		d.way.fail(status.Error(codes.Canceled, "the connection is closing"))
		fallthrough
	default:
		c.way = d.way
		d.way.open(c)
	}
	close(d.done)
}

// openWay connects and says which cluster this process belongs to.
func openWay(addr string, cfg DialConfig) (way, error) {
	conn, remote, err := reach(context.Background(), addr)
	if err != nil {
		return nil, status.Error(codes.Unavailable, "connect: "+err.Error())
	}
	if s := servedInside(remote); s != nil {
		_ = conn.Close() // nothing was said on it
		w, err := openInside(s, remote, cfg.Cluster)
		if err != nil {
			cfg.tell(addr, "pipe", err)
			return nil, err
		}
		return w, nil
	}
	conn, err = greet(nearer(context.Background(), conn, remote), cfg.Cluster)
	if err != nil || conn == nil {
		cfg.tell(addr, "pipe", err)
		return nil, err
	}
	b := newBatch(cfg.Outbox, conn)
	p := &pipeConn{conn: conn, r: bufio.NewReaderSize(b, pipeBuffer), batch: b, calls: map[uint64]*pipeCall{},
		done: make(chan struct{})}
	p.outbox = cfg.Outbox
	p.w.init(conn)
	p.hear(time.Now())
	return p, nil
}

// pipesBegan is what times of pipes are counted from, by the clock that nobody sets.
var pipesBegan = time.Now()

// hear notes that something has come.
func (p *pipeConn) hear(now time.Time) { p.heard.Store(int64(now.Sub(pipesBegan))) }

// silent reports whether nothing has come for too long.
func (p *pipeConn) silent(now time.Time) bool {
	return now.Sub(pipesBegan)-time.Duration(p.heard.Load()) > pipeSilence
}

// pipeConn is one connected pipe.
type pipeConn struct {
	conn    net.Conn
	w       frameWriter
	outbox  *Outbox // nil = none
	r       *bufio.Reader
	batch   *batch
	heard   atomic.Int64 // when something came last, since pipesBegan
	waiting atomic.Int32 // calls whose callers wait
	owner   *Conn
	broken  atomic.Bool
	done    chan struct{} // closed when broken

	mu        sync.Mutex
	next      uint64
	calls     map[uint64]*pipeCall
	err       error
	side      *direct // nil = there is none yet
	sideTaken bool    // by a call, or by who makes it
	crowd     int     // so many calls more take the pipe
}

// pipeCall waits for its answer: for done, or take is called with it.
type pipeCall struct {
	done chan frame  // of capacity 1
	take func(frame) // nil = done

	mu    sync.Mutex
	timer *time.Timer // of a call with take
}

// answer hands an answer over.
func (c *pipeCall) answer(f frame) {
	if c.take != nil {
		c.take(f)
		return
	}
	f.body, f.shared = f.own(f.body), false
	c.done <- f
}

var pipeCalls = sync.Pool{New: func() any { return &pipeCall{done: make(chan frame, 1)} }}

func (p *pipeConn) usable() bool { return !p.broken.Load() }

func (p *pipeConn) takes(in proto.Message) bool { return !tooLarge(in) }

func (p *pipeConn) open(c *Conn) {
	p.owner = c
	c.wg.Go(p.receive)
	c.wg.Go(p.watch)
}

func (p *pipeConn) await() { p.w.await() }

// call makes one call and waits for its answer.
func (p *pipeConn) call(ctx context.Context, method string, in, out proto.Message, timeout time.Duration) error {
	if d := p.direct(ctx); d != nil {
		return d.call(ctx, method, in, out, timeout)
	}
	return p.shared(ctx, method, in, out, timeout)
}

// shared makes a call beside others.
func (p *pipeConn) shared(ctx context.Context, method string, in, out proto.Message, timeout time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	if timeout <= 0 {
		return notBegun(status.FromContextError(context.DeadlineExceeded).Err())
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	c := pipeCalls.Get().(*pipeCall)
	id, err := p.register(c)
	if err != nil {
		return notBegun(err)
	}
	// Not send: the caller heeds ctx, also while a peer that hangs leaves what it was sent.
	end, err := p.w.post(func(dst []byte) ([]byte, error) { return appendCall(dst, id, method, in, timeout) })
	if err != nil && p.forget(id) {
		pipeCalls.Put(c)
		return p.ended(p.unsent(err), end)
	}
	f, err := p.awaitAnswer(ctx, id, c, timeout)
	if err != nil {
		return p.ended(err, end)
	}
	pipeCalls.Put(c)
	return p.outcome(f, out)
}

// ended is the error of a call without an answer, whose frame ends there.
func (p *pipeConn) ended(err error, end int64) error {
	if p.w.lost(end) {
		return notBegun(err)
	}
	return err
}

// unsent returns what the caller is told of a call that could not be sent. If that is because of the pipe the next call has another one; the
// receiver of this one ends the calls on it, whose callers want to be told by no caller of another.
func (p *pipeConn) unsent(err error) error {
	if p.w.failed() {
		p.broken.Store(true)
		if !errors.Is(err, syscall.EPIPE) { // else the receiver comes to the end by itself, behind the last answers
			_ = p.conn.Close() // the receiver learns it
		}
	}
	return status.Error(codes.Unavailable, "send: "+err.Error())
}

// appendCall appends a call.
func appendCall(dst []byte, id uint64, method string, in proto.Message, timeout time.Duration) ([]byte, error) {
	dst = appendHead(dst, frameCall, id)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(min(timeout.Milliseconds()+1, 1<<31)))
	dst = append(append(dst, byte(len(method))), method...)
	return marshal(dst, in)
}

func (p *pipeConn) register(c *pipeCall) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	if c.take != nil {
		p.crowd = crowdLasts // what is called next is not to overtake it
	}
	p.next++
	p.calls[p.next] = c
	return p.next, nil
}

// forget is false when the answer has been handed over already.
func (p *pipeConn) forget(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waiting := p.calls[id]
	delete(p.calls, id)
	return waiting
}

// awaitAnswer waits for the answer to a call. A call that ends before its answer is cancelled at the peer.
func (p *pipeConn) awaitAnswer(ctx context.Context, id uint64, c *pipeCall, timeout time.Duration) (frame, error) {
	var late <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		timer := startTimer(timeout)
		defer stopTimer(timer)
		late = timer.C
	}
	err := error(context.DeadlineExceeded)
	select {
	case f := <-c.done:
		return p.answered(f)
	case <-ctx.Done():
		err = ctx.Err()
	case <-late:
	}
	if !p.forget(id) {
		return p.answered(<-c.done)
	}
	p.cancel(id)
	return frame{}, status.FromContextError(err).Err()
}

// cancel tells the peer that nobody waits for a call any more.
func (p *pipeConn) cancel(id uint64) {
	_, _ = p.w.post(func(dst []byte) ([]byte, error) { return appendHead(dst, frameCancel, id), nil }) // fails on a broken pipe only
}

// answered tells an answer from the end of the pipe.
func (p *pipeConn) answered(f frame) (frame, error) {
	if f.kind != 0 {
		return f, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return f, p.err
}

// receive hands out answers until the pipe breaks.
func (p *pipeConn) receive() {
	defer p.batch.end()
	for {
		f, err := readFrame(p.r)
		p.batch.begin()
		if err != nil {
			p.fail(status.Error(codes.Unavailable, "connection lost: "+err.Error()))
			return
		}
		p.hear(time.Now())
		p.mu.Lock()
		c := p.calls[f.id]
		delete(p.calls, f.id)
		p.mu.Unlock()
		if c != nil && f.kind != framePing {
			c.answer(f)
		}
	}
}

// watch breaks a pipe whose peer says nothing any more.
func (p *pipeConn) watch() {
	tick := time.NewTicker(pipePing)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		if p.silent(time.Now()) {
			p.fail(status.Error(codes.Unavailable, "the peer is silent"))
			return
		}
		if err := p.w.send(func(dst []byte) ([]byte, error) { return appendHead(dst, framePing, 0), nil }); err != nil {
			p.fail(status.Error(codes.Unavailable, "ping: "+err.Error()))
		}
	}
}

// fail ends the pipe and every call on it.
func (p *pipeConn) fail(err error) {
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return
	}
	p.err = err
	p.broken.Store(true)
	close(p.done)
	p.w.fail(err)
	_ = p.conn.Close() // whoever reads or writes learns it
	if p.side != nil {
		_ = p.side.conn.Close() // likewise
	}
	calls := p.calls
	p.calls = map[uint64]*pipeCall{}
	p.mu.Unlock()
	for _, c := range calls {
		c.answer(frame{})
	}
}

func encodeStatus(dst []byte, err error) ([]byte, error) {
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, st.Proto())
}

func decodeStatus(b []byte) error {
	var s spb.Status
	if err := proto.Unmarshal(b, &s); err != nil {
		return status.Error(codes.Internal, fmt.Sprintf("status of an answer: %v", err))
	}
	return status.FromProto(&s).Err()
}
