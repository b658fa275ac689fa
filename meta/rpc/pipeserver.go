package rpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// sniffTimeout is how long a new connection may take to say what it is.
const sniffTimeout = 5 * time.Second

// PipeServer serves the unary methods of services over pipes. It implements grpc.ServiceRegistrar.
type PipeServer struct {
	cfg     ServerConfig
	methods map[string]pipeMethod
	brief   map[string]bool
	outbox  *Outbox

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup // connections, and what they run
	idle chan func()    // taken by goroutines that have run something and wait for more
	rest atomic.Int64   // how many these are

	inside insideWatch

	mu     sync.Mutex
	conns  map[*pipePeer]struct{}
	closed bool
	ended  chan struct{} // closed by Stop
}

type pipeMethod struct {
	name    string
	impl    any
	handler grpc.MethodHandler
	brief   bool
}

// NewPipeServer returns a server that admits whom a gRPC server with this configuration admits, but no fresh node.
func NewPipeServer(cfg ServerConfig) *PipeServer {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Outbox == nil {
		cfg.Outbox = &Outbox{}
	}
	ctx, stop := context.WithCancel(context.Background())
	return &PipeServer{cfg: cfg, methods: map[string]pipeMethod{}, outbox: cfg.Outbox, conns: map[*pipePeer]struct{}{}, ctx: ctx, stop: stop,
		idle: make(chan func()), ended: make(chan struct{})}
}

// RegisterService adds the unary methods of a service. It comes before Listen.
func (s *PipeServer) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		name := "/" + desc.ServiceName + "/" + m.MethodName
		s.methods[name] = pipeMethod{name, impl, m.Handler, s.brief[name]}
	}
}

// Brief names methods that run in the goroutine which reads the pipe: nothing else of it is read until they are done, or say
// by Waits that they may take their time. It comes before RegisterService.
func (s *PipeServer) Brief(methods ...string) {
	s.brief = map[string]bool{}
	for _, m := range methods {
		s.brief[m] = true
	}
}

// maxIdle bounds the goroutines that wait for more to run: a new one would have to grow its stack again.
const maxIdle = 64

// spawn runs f in a goroutine.
func (s *PipeServer) spawn(f func()) {
	select {
	case s.idle <- f:
		return
	default:
	}
	s.wg.Go(func() {
		for f != nil {
			f()
			f = s.more()
		}
	})
}

// more waits for something to run; nil ends the goroutine.
func (s *PipeServer) more() func() {
	defer s.rest.Add(-1)
	if s.rest.Add(1) > maxIdle {
		return nil
	}
	select {
	case f := <-s.idle:
		return f
	case <-s.ended:
		return nil
	}
}

// Listen returns a listener that yields the connections of lis which are no pipes, and serves those which are. Pipes are
// clear text: where TLS is asked for there are none.
func (s *PipeServer) Listen(lis net.Listener) net.Listener {
	if s.cfg.TLS != nil {
		return lis
	}
	if own, ok := lis.(*Listener); ok && own.calls {
		serveInside(own.at, s)
	}
	l := &sniffer{Listener: lis, s: s, conns: make(chan net.Conn), failed: make(chan struct{})}
	s.wg.Go(l.run)
	return l
}

// Stop lets the calls under way finish for at most grace, then ends them. It returns when all have ended.
func (s *PipeServer) Stop(grace time.Duration) {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
	for p := range s.conns {
		p.drain()
	}
	s.mu.Unlock()
	endWithin(grace, s.wg.Wait, s.stop)
	s.stop()
}

// sniffer hands out the connections that are no pipes.
type sniffer struct {
	net.Listener
	s      *PipeServer
	conns  chan net.Conn
	failed chan struct{} // closed when no more come
	err    error         // why; set before
}

// Accept returns the next connection that is no pipe.
func (l *sniffer) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.failed:
		return nil, l.err
	}
}

func (l *sniffer) run() {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if noFiles(err) || errors.Is(err, syscall.ECONNABORTED) {
				time.Sleep(sniffPause)
				continue
			}
			l.err = err
			close(l.failed)
			return
		}
		l.s.wg.Go(func() { l.sort(conn) })
	}
}

// sniffPause is the pause when the process is out of files.
const sniffPause = 50 * time.Millisecond

// sort finds out what a connection is. It serves pipes.
func (l *sniffer) sort(conn net.Conn) {
	b := newBatch(l.s.outbox, conn)
	r := bufio.NewReaderSize(b, pipeBuffer)
	_ = conn.SetReadDeadline(time.Now().Add(sniffTimeout)) // fails on a closed connection, as the read does
	first, err := r.Peek(1)
	if err == nil && first[0] == pipeMagic[0] {
		l.s.welcome(conn, r, b)
		return
	}
	if err != nil || conn.SetReadDeadline(time.Time{}) != nil {
		_ = conn.Close()
		return
	}
	select {
	case l.conns <- &sniffed{Conn: conn, r: r}:
	case <-l.failed:
		_ = conn.Close()
	}
}

