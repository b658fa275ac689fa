package txn_test

import (
	"context"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

func TestSequence(t *testing.T) {
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	ctx := context.Background()
	a := txn.NewSequence(w.Log, command.CounterAutoInc, w.Table, 10, 0)
	b := txn.NewSequence(w.Log, command.CounterAutoInc, w.Table, 10, 0)
	seen := map[uint64]bool{}
	take := func(s *txn.Sequence, n uint64) uint64 {
		t.Helper()
		first, err := s.Take(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		for v := first; v < first+n; v++ {
			if seen[v] {
				t.Fatalf("%d was handed out twice", v)
			}
			seen[v] = true
		}
		return first
	}
	for i := range uint64(30) {
		take(a, 1+i%4)
		take(b, 1+i%25) // more than a range at a time
	}
	for _, v := range []uint64{3, 500, 505, 504} {
		if err := a.Raise(ctx, v, w.Log.Current().AutoIncrementFence(w.Table)); err != nil {
			t.Fatal(err)
		}
		if first := take(a, 1); first <= v {
			t.Errorf("%d was handed out after %d was given", first, v)
		}
	}
}

// TestSequenceGivenElsewhere: a value that a row was given on one FE is not drawn from the range that another one holds,
// and what is left of that range above it is not wasted.
func TestSequenceGivenElsewhere(t *testing.T) {
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	ctx := context.Background()
	a := txn.NewSequence(w.Log, command.CounterAutoInc, w.Table, 10, 0)
	b := txn.NewSequence(w.Log, command.CounterAutoInc, w.Table, 10, 0)
	next := func(s *txn.Sequence) uint64 {
		t.Helper()
		s.RaiseTo(w.Log.Current().AutoIncrementFence(w.Table))
		v, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := next(a) // a holds 10 values, b the 10 behind them
	if got := next(b); got != first+10 {
		t.Fatalf("the other FE draws %d", got)
	}
	for _, c := range []struct{ given, a, b uint64 }{
		{first + 4, first + 5, first + 11}, {first + 5, first + 6, first + 12}, {first + 2, first + 7, first + 13},
		{first + 12, first + 8, first + 14}, {first + 9, first + 20, first + 15}, {first + 21, first + 22, first + 30},
	} {
		if err := b.Raise(ctx, c.given, w.Log.Current().AutoIncrementFence(w.Table)); err != nil {
			t.Fatal(err)
		}
		if gotA, gotB := next(a), next(b); gotA != c.a || gotB != c.b {
			t.Errorf("after %d was given: %d and %d, want %d and %d", c.given, gotA, gotB, c.a, c.b)
		}
	}
}

// proposals counts the commands that reach the log.
type proposals struct {
	txn.Log
	n int
}

func (p *proposals) Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	p.n += len(cmds)
	return p.Log.Propose(ctx, cmds...)
}

// TestGivenOneAfterTheOther: rows that bring their numbers along cost few commands, whichever FE has which range.
func TestGivenOneAfterTheOther(t *testing.T) {
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	ctx := context.Background()
	log := &proposals{Log: w.Log}
	a := txn.NewSequence(log, command.CounterAutoInc, w.Table, 1000, 0)
	b := txn.NewSequence(log, command.CounterAutoInc, w.Table, 1000, 0)
	first, err := a.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Next(ctx); err != nil {
		t.Fatal(err)
	}
	log.n = 0
	const rows = 5000
	for v := first; v < first+rows; v++ { // a load balancer sends them to both
		s := a
		if v%2 == 0 {
			s = b
		}
		if err := s.Raise(ctx, v, w.Log.Current().AutoIncrementFence(w.Table)); err != nil {
			t.Fatal(err)
		}
	}
	if log.n > 60 {
		t.Errorf("%d rows that were given their numbers cost %d commands", rows, log.n)
	}
	for name, s := range map[string]*txn.Sequence{"a": a, "b": b} {
		s.RaiseTo(w.Log.Current().AutoIncrementFence(w.Table))
		if v, err := s.Next(ctx); err != nil || v < first+rows {
			t.Errorf("%s hands out %d after %d was given: %v", name, v, first+rows-1, err)
		}
	}
}

// TestTxnIDsGoStale: an id that is older than the age would be expired by it, so it is not used any more.
func TestTxnIDsGoStale(t *testing.T) {
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	fresh := txn.NewSequence(w.Log, command.CounterTxns, 0, 100, time.Hour)
	stale := txn.NewSequence(w.Log, command.CounterTxns, 0, 100, time.Nanosecond)
	for name, c := range map[string]struct {
		s    *txn.Sequence
		step uint64
	}{"fresh": {fresh, 1}, "stale": {stale, 100}} {
		a, err := c.s.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.s.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b-a != c.step {
			t.Errorf("%s: %d after %d", name, b, a)
		}
	}
}

// TestRangesGrow: many transactions a second do not wait for a draw every few of them; numbers that nobody may lose come in even ranges.
func TestRangesGrow(t *testing.T) {
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	const size, numbers = 10, 20_000
	for name, c := range map[string]struct {
		counter command.Counter
		age     time.Duration
		most    int
	}{
		"transactions":   {command.CounterTxns, time.Hour, 2 * (6 + numbers/(64*size))},
		"AUTO_INCREMENT": {command.CounterAutoInc, 0, numbers / size},
	} {
		t.Run(name, func(t *testing.T) {
			log := &proposals{Log: w.Log}
			s := txn.NewSequence(log, c.counter, w.Table, size, c.age)
			last := uint64(0)
			for range numbers {
				v, err := s.Next(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if v <= last {
					t.Fatalf("%d after %d", v, last)
				}
				last = v
			}
			if log.n > c.most || c.age == 0 && log.n != c.most {
				t.Errorf("%d numbers cost %d commands, want %d at most", numbers, log.n, c.most)
			}
		})
	}
}
