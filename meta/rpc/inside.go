package rpc

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Servers of this process, by where they are bound. As with the names of Unix sockets, whoever is found for an address that TCP has reached
// is whom it has reached.
var (
	insideMu sync.Mutex
	insides  = map[netip.AddrPort]*PipeServer{}
)

// serveInside has calls of this process to an address go straight to s.
func serveInside(at netip.AddrPort, s *PipeServer) {
	insideMu.Lock()
	defer insideMu.Unlock()
	insides[at] = s
}

// leaveInside ends it, for new connections.
func leaveInside(at netip.AddrPort) {
	insideMu.Lock()
	defer insideMu.Unlock()
	delete(insides, at)
}

// servedInside returns the server of this process that answers at an address, nil = it is of another one.
func servedInside(remote netip.AddrPort) *PipeServer {
	if !remote.IsValid() {
		return nil
	}
	insideMu.Lock()
	defer insideMu.Unlock()
	for _, at := range boundFor(remote) {
		if s := insides[at]; s != nil {
			return s
		}
	}
	return nil
}

// inside is the way of calls to a server of this process. A brief method runs in the goroutine that calls, so that nobody is woken.
// What Start has sent runs in a goroutine of its own, in its order.
type inside struct {
	s      *PipeServer
	ctx    context.Context // of the calls
	cancel context.CancelFunc
	unlink func() bool // from the end of the server
	done   chan struct{}
	failed atomic.Bool

	mu      sync.Mutex
	err     error
	lane    []*insideCall            // to be run in their order, behind the one that runs
	running atomic.Bool              // a goroutine works the lane off; changes under mu
	told    map[*insideCall]struct{} // that were started and have not ended
}

// openInside connects to a server of this process, which admits and refuses as it does by pipe.
func openInside(s *PipeServer, remote netip.AddrPort, cluster *Cluster) (*inside, error) {
	ctx := metadata.NewIncomingContext(s.ctx, metadata.Pairs(ClusterKey, string(cluster.ID())))
	caller := peer.NewContext(ctx, &peer.Peer{Addr: nearAddr{remote.Addr(), os.Getpid()}})
	if err := (&ServerConfig{Cluster: s.cfg.Cluster, Refused: s.cfg.Refused}).admit(caller, "pipe"); err != nil {
		return nil, fromStatus(toStatus(err))
	}
	w := &inside{s: s, done: make(chan struct{}), told: map[*insideCall]struct{}{}}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.mu.Lock() // it may fail at once
	defer w.mu.Unlock()
	w.unlink = context.AfterFunc(s.ctx, func() { w.fail(errEnded) })
	return w, nil
}

var errEnded = status.Error(codes.Unavailable, "connection lost: the server has ended")

func (w *inside) usable() bool { return !w.failed.Load() }

// takes is true: nothing waits behind a large message.
func (w *inside) takes(proto.Message) bool { return true }

func (w *inside) open(*Conn) {}

func (w *inside) await() {}

// fail ends the calls under way; handlers see the end of their contexts.
func (w *inside) fail(err error) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.err = err
	w.failed.Store(true)
	close(w.done)
	told := w.told
	w.told = nil
	w.unlink()
	w.mu.Unlock()
	w.cancel()
	for c := range told {
		c.abandon(err)
	}
}

