package server

import (
	"context"
	"errors"
	"testing"
)

// TestStatementContexts: the next statement gets the same context unless something may hang on the end of this one.
func TestStatementContexts(t *testing.T) {
	c := &conn{}
	c.ctx, c.cancel = context.WithCancelCause(t.Context())
	run := func(do func(ctx context.Context, s *statement)) *statement {
		s := c.begun()
		if s.Err() != nil {
			t.Fatal("a statement begins with its context at an end")
		}
		do(s, s)
		c.ended(s)
		return s
	}
	plain := run(func(context.Context, *statement) {})
	var child context.Context
	for name, do := range map[string]func(context.Context, *statement){
		"waits for it": func(ctx context.Context, _ *statement) { child = ctx; _ = ctx.Done() },
		"a context of it": func(ctx context.Context, _ *statement) {
			var stop context.CancelFunc
			child, stop = context.WithCancel(context.WithValue(ctx, c, 1))
			t.Cleanup(stop) // behind its end
		},
		"killed": func(ctx context.Context, s *statement) {
			child = ctx
			s.cancel(errKilled)
			if !errors.Is(context.Cause(ctx), errKilled) {
				t.Error("the cause is lost")
			}
		},
	} {
		used := run(do)
		if name != "killed" && child.Err() == nil {
			t.Errorf("%s: it goes on behind the statement", name)
		}
		again := run(func(context.Context, *statement) {})
		if again == used {
			t.Errorf("%s: the next statement has the same context", name)
		}
		if run(func(context.Context, *statement) {}) != again {
			t.Errorf("%s: the context behind the next one is not used again", name)
		}
	}
	if plain.Err() == nil {
		t.Error("the first context was never ended")
	}
	last := c.begun()
	c.cancel(errKilled)
	if !errors.Is(context.Cause(last), errKilled) {
		t.Error("the end of the connection does not end the statement")
	}
}
