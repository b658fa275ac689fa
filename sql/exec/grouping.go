package exec

import (
	"stele/sql/expr"
	"stele/sql/vec"
)

// grouping is how a groupTable finds the groups of a batch and adds to the aggregates that go together.
type grouping struct {
	direct   *directKeys
	hopeless bool    // no directKeys for these keys
	slots    []int32 // of each row, its group + 1; 0 = the row does not count

	fused *fusedSum
	cols  [][]int64 // the columns to add up; aggregates of the same argument share one
	ints  []*expr.Ints
	lanes []int // of each aggregate: its column, countOnly or notFused
}

// What lanes says of aggregates that add up no column.
const (
	notFused  = -1
	countOnly = -2
)

func (g *grouping) size() int64 {
	n := int64(cap(g.slots)) * 4
	if g.direct != nil {
		n += g.direct.size()
	}
	return n
}

// dropDirect gives the memory of the table of keys back, and reports whether there was one.
func (t *groupTable) dropDirect() bool {
	had := t.group.direct != nil
	t.group.direct, t.group.hopeless = nil, true
	return had
}

// update adds a batch.
func (t *groupTable) update(in *aggInput) error {
	if t.keys == nil {
		return t.updateOne(in)
	}
	g := &t.group
	rows := in.rows()
	placed := t.place(in)
	if !placed {
		t.groupsOf(in.keys, rows)
	}
	some, all := t.plan(in)
	if some && !placed {
		g.scatter(in.n, rows, t.ids)
	}
	if !all && placed {
		t.ids = growTo(t.ids[:0], len(rows))
		for i, r := range rows {
			t.ids[i] = g.slots[r] - 1
		}
	}
	for i, a := range t.accs {
		if g.lanes[i] == notFused {
			if err := updateAcc(a, t.ids, rows, in, i); err != nil {
				return err
			}
		}
	}
	if !some {
		return nil
	}
	return t.addFused()
}

func updateAcc(a accumulator, ids, rows []int32, in *aggInput, i int) error {
	if in.ints[i] != nil {
		return a.(*exactSum).updateInts(ids, rows, in.ints[i])
	}
	return a.update(ids, rows, in.vals[i])
}

// updateOne adds a batch to the only group.
func (t *groupTable) updateOne(in *aggInput) error {
	for i, a := range t.accs {
		var err error
		switch c := in.ints[i]; {
		case c != nil && fitsSum(c, in.n):
			sum, n := total(c, in.sel)
			err = a.(*exactSum).addTotal(0, vec.Int128Of(sum), n)
		case countsRows(a, in.vals[i]):
			a.(*countAcc).n[0] += int64(in.count())
		default:
			rows := in.rows()
			t.ids = growTo(t.ids[:0], len(rows))
			clear(t.ids)
			err = updateAcc(a, t.ids, rows, in, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// countsRows reports whether an aggregate just counts the rows of this batch.
func countsRows(a accumulator, args []*vec.Vector) bool {
	c, ok := a.(*countAcc)
	return ok && (c.star || args[0].Valid == nil)
}

// fewPlaced rows are not worth a table of codes, which may have a hundred thousand, nor one of sums.
const fewPlaced = 64

// place finds the groups without hashing, if the keys allow it.
func (t *groupTable) place(in *aggInput) bool {
	g := &t.group
	if g.hopeless || g.direct == nil && in.count() <= fewPlaced {
		return false
	}
	g.slots = growTo(g.slots[:0], in.n)
	known, ok := g.direct.find(in.keys, in.n, in.sel, g.slots)
	if !ok { // the first batch, or one with other keys
		if g.direct = g.direct.widen(in.keys, in.n); g.direct == nil {
			g.hopeless = true
			return false
		}
		known, _ = g.direct.find(in.keys, in.n, in.sel, g.slots)
	}
	if !known {
		t.placeNew(in)
	}
	return t.n <= maxDirectGroups
}

// placeNew finds the groups of the rows that the table did not know.
func (t *groupTable) placeNew(in *aggInput) {
	g := &t.group
	var rows []int32
	for _, r := range in.rows() {
		if g.slots[r] == 0 {
			rows = append(rows, r)
		}
	}
	for i, id := range t.groupsOf(in.keys, rows) {
		g.slots[rows[i]] = id + 1
		g.direct.learn(rows[i], id)
	}
}

// scatter makes slots of groups.
func (g *grouping) scatter(n int, rows, ids []int32) {
	g.slots = growTo(g.slots[:0], n)
	if len(rows) < n {
		clear(g.slots)
	}
	for i, r := range rows {
		g.slots[r] = ids[i] + 1
	}
}

// plan says which aggregates are added together: whether there are some, and whether these are all.
func (t *groupTable) plan(in *aggInput) (some, all bool) {
	g := &t.group
	g.lanes, g.cols, g.ints = g.lanes[:0], g.cols[:0], g.ints[:0]
	few := t.n <= fusedGroups && (g.fused != nil || in.count() > fewPlaced) // it has room for all groups that there may be
	all = true
	for i, a := range t.accs {
		lane := notFused
		switch c := in.ints[i]; {
		case !few:
		case c != nil && fitsSum(c, in.n):
			lane = g.column(c)
		case countsRows(a, in.vals[i]):
			lane = countOnly
		}
		g.lanes = append(g.lanes, lane)
		some, all = some || lane != notFused, all && lane != notFused
	}
	return some, all
}

// column returns the number of a column to be added up.
func (g *grouping) column(c *expr.Ints) int {
	for i, x := range g.ints {
		if x == c {
			return i
		}
	}
	g.ints, g.cols = append(g.ints, c), append(g.cols, c.V)
	return len(g.ints) - 1
}

// addFused adds up the columns and hands the sums to their aggregates.
func (t *groupTable) addFused() error {
	g := &t.group
	if g.fused == nil {
		g.fused = &fusedSum{}
	}
	for from := 0; from == 0 || from < len(g.cols); from += fusedLanes {
		to := min(from+fusedLanes, len(g.cols))
		sums := g.fused.add(g.slots, t.n+1, g.cols[from:to])
		for i, a := range t.accs {
			switch lane := g.lanes[i]; {
			case lane == countOnly && from == 0:
				c := a.(*countAcc)
				for id := range c.n {
					c.n[id] += sums[id+1][0]
				}
			case lane >= from && lane < to:
				if err := a.(*exactSum).addFused(sums, 1+lane-from, g.ints[lane], g.slots); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