func (w *inside) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// begin makes a call, which ends with its answer or when it is abandoned. The server waits for it when it stops.
func (w *inside) begin(method string, in proto.Message, timeout time.Duration) (*insideCall, error) {
	m, ok := w.s.methods[method]
	if !ok {
		return nil, status.Errorf(codes.Unimplemented, "unknown method %s", method)
	}
	if w.failed.Load() {
		if err := w.failure(); err != nil {
			return nil, err
		}
	}
	if timeout <= 0 {
		return nil, status.FromContextError(context.DeadlineExceeded).Err()
	}
	c := &insideCall{w: w}
	c.servedCall = servedCall{Context: w.ctx, s: w.s, by: c, m: m, given: handed(in), deadline: time.Now().Add(timeout)}
	if c.given == nil {
		var err error
		if c.request, err = marshal(takeBuffer(), in); err != nil {
			return nil, status.Error(codes.Internal, "request: "+err.Error())
		}
		c.msg = c.request
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.closed {
		w.failed.Store(true)
		return nil, errStopping
	}
	w.s.wg.Add(1)
	return c, nil
}

// call makes one call and waits for its answer.
func (w *inside) call(ctx context.Context, method string, in, out proto.Message, timeout time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	if err := ctx.Err(); err != nil {
		return notBegun(status.FromContextError(err).Err())
	}
	c, err := w.begin(method, in, timeout)
	if err != nil {
		return notBegun(err)
	}
	switch {
	case !c.m.brief:
		w.s.spawn(c.run)
	case w.s.inside.hangs():
		w.s.spawn(c.run)
	default:
		c.runHere(ctx)
	}
	if err := c.await(ctx); err != nil {
		return err
	}
	err = c.outcome(out)
	if c.body != nil {
		giveBuffer(c.body)
	}
	return err
}

// start makes a call whose answer done is told.
func (w *inside) start(method string, in, out proto.Message, timeout time.Duration, done func(error)) {
	w.started(method, in, out, timeout, done, func(c *insideCall) {
		if c.m.brief {
			w.behind(c)
		} else {
			w.s.spawn(c.run)
		}
	})
}

// startHere is start by who may wait for the handler.
func (w *inside) startHere(method string, in, out proto.Message, timeout time.Duration, done func(error)) {
	w.started(method, in, out, timeout, done, func(c *insideCall) {
		switch {
		case !c.m.brief:
			w.s.spawn(c.run)
		case w.running.Load() || w.s.inside.hangs():
			w.behind(c)
		default:
			c.runHere(context.Background())
		}
	})
}

// started makes a call whose answer done is told, and has run run it.
func (w *inside) started(method string, in, out proto.Message, timeout time.Duration, done func(error), run func(*insideCall)) {
	c, err := w.begin(method, in, timeout)
	if err != nil {
		done(notBegun(err))
		return
	}
	w.s.wg.Add(1) // whoever ends the call ends it for the server as well: it is not to have stopped when the handler begins
	defer w.s.wg.Done()
	c.tell = func(err error) {
		if err == nil {
			err = c.outcome(out)
		}
		done(err)
	}
	w.mu.Lock()
	if err = w.err; err == nil {
		w.told[c] = struct{}{}
		c.timer = time.AfterFunc(timeout, func() { c.abandon(status.FromContextError(context.DeadlineExceeded).Err()) })
	}
	w.mu.Unlock()
	if err != nil {
		c.abandon(err)
		return
	}
	run(c)
}

// behind puts a call that was started into the lane.
func (w *inside) behind(c *insideCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.inLane = true
	w.lane = append(w.lane, c)
	if !w.running.Load() {
		w.running.Store(true)
		w.s.spawn(w.work)
	}
}

// work works the lane off.
func (w *inside) work() {
	for {
		w.mu.Lock()
		if len(w.lane) == 0 {
			w.running.Store(false)
			w.mu.Unlock()
			return
		}
		c := w.lane[0]
		w.lane[0] = nil
		if w.lane = w.lane[1:]; len(w.lane) == 0 {
			w.lane = nil
		}
		w.mu.Unlock()
		if !c.over.Load() && !c.runBrief() {
			return
		}
	}
}

// insideCall is a call within this process.
type insideCall struct {
	servedCall
	w      *inside
	inLane bool
	over   atomic.Bool // it is answered or abandoned

	watched atomic.Bool // its caller runs it, since beat
	beat    uint32

	waiting atomic.Int32  // of a call without tell: whether somebody waits
	replied chan struct{} // of capacity 1, made by who waits
	tell    func(error)
	timer   *time.Timer // of a call with tell

	request []byte
	kind    byte
	body    []byte      // of the answer
	result  handingOver // the answer, in the place of body
}

// What becomes of the answer to a call that its caller takes: most often it is there before anybody waits.
const (
	unanswered = iota
	awaited
	answered
)

// insideBuffers are for messages on their way that are not handed over: nothing is shared by a call and its handler then, which may keep or
// change what they have.
var insideBuffers = sync.Pool{New: func() any { return new([]byte) }}

func takeBuffer() []byte {
	b := insideBuffers.Get().(*[]byte)
	return (*b)[:0]
}

// giveBuffer takes back what nobody looks at any more.
func giveBuffer(b []byte) {
	if cap(b) <= pipeBuffer {
		insideBuffers.Put(&b)
	}
}

// answer implements carrier.
func (c *insideCall) answer(_ *servedCall, resp proto.Message, err error) {
	c.kind = frameReply
	if err == nil {
		if c.result = handed(resp); c.result == nil {
			c.body, err = marshal(takeBuffer(), resp)
		}
	}
	if err != nil {
		c.kind = frameError
		c.body, _ = encodeStatus(nil, err) // of our own making
	}
	if !c.end() {
		return
	}
	if c.tell != nil {
		c.tell(nil)
		return
	}
	if c.waiting.Swap(answered) == awaited {
		c.replied <- struct{}{}
	}
}

// handOver implements carrier.
func (c *insideCall) handOver(*servedCall) {
	if c.inLane {
		c.w.s.spawn(c.w.work)
	}
}

// end is true for whoever ends the call.
func (c *insideCall) end() bool {
	if !c.over.CompareAndSwap(false, true) {
		return false
	}
	c.cancel()
	if c.tell != nil {
		c.w.mu.Lock()
		delete(c.w.told, c)
		if c.timer != nil {
			c.timer.Stop()
		}
		c.w.mu.Unlock()
	}
	c.s.wg.Done()
	return true
}

// abandon ends a call that was started.
func (c *insideCall) abandon(err error) {
	if c.end() {
		c.tell(err)
	}
}

// await waits for the answer, for as long as the handler has left.
func (c *insideCall) await(ctx context.Context) error {
	if c.waiting.Load() == answered {
		return nil
	}
	c.replied = make(chan struct{}, 1)
	if !c.waiting.CompareAndSwap(unanswered, awaited) {
		return nil
	}
	timer := startTimer(time.Until(c.deadline))
	defer stopTimer(timer)
	var err error
	select {
	case <-c.replied:
		return nil
	case <-c.w.done:
		err = c.w.failure()
	case <-ctx.Done():
		err = status.FromContextError(ctx.Err()).Err()
	case <-timer.C:
		err = status.FromContextError(context.DeadlineExceeded).Err()
	}
	if !c.end() {
		<-c.replied
		return nil
	}
	return err
}

// outcome reads the answer.
func (c *insideCall) outcome(out proto.Message) error {
	if c.kind == frameReply {
		if c.result != nil {
			return handOver(c.result, out)
		}
		if err := unmarshal(c.body, out); err != nil {
			return status.Error(codes.Internal, "answer: "+err.Error())
		}
		return nil
	}
	if err := c.w.failure(); err != nil { // the handler was told to end
		return err
	}
	if c.caller != nil && c.caller.Err() != nil { // likewise
		return status.FromContextError(c.caller.Err()).Err()
	}
	if c.s.ctx.Err() != nil { // likewise
		return errEnded
	}
	return decodeStatus(c.body)
}
