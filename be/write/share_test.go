package write

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// sharedRow is a row of the model: who has it, and who waits for it, in order.
type sharedRow struct {
	has    []types.TxnID
	write  bool // has is one, alone
	before bool // who has it alone shares it, too
	queue  []sharedWait
}

type sharedWait struct {
	txn   types.TxnID
	share bool
}

// sharedModel is the lock table as rows that are looked at as a whole after every step.
type sharedModel map[int]*sharedRow

func (m sharedModel) row(i int) *sharedRow {
	if m[i] == nil {
		m[i] = &sharedRow{}
	}
	return m[i]
}

func (m sharedModel) waits(txn types.TxnID) bool {
	for _, r := range m {
		if slices.ContainsFunc(r.queue, func(w sharedWait) bool { return w.txn == txn }) {
			return true
		}
	}
	return false
}

// settle serves queues as far as they go.
func (m sharedModel) settle() {
	for _, r := range m {
		for len(r.queue) > 0 {
			w := r.queue[0]
			mine := len(r.has) == 1 && r.has[0] == w.txn && !r.write
			switch {
			case mine:
				r.write, r.before = true, true
			case len(r.has) == 0:
				r.has, r.write, r.before = []types.TxnID{w.txn}, !w.share, false
			case !r.write && w.share:
				r.has = append(r.has, w.txn)
			default:
				w.txn = 0
			}
			if w.txn == 0 {
				break
			}
			r.queue = r.queue[1:]
		}
	}
}

func (m sharedModel) drop(txn types.TxnID) {
	for _, r := range m {
		if at := slices.Index(r.has, txn); at >= 0 {
			r.has = slices.Delete(r.has, at, at+1)
			r.write = r.write && len(r.has) > 0
		}
	}
	m.settle()
}

func (m sharedModel) leave(txn types.TxnID) {
	for _, r := range m {
		r.queue = slices.DeleteFunc(r.queue, func(w sharedWait) bool { return w.txn == txn })
	}
	m.settle()
}

// edges say for whom each waits: for all who have the row or stand before it.
func (m sharedModel) edges() map[types.TxnID][]types.TxnID {
	edges := map[types.TxnID][]types.TxnID{}
	for _, r := range m {
		for i, w := range r.queue {
			for _, h := range r.has {
				if h != w.txn {
					edges[w.txn] = append(edges[w.txn], h)
				}
			}
			for _, ahead := range r.queue[:i] {
				edges[w.txn] = append(edges[w.txn], ahead.txn)
			}
		}
	}
	return edges
}

