package quorum

import (
	"context"
	"sync"
	"time"

	"stele/proto/fepb"
)

// rounds lets concurrent callers of ReadIndex share one question to the leader. A caller joins the round that has not
// begun yet: the answer to one under way may be older than the call.
type rounds struct {
	mu      sync.Mutex
	next    *round
	running bool
}

type round struct {
	done  chan struct{}
	index uint64
	err   error
}

// roundTimeout bounds one question; then it is asked again, maybe of another leader.
const roundTimeout = time.Second

// ReadIndex returns an index such that a catalog at or past it holds everything that was committed, by any FE, before
// the call. On return this FE has applied it.
func (l *Log) ReadIndex(ctx context.Context) (uint64, error) {
	if l.local.IsLeader() {
		index, err := l.local.ReadIndex(ctx)
		if err == nil || ctx.Err() != nil {
			return index, err
		}
	}
	index, err := l.join().await(ctx, l.wait()+roundTimeout)
	if err != nil {
		return 0, err
	}
	if err := l.awaitApplied(ctx, index); err != nil {
		return 0, err
	}
	return l.Current().Index(), nil
}

// await waits for the answer, for no longer than wait: while no FE leads, the round before this one looks for a leader first, as long as
// this one will.
func (r *round) await(ctx context.Context, wait time.Duration) (uint64, error) {
	p := newPatience(wait)
	tick := time.NewTicker(mostOfATry)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return r.index, r.err
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
			if p.spent() {
				return 0, &NoLeaderError{Waited: time.Since(p.begun)}
			}
		}
	}
}

func (l *Log) join() *round {
	l.rounds.mu.Lock()
	defer l.rounds.mu.Unlock()
	if l.rounds.next == nil {
		l.rounds.next = &round{done: make(chan struct{})}
	}
	if !l.rounds.running {
		l.rounds.running = true
		go l.runRounds() // ends when nobody waits; each round is bounded by the wait for a leader
	}
	return l.rounds.next
}

func (l *Log) runRounds() {
	for {
		l.rounds.mu.Lock()
		r := l.rounds.next
		l.rounds.next = nil
		l.rounds.running = r != nil
		l.rounds.mu.Unlock()
		if r == nil {
			return
		}
		r.index, r.err = l.ask()
		close(r.done)
	}
}

// ask gets the read index of whoever leads. A question does no harm, so it is repeated until it is answered.
func (l *Log) ask() (index uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.wait()+roundTimeout)
	defer cancel()
	err = l.withLeader(ctx, true, 0, func(ctx context.Context) (err error) {
		index, err = l.local.ReadIndex(ctx)
		return err
	}, func(ctx context.Context, fe fepb.FrontendClient) error {
		qctx, cancel := context.WithTimeout(ctx, roundTimeout)
		defer cancel()
		resp, err := fe.ReadIndex(qctx, &fepb.ReadIndexRequest{Fe: l.local.ID()})
		if err != nil {
			return remote(err)
		}
		index = resp.Index
		l.learn(resp.Mark)
		return nil
	})
	if ctx.Err() != nil {
		err = &NoLeaderError{Waited: l.wait(), Last: err}
	}
	return index, err
}
