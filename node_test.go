package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"stele/fe"
)

// TestRunBoth ends the two roles of a process in every way.
func TestRunBoth(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, c := range map[string]struct {
		fe, be error // what they end with before they are told to
		feEnds bool  // it ends by itself
		beEnds bool
		stop   bool // by a signal
		want   error
		order  string // in which they were told to end
	}{
		"a signal":                          {stop: true, order: "fe be"},
		"the frontend fails":                {feEnds: true, fe: broken, want: broken, order: "be"},
		"the backend fails":                 {beEnds: true, be: broken, want: broken, order: "fe"},
		"the frontend was dropped":          {feEnds: true, stop: true, order: "be"},
		"it was dropped before":             {feEnds: true, fe: fmt.Errorf("%w: fe2", fe.ErrDropped), stop: true, order: "be"},
		"then the backend fails":            {feEnds: true, beEnds: true, be: broken, want: broken},
		"the frontend fails to end in time": {stop: true, fe: broken, want: broken, order: "fe be"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, signal := context.WithCancel(t.Context())
			defer signal()
			told := make(chan string, 2)
			feGone := make(chan struct{})
			role := func(name string, ends bool, err error) func(context.Context, io.Writer) error {
				return func(ctx context.Context, _ io.Writer) error {
					if name == "be" && ends && c.feEnds {
						<-feGone
					}
					if !ends {
						<-ctx.Done()
						told <- name
					}
					return err
				}
			}
			out := &noticing{gone: feGone}
			done := make(chan error, 1)
			go func() { done <- runBoth(ctx, out, role("fe", c.feEnds, c.fe), role("be", c.beEnds, c.be)) }()
			if c.stop {
				if c.feEnds {
					<-feGone
				}
				signal()
			}
			if err := <-done; !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("ended with %v, want %v", err, c.want)
			}
			close(told)
			var order []string
			for name := range told {
				order = append(order, name)
			}
			if got := strings.Join(order, " "); got != c.order {
				t.Errorf("told to end: %q, want %q", got, c.order)
			}
		})
	}
}

// noticing tells when it is said that the frontend has gone.
type noticing struct {
	bytes.Buffer
	gone chan struct{}
}

func (n *noticing) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "goes on without") {
		close(n.gone)
	}
	return n.Buffer.Write(b)
}

func TestNodeArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"node", "extra"}, 2, `stele node: unexpected argument "extra"`},
		{[]string{"node", "--conf", "x"}, 2, "flag provided but not defined"},
		{[]string{"node", "--help"}, 0, "configuration file of the backend"},
		{[]string{"node", "--fe", "/nowhere/fe.conf", "--be", "/nowhere/be.conf"}, 1, "/nowhere/"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, env{nil, &out, &errs}); code != c.code || !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%v: code %d, printed %q and %q", c.args, code, out.String(), errs.String())
		}
	}
}
