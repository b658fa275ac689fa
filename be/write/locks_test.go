package write

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// lockModel is the lock table as queues: the first of each owns the row.
type lockModel struct {
	queues map[int][]types.TxnID
	ended  map[types.TxnID]bool
}

func (m *lockModel) waitsFor(txn types.TxnID) (row int, ok bool) {
	for row, q := range m.queues {
		if slices.Index(q, txn) > 0 {
			return row, true
		}
	}
	return 0, false
}

func (m *lockModel) cycle(txn types.TxnID, row int) bool {
	for owner := m.queues[row][0]; owner != txn; {
		next, blocked := m.waitsFor(owner)
		if !blocked {
			return false
		}
		owner = m.queues[next][0]
	}
	return true
}

func (m *lockModel) remove(txn types.TxnID, waiting bool) {
	for row, q := range m.queues {
		at := slices.Index(q, txn)
		if at < 0 || at > 0 && !waiting {
			continue
		}
		if q = slices.Delete(q, at, at+1); len(q) == 0 {
			delete(m.queues, row)
		} else {
			m.queues[row] = q
		}
	}
}

// leave ends a transaction, and has another one own its rows if it takes them.
func (m *lockModel) leave(txn, heir types.TxnID, takes bool) {
	for _, q := range m.queues {
		if takes && q[0] == txn {
			q[0] = heir
		}
	}
	m.remove(txn, true)
	m.ended[txn] = true
}

func TestLockTableAgreesWithQueues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLockTable()
		m := &lockModel{queues: map[int][]types.TxnID{}, ended: map[types.TxnID]bool{}}
		waiters := map[types.TxnID]*lockWaiter{}
		drawTxn := func() types.TxnID { return types.TxnID(rapid.IntRange(1, 5).Draw(t, "txn")) }
		t.Repeat(map[string]func(*rapid.T){
			"lock": func(t *rapid.T) {
				txn, row := drawTxn(), rapid.IntRange(0, 3).Draw(t, "row")
				if _, blocked := m.waitsFor(txn); blocked {
					t.Skip("it waits")
				}
				w, err := l.tryLock(newLockBatch(txn, 1, [][]byte{{byte('a' + row)}}))
				q := m.queues[row]
				switch {
				case m.ended[txn]:
					if !errors.Is(err, ErrEnded) {
						t.Fatalf("ended txn: %v", err)
					}
				case len(q) == 0:
					if err != nil || w != nil {
						t.Fatalf("free row: %v %v", w, err)
					}
					m.queues[row] = []types.TxnID{txn}
				case q[0] == txn:
					if err != nil || w != nil {
						t.Fatalf("own row: %v %v", w, err)
					}
				case m.cycle(txn, row):
					if !errors.Is(err, ErrDeadlock) {
						t.Fatalf("cycle: %v", err)
					}
				default:
					if err != nil || w == nil {
						t.Fatalf("taken row: %v %v", w, err)
					}
					m.queues[row] = append(q, txn)
					waiters[txn] = w
				}
			},
			"lock large": func(t *rapid.T) {
				txn := drawTxn()
				rows := rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 3, rapid.ID[int]).Draw(t, "rows")
				slices.Sort(rows)
				var keys [][]byte
				free := true
				for _, row := range rows {
					keys = append(keys, []byte{byte('a' + row)})
					free = free && len(m.queues[row]) == 0
				}
				if _, blocked := m.waitsFor(txn); blocked {
					t.Skip("it waits")
				}
				lock, err := l.acquireLarge(txn, 1, keys)
				switch {
				case m.ended[txn]:
					if !errors.Is(err, ErrEnded) {
						t.Fatalf("ended txn: %v", err)
					}
				case err != nil || (lock != nil) != free:
					t.Fatalf("large lock %v of rows that are free: %v: %v", lock, free, err)
				case free && rapid.Bool().Draw(t, "written"):
					l.wroteLarge(lock)
					fallthrough
				case free:
					for _, row := range rows {
						m.queues[row] = []types.TxnID{txn}
					}
				}
			},
			"give up": func(t *rapid.T) {
				txn := drawTxn()
				if w := waiters[txn]; w != nil {
					_, waits := m.waitsFor(txn)
					if l.giveUp(w) != waits {
						t.Fatalf("txn %d waits: %v", txn, waits)
					}
					if row, ok := m.waitsFor(txn); ok {
						m.queues[row] = slices.DeleteFunc(m.queues[row], func(x types.TxnID) bool { return x == txn })
					}
					delete(waiters, txn)
				}
			},
			"give back": func(t *rapid.T) {
				txn := drawTxn()
				held := l.held[holder{txn, 1}]
				if len(held) == 0 {
					return
				}
				row := held[0]
				at := int(row.key[0] - 'a')
				l.giveBack(txn, 1, row)
				if m.queues[at] = m.queues[at][1:]; len(m.queues[at]) == 0 {
					delete(m.queues, at)
				}
				l.giveBack(txn, 1, row) // it may be somebody else's by now
			},
			"release": func(*rapid.T) {
				txn := drawTxn()
				l.release(txn, 1)
				m.remove(txn, false)
			},
			"end": func(t *rapid.T) {
				txn := drawTxn()
				_, waits := m.waitsFor(txn)
				l.end(txn, 0, 1)
				m.remove(txn, true)
				m.ended[txn] = true
				if w := waiters[txn]; waits && !errors.Is(w.err, ErrEnded) {
					t.Fatalf("txn %d was not woken", txn)
				}
				delete(waiters, txn)
			},
			"leave to an heir": func(t *rapid.T) {
				txn, heir := drawTxn(), drawTxn()
				if txn == heir {
					return
				}
				for _, row := range l.held[holder{txn, 1}] {
					row.wrote = wrotePut
				}
				_, waits := m.waitsFor(heir)
				takes := !waits && !m.ended[heir] && len(l.held[holder{heir, 1}]) == 0
				l.end(txn, heir, 1)
				m.leave(txn, heir, takes)
				delete(waiters, txn)
				for _, row := range l.held[holder{heir, 1}] {
					if takes && row.wrote != wroteNothing {
						t.Fatalf("row %s is taken over as written", row.key)
					}
				}
			},
			"": func(t *rapid.T) {
				if n := l.count + l.largeKeys; n != len(m.queues) {
					t.Fatalf("%d rows are locked, not %d", n, len(m.queues))
				}
				owners := map[string]types.TxnID{}
				for key, row := range l.rows[1] {
					owners[key] = row.owner
				}
				for _, lock := range l.large[1] {
					for _, key := range lock.keys {
						owners[string(key)] = lock.txn
					}
				}
				for row, q := range m.queues {
					if got := owners[string(rune('a'+row))]; got != q[0] {
						t.Fatalf("row %d is owned by %d, not %d", row, got, q[0])
					}
				}
			},
		})
	})
}

func TestWaiterOfAnEndedTransactionIsWoken(t *testing.T) {
	l := newLockTable()
	key := [][]byte{[]byte("k")}
	if _, err := l.acquire(context.Background(), 1, 1, key, 0); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := l.acquire(context.Background(), 2, 1, key, time.Minute)
		got <- err
	}()
	l.end(2, 0, 1) // before or after it began to wait
	if err := <-got; !errors.Is(err, ErrEnded) {
		t.Fatal(err)
	}
	l.release(1, 1)
	if l.count != 0 {
		t.Fatal("a row stays locked")
	}
}
