// Package contain keeps a panic in one piece of work from ending the process: whoever waits for that work gets it as an error. It is
// for goroutines that work for a statement, a call or a task, and for decoders of bytes that may be damaged. It is not for what keeps state
// for all of them, the loops of a node: after a panic nobody can say what that state is, and the node had better begin anew.
package contain

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// Panic is a panic as an error.
type Panic struct{ Value any }

func (p *Panic) Error() string { return fmt.Sprintf("internal error: %v", p.Value) }

// Unwrap returns what the code has panicked with, if that is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Into is deferred: it makes a panic of the function the error that it returns. The stack goes to the log.
func Into(err *error) {
	if v := recover(); v != nil {
		*err = caught(v)
	}
}

// As is Into where a panic means something: the error is also what.
func As(err *error, what error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%w: %w", what, caught(v))
	}
}

func caught(v any) error {
	slog.Error("panic contained", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	return &Panic{v}
}

// Call calls f and returns its error, or its panic.
func Call(f func() error) (err error) {
	defer Into(&err)
	return f()
}

// Group is goroutines that one caller waits for. The zero value is ready.
type Group struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

// Go calls f in a goroutine.
func (g *Group) Go(f func() error) {
	g.wg.Go(func() {
		if err := Call(f); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, err)
		}
	})
}

// Wait waits for all of them and returns what failed, each once.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	err := errors.Join(g.errs...)
	g.errs = nil
	return err
}
