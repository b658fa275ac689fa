package rpc

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestServedCallErr asks a call what has ended it, with nobody waiting for its end.
func TestServedCallErr(t *testing.T) {
	peer, gone := context.WithCancel(t.Context())
	caller, left := context.WithCancel(t.Context())
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		call *servedCall
		end  func(*servedCall)
		want error
	}{
		"nothing":      {&servedCall{Context: t.Context(), deadline: later}, func(*servedCall) {}, nil},
		"its deadline": {&servedCall{Context: t.Context(), deadline: time.Now().Add(-time.Hour)}, func(*servedCall) {}, context.DeadlineExceeded},
		"its answer":   {&servedCall{Context: t.Context(), deadline: later}, (*servedCall).cancel, context.Canceled},
		"the peer":     {&servedCall{Context: peer, deadline: later}, func(*servedCall) { gone() }, context.Canceled},
	} {
		c.end(c.call)
		if err := c.call.Err(); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && c.call.live != nil {
			t.Errorf("%s: a context is made for a question", name)
		}
	}
	c := &servedCall{Context: t.Context(), caller: caller, deadline: later}
	if c.Err() != nil {
		t.Error(c.Err())
	}
	left()
	if _ = c.Err(); c.live == nil {
		t.Error("nothing watches a caller that has left")
	}
	<-c.Done()
	if !errors.Is(c.Err(), context.Canceled) {
		t.Error(c.Err())
	}
}