// sniffed is a connection of which some bytes have been read.
type sniffed struct {
	net.Conn
	r *bufio.Reader // nil once it is empty
}

// Read reads what the sniffer has read first.
func (c *sniffed) Read(b []byte) (int, error) {
	if c.r == nil {
		return c.Conn.Read(b)
	}
	n, err := c.r.Read(b)
	if c.r.Buffered() == 0 {
		c.r = nil
	}
	return n, err
}

// pipePeer is one pipe of a client.
type pipePeer struct {
	s    *PipeServer
	conn net.Conn
	w    frameWriter
	ctx  context.Context

	// Of the goroutine that reads.
	r     *bufio.Reader
	batch *batch

	mu    sync.Mutex
	calls map[uint64]*servedCall
	last  bool // no more calls are taken

	running sync.WaitGroup // the reader and the calls
}

// welcome greets a peer and serves it.
func (s *PipeServer) welcome(conn net.Conn, r *bufio.Reader, b *batch) {
	cluster, err := s.greet(conn, r)
	if err != nil {
		s.cfg.Log.Debug("pipe refused", "peer", conn.RemoteAddr().String(), "err", err)
		_ = conn.Close() // the error before it tells
		return
	}
	admitted, err := s.admit(conn)
	if err != nil {
		_ = conn.Close() // likewise
		return
	}
	if admitted != conn {
		b = newBatch(s.outbox, admitted)
		r.Reset(b) // the peer says nothing until it has the verdict
	}
	s.serve(admitted, r, b, cluster)
}

// admit tells a peer that it is admitted, and returns the connection on which it makes its calls.
func (s *PipeServer) admit(conn net.Conn) (net.Conn, error) {
	if near, ok := conn.(*nearConn); ok {
		return near.admit()
	}
	_, err := conn.Write([]byte{pipeAdmitted})
	return conn, err
}

// serve runs the calls of one pipe until it breaks.
func (s *PipeServer) serve(conn net.Conn, r *bufio.Reader, b *batch, cluster string) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(metadata.NewIncomingContext(s.ctx, metadata.Pairs(ClusterKey, cluster)))
	defer cancel()
	p := &pipePeer{s: s, conn: conn, r: r, batch: b, ctx: ctx, calls: map[uint64]*servedCall{}}
	p.w.init(conn)
	defer context.AfterFunc(s.ctx, func() { _ = conn.Close() })()
	if !s.add(p) {
		return
	}
	defer s.remove(p)
	p.running.Add(1)
	p.read()
	p.running.Wait()
	_ = conn.Close() // it may be closed already
	p.w.await()
}

// read takes frames until the pipe breaks. A call runs in the goroutine that has read it, which is on the processor
// already, and another goroutine reads on.
func (p *pipePeer) read() {
	defer p.running.Done()
	for {
		p.w.heeds(p.batch)
		f, err := readFrame(p.r)
		p.batch.begin()
		var c *servedCall
		if err == nil {
			c, err = p.take(f)
		}
		if err != nil {
			if errors.Is(err, errFrame) {
				p.s.cfg.Log.Warn("pipe broken", "peer", p.conn.RemoteAddr().String(), "err", err)
			}
			_ = p.conn.Close() // it may be closed already
			p.batch.end()
			return
		}
		switch {
		case c == nil:
		case c.m.brief:
			if !c.runBrief() {
				return
			}
		case p.r.Buffered() > 0:
			p.running.Add(1)
			p.s.spawn(func() {
				defer p.running.Done()
				c.run()
			})
		default:
			p.batch.end()
			p.running.Add(1)
			p.s.spawn(p.read)
			c.run()
			return
		}
	}
}

func (s *PipeServer) add(p *pipePeer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[p] = struct{}{}
	}
	return !s.closed
}

func (s *PipeServer) remove(p *pipePeer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, p)
}

