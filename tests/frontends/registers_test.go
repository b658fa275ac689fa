package frontends

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"stele/tests/cluster"
)

// A register is one row. Clients on all FEs set and read registers by autocommit; every value is written once, so that
// each read says which write it saw.

const registers = 6

type input struct {
	key   int
	write bool
	value int64
}

// model is a register for the checker: a read returns what was written last.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, registers)
		for _, op := range history {
			k := op.Input.(input).key
			parts[k] = append(parts[k], op)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, in, out any) (bool, any) {
		if op := in.(input); op.write {
			return true, op.value
		}
		return out.(int64) == state.(int64), state
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %v", in, out) },
}

// load is clients at work and what they saw.
type load struct {
	values atomic.Int64
	start  time.Time

	mu       sync.Mutex
	history  []porcupine.Operation
	failures map[string]int
	slowest  time.Duration // of the statements that were answered
	done     []ack         // acknowledged writes
}

// ack is a write that was acknowledged.
type ack struct {
	at       time.Time
	frontend string
}

// opTimeout bounds one statement: the cluster has to answer, if only by an error, well before.
const opTimeout = 40 * time.Second

// forever is the end of an operation of which nobody knows whether it took effect, and when.
const forever = int64(1) << 60

func newLoad() *load { return &load{start: time.Now(), failures: map[string]int{}} }

// client works until ctx ends.
func (l *load) client(ctx context.Context, id int, frontend string, db *sql.DB, random *rand.Rand) {
	for ctx.Err() == nil {
		op := input{key: random.IntN(registers), write: random.IntN(2) == 0}
		if op.write {
			op.value = l.values.Add(1)
		}
		l.one(ctx, id, frontend, db, op)
	}
}

func (l *load) one(ctx context.Context, id int, frontend string, db *sql.DB, op input) {
	octx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTimeout)
	defer cancel()
	call := time.Since(l.start).Nanoseconds()
	var out int64
	var err error
	if op.write {
		_, err = db.ExecContext(octx, fmt.Sprintf("UPDATE reg SET v = %d WHERE k = %d", op.value, op.key))
	} else {
		err = db.QueryRowContext(octx, fmt.Sprintf("SELECT v FROM reg WHERE k = %d", op.key)).Scan(&out)
	}
	end := time.Since(l.start).Nanoseconds()
	var dial *net.OpError
	refused := errors.As(err, &dial) && dial.Op == "dial"
	l.mu.Lock()
	switch {
	case err == nil:
		l.slowest = max(l.slowest, time.Duration(end-call))
		if op.write {
			l.done = append(l.done, ack{time.Now(), frontend})
		}
	case refused: // nobody got the statement
	case op.write:
		end = forever
		fallthrough
	default:
		l.failures[err.Error()]++
	}
	if err == nil || op.write && !refused {
		l.history = append(l.history, porcupine.Operation{ClientId: id, Input: op, Call: call, Output: out, Return: end})
	}
	l.mu.Unlock()
	if err != nil {
		cluster.Sleep(ctx, 20*time.Millisecond)
	}
}

// run has clients work on some FEs while do disturbs the cluster.
func (l *load) run(ctx context.Context, dbs []*sql.DB, clientsEach int, do func()) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, db := range dbs {
		for k := range clientsEach {
			id := i*clientsEach + k
			wg.Go(func() { l.client(ctx, id, fmt.Sprint("fe", i+1), db, rand.New(rand.NewPCG(7, uint64(id)))) })
		}
	}
	do()
	stop()
	wg.Wait()
}

// check proves that one order of all statements explains what every client saw.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.done) == 0 {
		t.Fatal("no write was acknowledged")
	}
	t.Logf("%d statements, %d writes acknowledged, slowest %v, failures %v", len(l.history), len(l.done), l.slowest.Round(time.Millisecond), l.failures)
	switch porcupine.CheckOperationsTimeout(model, l.history, time.Minute) {
	case porcupine.Illegal:
		t.Error("the history is not linearizable")
		for _, part := range model.Partition(l.history) {
			contradiction(t, part)
		}
	case porcupine.Unknown:
		t.Error("the checker did not come to an end")
	}
}

// contradiction logs what led to the first answer that no order of the statements on a register explains.
func contradiction(t *testing.T, history []porcupine.Operation) {
	illegal := func(end int64) bool {
		return porcupine.CheckOperationsTimeout(model, before(history, end), time.Minute) == porcupine.Illegal
	}
	if !illegal(forever) {
		return
	}
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	first := sort.Search(len(history), func(i int) bool { return illegal(history[i].Return) })
	for _, op := range before(history[:first+1], history[first].Return) {
		if op.Return > history[first].Call-int64(time.Second) {
			t.Logf("%9.3f to %9.3f ms: client %d, %s", float64(op.Call)/1e6, float64(min(op.Return, history[first].Return))/1e6, op.ClientId, model.DescribeOperation(op.Input, op.Output))
		}
	}
}

// before is what was known of a history at one moment: a read without an answer says nothing, and a write without one may take effect.
func before(history []porcupine.Operation, end int64) (known []porcupine.Operation) {
	for _, op := range history {
		switch {
		case op.Call > end:
		case op.Return <= end:
			known = append(known, op)
		case op.Input.(input).write:
			op.Return = forever
			known = append(known, op)
		}
	}
	return known
}

// gap is the longest time without an acknowledged write after from.
func (l *load) gap(from time.Time) time.Duration { return l.gapFor(from, "") }

// resumed waits until a write is acknowledged by an FE that is not except: a gap that has not ended has no length.
func (l *load) resumed(t *testing.T, c *cluster.Cluster, except string) {
	t.Helper()
	from := time.Now()
	c.Wait(t, "writes go on", 30*time.Second, func() (bool, string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, done := range slices.Backward(l.done) {
			if done.at.After(from) && done.frontend != except {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d writes in all, failures %v", len(l.done), l.failures)
	})
}

// gapFor is the longest time after from in which no FE but except acknowledged a write.
func (l *load) gapFor(from time.Time, except string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, longest := from, time.Duration(0)
	for _, done := range l.done {
		if done.at.Before(from) || done.frontend == except {
			continue
		}
		longest = max(longest, done.at.Sub(last))
		last = done.at
	}
	return max(longest, time.Since(last))
}

// between counts the writes acknowledged in a span of time.
func (l *load) between(from, to time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, done := range l.done {
		if done.at.After(from) && done.at.Before(to) {
			n++
		}
	}
	return n
}
