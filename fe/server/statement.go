package server

import (
	"context"
	"sync/atomic"
)

// statement is the context of the statements of a connection, one after the other. Each has its own that is cancelled when it ends, but
// as long as nobody has asked for Done nothing hangs on that, and the next statement gets the same one: to make it and to link it to the
// connection's costs four allocations.
type statement struct {
	context.Context
	cancel  context.CancelCauseFunc
	watched atomic.Bool
}

// Done implements context.Context. Contexts that are derived from this one ask for it as well.
func (s *statement) Done() <-chan struct{} {
	s.watched.Store(true)
	return s.Context.Done()
}

// begun returns the context for the next statement.
func (c *conn) begun() *statement {
	if c.statement == nil {
		s := &statement{}
		s.Context, s.cancel = context.WithCancelCause(c.ctx)
		c.statement = s
	}
	return c.statement
}

// ended ends the context of a statement. Nobody cancels it any more.
func (c *conn) ended(s *statement) {
	if s.watched.Load() || s.Err() != nil {
		s.cancel(nil)
		c.statement = nil
	}
}
