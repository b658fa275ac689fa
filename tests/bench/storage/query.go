//go:build bench

package storage

import (
	"context"
	"fmt"
	"math/bits"
	"strings"
	"sync"

	"stele/be/tablet"
	"stele/be/tablet/sought"
	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// sum128 adds without overflow.
type sum128 struct{ hi, lo uint64 }

func (s *sum128) add(x int64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(x), 0)
	s.hi += uint64(x>>63) + carry
}

func (s *sum128) merge(o sum128) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

// q1Group is a group of query 1.
type q1Group struct{ quantity, price, discPrice, charge, discount, n sum128 }

type q1State struct {
	groups [1 << 16]*q1Group
	keys   []int
}

var q1Columns = []types.ColumnID{colQuantity, colPrice, colDiscount, colTax, colFlag, colStatus, colShip}

// q1 runs TPC-H query 1 with plain loops over vectors: what of the query is the store's, and the least that is not.
func q1(s *tablet.Snapshot, threads int) (string, error) {
	last := sqltypes.DaysOf(1998, 9, 2)
	states := make([]*q1State, threads)
	err := parallel(s, threads, q1Columns, nil, func(shard int, b *vec.Batch) {
		if states[shard] == nil {
			states[shard] = &q1State{}
		}
		states[shard].add(b, last)
	})
	if err != nil {
		return "", err
	}
	total := &q1State{}
	for _, st := range states {
		if st != nil {
			total.merge(st)
		}
	}
	return total.String(), nil
}

func (st *q1State) group(key int) *q1Group {
	g := st.groups[key]
	if g == nil {
		g = &q1Group{}
		st.groups[key] = g
		st.keys = append(st.keys, key)
	}
	return g
}

func (st *q1State) add(b *vec.Batch, last int64) {
	quantity, price, discount, tax := b.Cols[0].I64, b.Cols[1].I64, b.Cols[2].I64, b.Cols[3].I64
	flag, status, ship := b.Cols[4], b.Cols[5], b.Cols[6].I64
	// Sums of a batch fit 64 bits: 2,048 charges of less than 2^40.
	var sums [8][6]int64
	var index [8]int
	used := 0
	one := func(i int) {
		if ship[i] > last {
			return
		}
		key := int(flag.Data[flag.Off[i]])<<8 | int(status.Data[status.Off[i]])
		g := 0
		for g < used && index[g] != key {
			g++
		}
		if g == used {
			index[used] = key
			used++
		}
		disc := price[i] * (100 - discount[i])
		a := &sums[g]
		a[0] += quantity[i]
		a[1] += price[i]
		a[2] += disc
		a[3] += disc * (100 + tax[i])
		a[4] += discount[i]
		a[5]++
	}
	if b.Sel == nil {
		for i := range b.N {
			one(i)
		}
	} else {
		for rest := b.Sel; len(rest) > 0; {
			n, first := vec.RunLength(rest), int(rest[0])
			for i := first; i < first+n; i++ {
				one(i)
			}
			rest = rest[n:]
		}
	}
	for g := range used {
		to := st.group(index[g])
		for i, s := range []*sum128{&to.quantity, &to.price, &to.discPrice, &to.charge, &to.discount, &to.n} {
			s.add(sums[g][i])
		}
	}
}

func (st *q1State) merge(o *q1State) {
	for _, key := range o.keys {
		to, from := st.group(key), o.groups[key]
		to.quantity.merge(from.quantity)
		to.price.merge(from.price)
		to.discPrice.merge(from.discPrice)
		to.charge.merge(from.charge)
		to.discount.merge(from.discount)
		to.n.merge(from.n)
	}
}

// String prints the groups as those of the peers are printed: sums as integers of their scale.
func (st *q1State) String() string {
	var rows []string
	for flag := range 256 {
		for status := range 256 {
			if g := st.groups[flag<<8|status]; g != nil {
				rows = append(rows, fmt.Sprintf("%c|%c|%d|%d|%d|%d|%d", flag, status, g.quantity.lo, g.price.lo, g.discPrice.lo, g.charge.lo, g.n.lo))
			}
		}
	}
	return strings.Join(rows, "\n")
}

// q6State is what a thread of query 6 has added up, and room for the rows of a batch that are left.
type q6State struct {
	sum  int64
	rows []int32
}

// q6 is TPC-H query 6; zone maps do not help, as the rows are not sorted by date. It filters as SQL does: column by column and without
// branches, as one that nobody can foresee costs more than all else that is done for a row.
func q6(s *tablet.Snapshot, threads int) (int64, error) {
	states := make([]q6State, threads)
	for i := range states {
		states[i].rows = make([]int32, vec.MaxRows)
	}
	err := parallel(s, threads, []types.ColumnID{colShip, colDiscount, colQuantity, colPrice}, nil, func(shard int, b *vec.Batch) {
		states[shard].add(b)
	})
	total := int64(0)
	for i := range states {
		total += states[i].sum
	}
	return total, err
}

var q6From, q6To = sqltypes.DaysOf(1994, 1, 1), sqltypes.DaysOf(1995, 1, 1)

func (st *q6State) add(b *vec.Batch) {
	ship, discount, quantity, price := b.Cols[0].I64, b.Cols[1].I64, b.Cols[2].I64, b.Cols[3].I64
	rows := st.rows
	if b.Sel == nil {
		n, span := 0, uint64(q6To-1-q6From)
		for i, x := range ship {
			rows[n] = int32(i)
			n += passed(uint64(x-q6From) <= span)
		}
		rows = rows[:n]
	} else {
		rows = between(rows[:copy(rows, b.Sel)], ship, q6From, q6To-1)
	}
	rows = between(rows, discount, 5, 7)
	rows = between(rows, quantity, 0, 2399)
	for _, i := range rows {
		st.sum += price[i] * discount[i]
	}
}

// between leaves the rows whose values are from lo to hi.
func between(rows []int32, vals []int64, lo, hi int64) []int32 {
	n, span := 0, uint64(hi-lo)
	for _, i := range rows {
		rows[n] = i
		n += passed(uint64(vals[i]-lo) <= span)
	}
	return rows[:n]
}

// passed is one for a row that stays.
func passed(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// sumOf adds up one column, as SELECT sum(column) has the store do it.
func sumOf(s *tablet.Snapshot, col types.ColumnID) (int64, error) {
	it := s.Scan([]types.ColumnID{col}, tablet.ScanOptions{Reuse: true})
	total, totals := int64(0), make([]vec.Total, 1)
	for {
		_, b, err := it.AddUp(context.Background(), totals)
		if err != nil || b == nil {
			return total + int64(totals[0].Sum.Lo), err
		}
		if b.Sel == nil {
			for _, x := range b.Cols[0].I64 {
				total += x
			}
			continue
		}
		for _, i := range b.Sel {
			total += b.Cols[0].I64[i]
		}
	}
}

// parallel scans with one goroutine a shard.
func parallel(s *tablet.Snapshot, threads int, cols []types.ColumnID, prune []sought.Predicate, f func(shard int, b *vec.Batch)) error {
	errs := make([]error, threads)
	var group sync.WaitGroup
	for shard := range threads {
		group.Go(func() {
			it := s.Scan(cols, tablet.ScanOptions{Prune: prune, Shard: shard, Shards: threads, Reuse: true})
			for {
				b, err := it.Next(context.Background())
				if err != nil || b == nil {
					errs[shard] = err
					return
				}
				f(shard, b)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