// greet reads which cluster a peer belongs to, and refuses those of others.
func (s *PipeServer) greet(conn net.Conn, r *bufio.Reader) (cluster string, err error) {
	hello := make([]byte, len(pipeMagic)+1)
	if _, err := io.ReadFull(r, hello); err != nil {
		return "", err
	}
	if string(hello[:len(pipeMagic)]) != pipeMagic {
		return "", errors.New("unknown protocol")
	}
	id := make([]byte, hello[len(pipeMagic)])
	if _, err := io.ReadFull(r, id); err != nil {
		return "", err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return "", err
	}
	ctx := metadata.NewIncomingContext(s.ctx, metadata.Pairs(ClusterKey, string(id)))
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: conn.RemoteAddr()})
	if err := (&ServerConfig{Cluster: s.cfg.Cluster, Refused: s.cfg.Refused}).admit(ctx, "pipe"); err != nil {
		answer, _ := encodeStatus(appendHead([]byte{pipeRefused, 0, 0, 0, 0}, frameError, 0), toStatus(err)) // of our own making
		binary.LittleEndian.PutUint32(answer[1:], uint32(len(answer)-5))
		_, werr := conn.Write(answer)
		return "", errors.Join(err, werr)
	}
	return string(id), nil
}

// take handles one frame of the client; it returns the call that is to be run, if it is one.
func (p *pipePeer) take(f frame) (*servedCall, error) {
	switch f.kind {
	case frameCall:
		return p.call(f)
	case frameCancel:
		p.mu.Lock()
		c := p.calls[f.id]
		p.mu.Unlock()
		if c != nil {
			c.cancel()
		}
		return nil, nil
	case framePing:
		return nil, p.s.outbox.put(&p.w, func(dst []byte) ([]byte, error) { return appendHead(dst, framePing, 0), nil })
	}
	return nil, fmt.Errorf("%w: kind %d", errFrame, f.kind)
}

// call makes a call ready to run.
func (p *pipePeer) call(f frame) (*servedCall, error) {
	if len(f.body) < 5 || len(f.body) < 5+int(f.body[4]) {
		return nil, fmt.Errorf("%w: call of %d bytes", errFrame, len(f.body))
	}
	timeout := time.Duration(binary.LittleEndian.Uint32(f.body)) * time.Millisecond
	name := f.body[5 : 5+f.body[4]]
	m, ok := p.s.methods[string(name)]
	if !ok {
		return nil, p.reply(f.id, true, nil, status.Errorf(codes.Unimplemented, "unknown method %s", name))
	}
	c := &servedCall{Context: p.ctx, s: p.s, by: p, m: m, id: f.id, msg: f.body[5+f.body[4]:], deadline: time.Now().Add(timeout)}
	if !m.brief { // else it is decoded before anything else is read
		c.msg = f.own(c.msg)
	}
	p.mu.Lock()
	last := p.last
	if !last {
		p.calls[f.id] = c
	}
	p.mu.Unlock()
	if last {
		return nil, p.reply(f.id, true, nil, errStopping)
	}
	return c, nil
}

// handle runs the method of a call; a panic of it becomes an answer.
func (s *PipeServer) handle(c *servedCall) (resp any, err error) {
	defer func() { err = toStatus(err) }()
	defer s.cfg.rescue(c.m.name, &err)
	return c.m.handler(c.m.impl, c, func(in any) error {
		if c.given != nil {
			return handOver(c.given, in.(proto.Message))
		}
		if err := unmarshal(c.msg, in.(proto.Message)); err != nil {
			return status.Error(codes.Internal, "request: "+err.Error())
		}
		return nil
	}, nil)
}

// answer sends the answer to a call. The one of a brief call goes with what else is being answered.
func (p *pipePeer) answer(c *servedCall, resp proto.Message, err error) {
	if err = p.reply(c.id, c.later || c.m.brief && c.state.Load() == readerRuns, resp, err); err != nil {
		_ = p.conn.Close() // the reader ends, and with it the pipe
	}
	p.end(c)
}

// handOver has another goroutine read the pipe.
func (p *pipePeer) handOver(*servedCall) {
	p.batch.end()
	p.running.Add(1)
	p.s.spawn(p.read)
}

// end forgets a call that is answered. The last one of a server that is stopping ends the pipe.
func (p *pipePeer) end(c *servedCall) {
	c.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, c.id)
	if p.last && len(p.calls) == 0 {
		p.w.end()
	}
}

// reply sends the answer to a call, or has it gathered with others.
func (p *pipePeer) reply(id uint64, gather bool, resp proto.Message, err error) error {
	build := func(dst []byte) ([]byte, error) {
		if err != nil {
			return encodeStatus(appendHead(dst, frameError, id), err)
		}
		return marshal(appendHead(dst, frameReply, id), resp)
	}
	if gather {
		return p.s.outbox.put(&p.w, build)
	}
	return p.w.send(build)
}

// drain takes no more calls, and ends the pipe when those under way are answered.
func (p *pipePeer) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = true
	if len(p.calls) == 0 {
		p.w.end()
	}
}
