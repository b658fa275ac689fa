package tablet

import "stele/sql/vec"

// reused is what a scan with ScanOptions.Reuse fills again once the caller has done with it. Without Reuse it stays empty.
type reused struct {
	lent    []*vec.Vector // what the caller has
	lentSel []int32
	free    [][]*vec.Vector // by column
	freeSel [][]int32
}

// lend remembers what the caller gets: not the batch itself, as the caller may put other vectors into it.
func (r *reused) lend(b *vec.Batch) {
	r.lent = append(r.lent[:0], b.Cols...)
	r.lentSel = b.Sel
}

// takeBack takes what was lent of so many columns.
func (r *reused) takeBack(cols int) {
	if r.lentSel != nil {
		r.freeSel = append(r.freeSel, r.lentSel)
		r.lentSel = nil
	}
	if len(r.lent) == 0 {
		return
	}
	for c, v := range r.lent {
		r.give(c, v, cols)
	}
	r.lent = r.lent[:0]
}

// give takes a vector for column number c of so many.
func (r *reused) give(c int, v *vec.Vector, cols int) {
	if r.free == nil {
		r.free = make([][]*vec.Vector, cols)
	}
	if len(r.free[c]) < vectorsPerRead { // columns that no row group has are not filled again
		r.free[c] = append(r.free[c], v)
	}
}

// vector returns a vector for column number c of the scan: one to fill again, or a new one.
func (r *reused) vector(c int) *vec.Vector {
	if r.free == nil || len(r.free[c]) == 0 {
		return &vec.Vector{}
	}
	last := len(r.free[c]) - 1
	v := r.free[c][last]
	r.free[c] = r.free[c][:last]
	return v
}

// selection returns an empty selection with room for n rows.
func (r *reused) selection(n int) []int32 {
	if last := len(r.freeSel) - 1; last >= 0 && cap(r.freeSel[last]) >= n {
		sel := r.freeSel[last]
		r.freeSel = r.freeSel[:last]
		return sel[:0]
	}
	return make([]int32, 0, n)
}
