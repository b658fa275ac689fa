package exec

import (
	"math"

	"stele/sql/expr"
	"stele/sql/vec"
)

// fusedGroups is the most groups of a fusedSum: with more, carrying its sums over costs more than it saves.
const fusedGroups = 254

// fusedLanes is how many columns are added in one pass.
const fusedLanes = 4

// fusedRow is what a pass adds up for one group: the rows, then the columns.
type fusedRow [1 + fusedLanes]int64

// fusedSum counts rows and adds up columns of a batch by group, several columns a pass: the additions of a row then wait for each
// other no longer. Rows alternate between two tables for the same reason. Slot 0 is for rows that do not count.
type fusedSum struct {
	even, odd [fusedGroups + 1]fusedRow
}

// add adds up to fusedLanes columns by slot, and returns the sums for the slots below n.
func (f *fusedSum) add(slots []int32, n int, cols [][]int64) []fusedRow {
	even, odd := f.even[:n], f.odd[:n]
	clear(even)
	clear(odd)
	switch len(cols) {
	case 0:
		countSlots(even, odd, slots)
	case 1:
		addOne(even, odd, slots, cols[0])
	case 2:
		addTwo(even, odd, slots, cols[0], cols[1])
	case 3:
		addFour(even, odd, slots, cols[0], cols[1], cols[2], cols[2])
	default:
		addFour(even, odd, slots, cols[0], cols[1], cols[2], cols[3])
	}
	for g := range even {
		for k := range even[g] {
			even[g][k] += odd[g][k]
		}
	}
	return even
}

func countSlots(even, odd []fusedRow, slots []int32) {
	for len(slots) >= 2 {
		even[slots[0]][0]++
		odd[slots[1]][0]++
		slots = slots[2:]
	}
	for _, s := range slots {
		even[s][0]++
	}
}

func addOne(even, odd []fusedRow, slots []int32, a []int64) {
	a = a[:len(slots)]
	i := 0
	for ; i < len(slots)-1; i += 2 {
		x, y := &even[slots[i]], &odd[slots[i+1]]
		x[0]++
		x[1] += a[i]
		y[0]++
		y[1] += a[i+1]
	}
	if i < len(slots) {
		x := &even[slots[i]]
		x[0]++
		x[1] += a[i]
	}
}

func addTwo(even, odd []fusedRow, slots []int32, a, b []int64) {
	a, b = a[:len(slots)], b[:len(slots)]
	i := 0
	for ; i < len(slots)-1; i += 2 {
		x, y := &even[slots[i]], &odd[slots[i+1]]
		x[0]++
		x[1] += a[i]
		x[2] += b[i]
		y[0]++
		y[1] += a[i+1]
		y[2] += b[i+1]
	}
	if i < len(slots) {
		x := &even[slots[i]]
		x[0]++
		x[1] += a[i]
		x[2] += b[i]
	}
}

func addFour(even, odd []fusedRow, slots []int32, a, b, c, d []int64) {
	a, b, c, d = a[:len(slots)], b[:len(slots)], c[:len(slots)], d[:len(slots)]
	i := 0
	for ; i < len(slots)-1; i += 2 {
		x, y := &even[slots[i]], &odd[slots[i+1]]
		x[0]++
		x[1] += a[i]
		x[2] += b[i]
		x[3] += c[i]
		x[4] += d[i]
		y[0]++
		y[1] += a[i+1]
		y[2] += b[i+1]
		y[3] += c[i+1]
		y[4] += d[i+1]
	}
	if i < len(slots) {
		x := &even[slots[i]]
		x[0]++
		x[1] += a[i]
		x[2] += b[i]
		x[3] += c[i]
		x[4] += d[i]
	}
}

// fitsSum reports whether so many values can be added in 64 bits.
func fitsSum(c *expr.Ints, rows int) bool {
	return c.Max <= math.MaxInt64/uint64(max(rows, 1))
}

// total adds up the rows sel of a column, nil for all, and counts those that are not NULL.
func total(c *expr.Ints, sel []int32) (sum, n int64) {
	if sel == nil {
		return sumAll(c.V), int64(len(c.V)) - nullsAmong(c, nil)
	}
	if len(sel) > len(c.V)-len(c.V)/16 { // long runs
		for rest := sel; len(rest) > 0; {
			n := vec.RunLength(rest)
			sum += sumAll(c.V[rest[0]:][:n])
			rest = rest[n:]
		}
		return sum, int64(len(sel)) - nullsAmong(c, sel)
	}
	for _, i := range sel {
		sum += c.V[i]
	}
	return sum, int64(len(sel)) - nullsAmong(c, sel)
}

// sumAll adds in four registers: each addition waits for the one before.
func sumAll(vals []int64) int64 {
	var a, b, c, d int64
	for len(vals) >= 4 {
		a += vals[0]
		b += vals[1]
		c += vals[2]
		d += vals[3]
		vals = vals[4:]
	}
	for _, x := range vals {
		a += x
	}
	return a + b + c + d
}

func nullsAmong(c *expr.Ints, sel []int32) (n int64) {
	if c.Valid == nil {
		return 0
	}
	if sel == nil {
		v := vec.Vector{N: len(c.V), Valid: c.Valid}
		return int64(v.NullCount())
	}
	for _, i := range sel {
		n += int64(c.Valid[i>>6]>>(uint(i)&63)&1 ^ 1)
	}
	return n
}