// reached are those for whom a transaction waits in the end, in order.
func reached(edges map[types.TxnID][]types.TxnID, txn types.TxnID) []types.TxnID {
	seen, next := map[types.TxnID]bool{}, slices.Clone(edges[txn])
	for len(next) > 0 {
		x := next[len(next)-1]
		next = next[:len(next)-1]
		if !seen[x] {
			seen[x] = true
			next = append(next, edges[x]...)
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (r *sharedRow) owner() types.TxnID {
	if r.write {
		return r.has[0]
	}
	return 0
}

// TestSharedLocksAgreeWithTheModel: who has which row, in which mode, who waits and who closes a cycle, after random steps.
func TestSharedLocksAgreeWithTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, m := newLockTable(), sharedModel{}
		waiters := map[types.TxnID]*lockWaiter{}
		drawTxn := func() types.TxnID { return types.TxnID(rapid.IntRange(1, 5).Draw(t, "txn")) }
		t.Repeat(map[string]func(*rapid.T){
			"lock": func(t *rapid.T) {
				txn, at, share := drawTxn(), rapid.IntRange(0, 2).Draw(t, "row"), rapid.Bool().Draw(t, "share")
				if m.waits(txn) {
					t.Skip("it waits")
				}
				batch := newLockBatch
				if share {
					batch = newShareBatch
				}
				b := batch(txn, 1, [][]byte{{byte('a' + at)}})
				w, err := l.tryLock(b)
				r := m.row(at)
				has := slices.Contains(r.has, txn)
				switch {
				case has && (r.write || share):
					r.before = r.before || share
				case has:
					r.queue = slices.Insert(r.queue, 0, sharedWait{txn, false})
				default:
					r.queue = append(r.queue, sharedWait{txn, share})
				}
				m.settle()
				switch {
				case slices.Contains(reached(m.edges(), txn), txn):
					m.leave(txn)
					if !errors.Is(err, ErrDeadlock) {
						t.Fatalf("a cycle: %v %v", w, err)
					}
				case err != nil || (w != nil) != m.waits(txn):
					t.Fatalf("%v %v, waits: %v", w, err, m.waits(txn))
				case w != nil:
					waiters[txn] = w
				}
			},
			"give up": func(t *rapid.T) {
				txn := drawTxn()
				if w := waiters[txn]; w != nil {
					if waits := m.waits(txn); l.giveUp(w) != waits {
						t.Fatalf("txn %d waits: %v", txn, waits)
					}
					m.leave(txn)
					delete(waiters, txn)
				}
			},
			"give back": func(t *rapid.T) {
				txn := drawTxn()
				held := l.held[holder{txn, 1}]
				if len(held) == 0 || m.waits(txn) {
					return
				}
				r := m[int(held[0].key[0]-'a')]
				l.giveBack(txn, 1, held[0])
				if r.before && r.write {
					r.write = false
				} else {
					r.has = slices.DeleteFunc(r.has, func(x types.TxnID) bool { return x == txn })
					r.write = r.write && len(r.has) > 0
				}
				m.settle()
			},
			"release": func(t *rapid.T) {
				txn := drawTxn()
				if m.waits(txn) {
					t.Skip("it waits")
				}
				l.release(txn, 1)
				m.drop(txn)
			},
			"leave to an heir": func(t *rapid.T) {
				txn, heir := drawTxn(), types.TxnID(6)
				if m.waits(txn) {
					t.Skip("it waits")
				}
				l.end(txn, heir, 1)
				delete(l.ended, holder{txn, 1})
				l.end(heir, txn, 1) // as if it were the first again, which the model knows
				delete(l.ended, holder{heir, 1})
			},
			"": func(t *rapid.T) {
				n := 0
				for at, r := range m {
					n += len(r.has)
					got := l.rows[1][string(rune('a'+at))]
					if got == nil {
						if len(r.has) > 0 {
							t.Fatalf("row %d is free, not of %v", at, r.has)
						}
						continue
					}
					a, b := slices.Sorted(slices.Values(got.holders())), slices.Sorted(slices.Values(r.has))
					if !slices.Equal(a, b) || got.owner != r.owner() || len(got.queue) != len(r.queue) {
						t.Fatalf("row %d is of %v (owner %d, %d wait), not of %+v", at, a, got.owner, len(got.queue), r)
					}
				}
				if l.count != n {
					t.Fatalf("%d locks, not %d", l.count, n)
				}
				want, listed := m.edges(), map[types.TxnID][]types.TxnID{}
				for _, w := range l.list() {
					listed[types.TxnID(w.TxnId)] = append(listed[types.TxnID(w.TxnId)], types.TxnID(w.ForTxnId))
				}
				for txn := types.TxnID(1); txn <= 5; txn++ { // what a search over several BEs goes by
					if got, want := reached(listed, txn), reached(want, txn); !slices.Equal(got, want) {
						t.Fatalf("txn %d is listed to wait for %v in the end, not for %v", txn, got, want)
					}
				}
			},
		})
		for txn := types.TxnID(1); txn <= 5; txn++ {
			l.end(txn, 0, 1)
		}
		if l.count != 0 || len(l.rows) != 0 || len(l.held) != 0 || len(l.waiting) != 0 {
			t.Fatalf("%d locks are left: %v %v %v", l.count, l.rows, l.held, l.waiting)
		}
	})
}
