package spool

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/vec"
)

// one is a complete spool of one row.
func one(t *testing.T, x int64) *Spool {
	v := vec.New(types.ColumnType{Kind: types.KindBigInt}, 1)
	v.I64[0] = x
	sp := New(t.TempDir())
	if err := sp.Add(vec.Encode(nil, &vec.Batch{Cols: []*vec.Vector{v}, N: 1})); err != nil {
		t.Fatal(err)
	}
	if err := sp.Rewind(); err != nil {
		t.Fatal(err)
	}
	return sp
}

// TestGatherGivesEveryAnswerOnce reads answers that are made by many goroutines, some of them at the second try.
func TestGatherGivesEveryAnswerOnce(t *testing.T) {
	const calls, atOnce = 40, 4
	var running, most atomic.Int32
	g := Gather(t.Context(), func(ctx context.Context, give func(context.Context, *Spool) error) error {
		room := make(chan struct{}, atOnce)
		second := false
		one := func(ctx context.Context, i int) ([]int, error) {
			for n := running.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			defer running.Add(-1)
			if i%3 == 0 && !second {
				return []int{i}, nil
			}
			return nil, give(ctx, one(t, int64(i)))
		}
		left := make([]int, calls)
		for i := range left {
			left[i] = i
		}
		left, err := Round(ctx, room, left, one)
		if err != nil {
			return err
		}
		second = true
		if left, err = Round(ctx, room, left, one); err == nil && len(left) != 0 {
			err = errors.New("calls are left over")
		}
		return err
	})
	defer g.Close()
	var got []int64
	for {
		b, err := g.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		got = append(got, b.Cols[0].I64[0])
	}
	slices.Sort(got)
	for i, x := range got {
		if x != int64(i) {
			t.Fatalf("got %v", got)
		}
	}
	if len(got) != calls || most.Load() > atOnce {
		t.Errorf("%d answers, %d calls at the same time", len(got), most.Load())
	}
	if b, err := g.Next(t.Context()); b != nil || err != nil {
		t.Errorf("after the end: %v, %v", b, err)
	}
}

// TestGatherEndsWithTheFirstError ends the other calls, too.
func TestGatherEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	g := Gather(t.Context(), func(ctx context.Context, _ func(context.Context, *Spool) error) error {
		_, err := Round(ctx, make(chan struct{}, 3), []int{0, 1, 2, 3, 4}, func(ctx context.Context, i int) ([]int, error) {
			if i == 1 {
				return nil, broken
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		return err
	})
	defer g.Close()
	if b, err := g.Next(t.Context()); b != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v", b, err)
	}
	if b, err := g.Next(t.Context()); b != nil || err != nil {
		t.Errorf("after the error: %v, %v", b, err)
	}
}

// TestGatherClosedEarly waits for who still fetches, and closes what nobody read.
func TestGatherClosedEarly(t *testing.T) {
	ended := false
	var last *Spool
	g := Gather(t.Context(), func(ctx context.Context, give func(context.Context, *Spool) error) error {
		defer func() { ended = true }()
		for i := int64(0); ; i++ {
			last = one(t, i)
			if err := give(ctx, last); err != nil {
				return err
			}
		}
	})
	if b, err := g.Next(t.Context()); b == nil || err != nil {
		t.Fatalf("got %v, %v", b, err)
	}
	g.Close()
	if !ended || last.memory != nil {
		t.Errorf("ended %v, kept %d", ended, len(last.memory))
	}
}

// TestGatherContainsAPanic: the reader gets a panic of a call, or of who makes the calls, as the error that ends the stream.
func TestGatherContainsAPanic(t *testing.T) {
	inCall := func(ctx context.Context, _ func(context.Context, *Spool) error) error {
		_, err := Round(ctx, make(chan struct{}, 2), []int{0, 1}, func(ctx context.Context, i int) ([]int, error) {
			if i == 1 {
				panic("BUG: a call")
			}
			<-ctx.Done()
			return nil, nil
		})
		return err
	}
	inFetch := func(context.Context, func(context.Context, *Spool) error) error { panic("BUG: a call") }
	for _, fetch := range []func(context.Context, func(context.Context, *Spool) error) error{inCall, inFetch} {
		g := Gather(t.Context(), fetch)
		var p *contain.Panic
		if b, err := g.Next(t.Context()); b != nil || !errors.As(err, &p) {
			t.Errorf("got %v, %v", b, err)
		}
		g.Close()
	}
}
