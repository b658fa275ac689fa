package spool

import (
	"context"
	"sync"

	"stele/meta/contain"
	"stele/sql/vec"
)

// Gathered is the stream of many answers that are fetched at the same time, each handed over when it is complete.
type Gathered struct {
	cancel  context.CancelFunc
	answers chan answer
	wg      sync.WaitGroup
	now     *Spool // being read by Next
	done    bool
}

// answer is a complete answer, or the error that ends the stream.
type answer struct {
	spool *Spool
	err   error
}

// Gather runs fetch beside the stream's reader; fetch returns when it has given every answer, or an error, which ends the
// stream. It gives complete spools, from as many goroutines as it likes. Closing the stream ends its context and waits
// for it.
func Gather(ctx context.Context, fetch func(ctx context.Context, give func(context.Context, *Spool) error) error) *Gathered {
	ctx, cancel := context.WithCancel(ctx)
	g := &Gathered{cancel: cancel, answers: make(chan answer)}
	g.wg.Go(func() {
		defer close(g.answers)
		if err := contain.Call(func() error { return fetch(ctx, g.give) }); err != nil {
			select {
			case g.answers <- answer{err: err}:
			case <-ctx.Done():
			}
		}
	})
	return g
}

// give hands a complete answer over; one that nobody takes is closed.
func (g *Gathered) give(ctx context.Context, sp *Spool) error {
	select {
	case g.answers <- answer{spool: sp}:
		return nil
	case <-ctx.Done():
		sp.Close()
		return context.Cause(ctx)
	}
}

// Next returns the next batch.
func (g *Gathered) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if g.now != nil {
			b, err := g.now.Next()
			if b != nil || err != nil {
				return b, err
			}
			g.now.Close()
			g.now = nil
		}
		if g.done {
			return nil, nil
		}
		select {
		case a, ok := <-g.answers:
			g.done = !ok || a.err != nil
			if a.err != nil {
				return nil, a.err
			}
			g.now = a.spool
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close ends the stream and waits for who fetches.
func (g *Gathered) Close() {
	g.cancel()
	for a := range g.answers {
		if a.spool != nil {
			a.spool.Close()
		}
	}
	if g.now != nil {
		g.now.Close()
		g.now = nil
	}
	g.wg.Wait()
}

// Round makes calls, at most as many at the same time as room holds, and returns what is to be tried again. The first
// error ends the other calls.
func Round[C, T any](ctx context.Context, room chan struct{}, calls []C, one func(context.Context, C) (again []T, err error)) ([]T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		again []T
		wg    sync.WaitGroup
	)
	for _, c := range calls {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return nil, context.Cause(ctx)
		}
		wg.Go(func() {
			defer func() { <-room }()
			var retry []T
			if err := contain.Call(func() (err error) { retry, err = one(ctx, c); return err }); err != nil {
				cancel(err) // the first cause stays
			}
			mu.Lock()
			defer mu.Unlock()
			again = append(again, retry...)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return again, nil
}
