package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Start makes a unary call without a goroutine that waits for it. done is called once, when the answer is in out or with
// an error; it may run before Start returns and in the goroutine that takes in all answers of the peer, so it must not
// block. The call ends after timeout, or with the connection.
func (c *Conn) Start(method string, in, out proto.Message, timeout time.Duration, done func(error)) {
	w := c.ready()
	if w == nil || !c.piped[method] || c.cfg.Cluster.ID() == "" || !w.takes(in) { // to connect takes time
		c.invoke(method, in, out, timeout, done)
		return
	}
	w.start(method, in, out, timeout, func(err error) { done(fromStatus(err)) })
}

// StartHere is Start by who may wait until the peer has done it. One in this process does it in the goroutine that calls, unless it has not
// done yet what was started before.
func (c *Conn) StartHere(method string, in, out proto.Message, timeout time.Duration, done func(error)) {
	w, ok := c.ready().(*inside)
	if !ok || !c.piped[method] || c.cfg.Cluster.ID() == "" {
		c.Start(method, in, out, timeout, done)
		return
	}
	w.startHere(method, in, out, timeout, func(err error) { done(fromStatus(err)) })
}

// ready returns the way to the peer if there is one.
func (c *Conn) ready() way {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.way == nil || !c.way.usable() {
		return nil
	}
	return c.way
}

// invoke makes a call in a goroutine of its own.
func (c *Conn) invoke(method string, in, out proto.Message, timeout time.Duration, done func(error)) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		done(notBegun(fromStatus(status.Error(codes.Canceled, "the connection is closing"))))
		return
	}
	c.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		done(c.Invoke(ctx, method, in, out))
	})
	c.mu.Unlock()
}

// start sends a call whose answer the receiver hands to done.
func (p *pipeConn) start(method string, in, out proto.Message, timeout time.Duration, done func(error)) {
	c := &pipeCall{}
	c.take = func(f frame) {
		c.stop()
		done(p.outcome(f, out))
	}
	id, err := p.register(c) // whoever takes it out of the calls again tells done
	if err != nil {
		done(notBegun(err))
		return
	}
	c.arm(timeout, func() {
		if !p.forget(id) {
			return
		}
		p.cancel(id)
		done(status.FromContextError(context.DeadlineExceeded).Err())
	})
	err = p.outbox.put(&p.w, func(dst []byte) ([]byte, error) { return appendCall(dst, id, method, in, timeout) })
	if err != nil && p.forget(id) {
		c.stop()
		done(p.unsent(err))
	}
}

// arm has late run unless the call is stopped before.
func (c *pipeCall) arm(timeout time.Duration, late func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(timeout, late)
}

func (c *pipeCall) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// outcome reads the answer to a call.
func (p *pipeConn) outcome(f frame, out proto.Message) error {
	f, err := p.answered(f)
	if err != nil {
		return err
	}
	if f.kind == frameError {
		return decodeStatus(f.body)
	}
	if err := unmarshal(f.body, out); err != nil {
		return status.Error(codes.Internal, "answer: "+err.Error())
	}
	return nil
}
