package exec

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// joinOp joins its left child, which streams, with its right child, which it holds: by a hash table over the keys,
// or row by row when there are none.
//
// Keys that are NULL match nothing. For JoinAntiNull every key pair is an operand pair of NOT IN, whose NULLs make the
// answer unknown, and On is the WHERE of the subquery; without keys On is the whole condition, and where it is NULL
// the answer is unknown.
//
// Beyond the memory limit both children are written to files by the hash of their keys, and each pair of files is
// joined by itself. Nested loops and JoinAntiNull, where any row can meet any other, and single keys with too many rows
// take the right side in blocks instead, and read the left side again for each.
type joinOp struct {
	env         *Env
	spec        *physical.Join
	left, right Stream
	level       int
	keysL       *exprSet
	keysR       *exprSet
	on          *expr.Program
	leftTypes   []types.ColumnType
	rightTypes  []types.ColumnType
	kept, asked pairColumns // what comes out, and what the condition asks for

	built  bool
	empty  bool // the left side, which was read first, has no row
	table  *buildTable
	acct   account
	probe  *probe
	parts  *pairParts
	blocks *blockJoin
	closed bool
}

func newJoin(n *physical.Node, left, right Stream, env *Env) (Stream, error) {
	j := &joinOp{env: env, spec: n.Join, left: left, right: right,
		leftTypes: schemaTypes(n.Children[0].Schema), rightTypes: schemaTypes(n.Children[1].Schema)}
	if len(n.Join.Left) != len(n.Join.Right) {
		return nil, fmt.Errorf("build join: %d left keys, %d right keys", len(n.Join.Left), len(n.Join.Right))
	}
	for i, l := range n.Join.Left {
		if r := n.Join.Right[i]; l.Type.Phys() != r.Type.Phys() || !comparableTypes(l.Type, r.Type) {
			return nil, fmt.Errorf("build join: the keys of pair %d have different types: the plan lacks a cast", i)
		}
	}
	var err error
	if j.keysL, err = compileAll(n.Join.Left, env.Expr); err != nil {
		return nil, err
	}
	if j.keysR, err = compileAll(n.Join.Right, env.Expr); err != nil {
		return nil, err
	}
	if n.Join.On != nil {
		if j.on, err = expr.Compile(n.Join.On, env.Expr); err != nil {
			return nil, fmt.Errorf("compile join condition: %w", err)
		}
	}
	j.kept, j.asked = pairColumnsOf(n.Join, len(j.leftTypes), len(j.rightTypes))
	j.acct.mem = env.Mem
	return j, nil
}

// pairColumns are some columns of a pair of rows, by their positions in the left and in the right one.
type pairColumns struct{ left, right []int }

// pairColumnsOf returns what a join of children of these widths puts out, and what its condition asks for.
func pairColumnsOf(j *physical.Join, left, right int) (kept, asked pairColumns) {
	if j.Keep == nil {
		kept.left = positions(left)
		if yieldsPairs(j.Kind) {
			kept.right = positions(right)
		}
	}
	for _, c := range j.Keep {
		kept.add(c, left)
	}
	if j.On != nil {
		for _, c := range slices.Sorted(maps.Keys(expr.Columns(j.On))) {
			asked.add(c, left)
		}
	}
	return kept, asked
}

// yieldsPairs reports whether rows of the right side come out, too.
func yieldsPairs(kind physical.JoinKind) bool {
	return kind == physical.JoinInner || kind == physical.JoinLeft || kind == physical.JoinScalar
}

// add adds a column by its position among those of both sides, the left one of which has width.
func (c *pairColumns) add(pos, width int) {
	if pos < width {
		c.left = append(c.left, pos)
		return
	}
	c.right = append(c.right, pos-width)
}

// positions lists 0..n-1.
func positions(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// comparableTypes reports whether equal values of the two types have equal representations.
func comparableTypes(a, b types.ColumnType) bool {
	if a.IsTemporal() || b.IsTemporal() { // dates count days, datetimes microseconds, timestamps in another zone
		return a.Kind == b.Kind
	}
	if a.Kind == types.KindDecimal || b.Kind == types.KindDecimal {
		return a.Kind == b.Kind && a.Scale == b.Scale
	}
	return a.Unsigned == b.Unsigned || !a.IsInteger()
}

func schemaTypes(cols []physical.OutColumn) []types.ColumnType {
	ts := make([]types.ColumnType, len(cols))
	for i, c := range cols {
		ts[i] = c.Type
	}
	return ts
}

func (j *joinOp) Next(ctx context.Context) (*vec.Batch, error) {
	if j.closed {
		return nil, nil
	}
	if !j.built {
		if err := j.begin(ctx); err != nil {
			return nil, err
		}
		j.built = true
	}
	if j.empty {
		return nil, nil
	}
	switch {
	case j.parts != nil:
		return j.parts.next(ctx)
	case j.blocks != nil:
		return j.blocks.next(ctx)
	}
	return j.probe.next(ctx)
}

// begin reads what has to be there before the first row can be yielded.
func (j *joinOp) begin(ctx context.Context) (err error) {
	if j.spec.LeftFirst && j.gives() {
		if j.empty, err = j.readAhead(ctx); err != nil || j.empty {
			return err
		}
	}
	return j.build(ctx)
}

// build consumes the right child.
func (j *joinOp) build(ctx context.Context) error {
	j.table = newBuildTable(j)
	for {
		b, err := nextBatch(ctx, j.right)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := checkColumns(b, j.rightTypes); err != nil {
			return fmt.Errorf("join, right side: %w", err)
		}
		if err := j.table.add(b); err != nil {
			return err
		}
		if j.acct.resize(j.table.bytes()) {
			continue
		}
		if j.canSpill() {
			return j.spill(ctx)
		}
		j.acct.force(j.table.bytes())
		j.blocks, err = newBlockJoin(ctx, j)
		return err
	}
	j.right.Close()
	j.probe = newProbe(j, j.left)
	return j.giveRight()
}

// canSpill reports whether partitioning helps. It does not when the rows of a single key are too many.
func (j *joinOp) canSpill() bool {
	if j.table.keys == nil || j.spec.Kind == physical.JoinAntiNull {
		return false
	}
	return j.level == 0 || j.level < spillLevels && j.table.keys.len() > 1
}

// spill writes both children to files. What the table holds already goes first.
func (j *joinOp) spill(ctx context.Context) error {
	j.parts = newPairParts(j.env, j.level, j.part)
	for _, b := range j.table.rows.chunks {
		if err := j.spillBatch(j.parts.right, j.keysR, b, false); err != nil {
			return err
		}
	}
	j.table = nil
	j.acct.free()
	if err := j.drain(ctx, j.right, j.parts.right, j.keysR, false); err != nil {
		return err
	}
	keepNulls := j.spec.Kind == physical.JoinLeft || j.spec.Kind == physical.JoinScalar || j.spec.Kind == physical.JoinAnti
	return j.drain(ctx, j.left, j.parts.left, j.keysL, keepNulls)
}

// part returns a join of the same kind over one pair of files.
func (j *joinOp) part(left, right Stream) Stream {
	return &joinOp{env: j.env, spec: j.spec, left: left, right: right, level: j.level + 1, keysL: j.keysL, keysR: j.keysR,
		on: j.on, leftTypes: j.leftTypes, rightTypes: j.rightTypes, kept: j.kept, asked: j.asked, acct: account{mem: j.env.Mem}}
}

// drain writes all that is left of one child.
func (j *joinOp) drain(ctx context.Context, in Stream, to *partition, exprs *exprSet, keepNulls bool) error {
	ts := j.leftTypes
	if to == j.parts.right {
		ts = j.rightTypes
	}
	for {
		b, err := nextBatch(ctx, in)
		if err != nil {
			return err
		}
		if b == nil {
			in.Close()
			return nil
		}
		if err := checkColumns(b, ts); err != nil {
			return fmt.Errorf("join: %w", err)
		}
		if err := j.spillBatch(to, exprs, b, keepNulls); err != nil {
			return err
		}
	}
}

func (j *joinOp) spillBatch(p *partition, exprs *exprSet, b *vec.Batch, keepNulls bool) error {
	b = b.Compact()
	keys, err := exprs.eval(b)
	if err != nil {
		return err
	}
	rows := rowsOf(b)
	if !keepNulls {
		rows = withoutNulls(keys, rows)
	}
	return p.add(b, keys, rows)
}

func (j *joinOp) Close() {
	if j.closed {
		return
	}
	j.closed = true
	j.left.Close()
	j.right.Close()
	j.parts.close()
	j.blocks.close()
	j.table, j.probe = nil, nil
	j.acct.free()
}

// buildTable is the right side of a join: its rows, and, once all are there, those of each key side by side in order of arrival.
type buildTable struct {
	join  *joinOp
	rows  rowStore
	all   []rowRef // by row number; where rows are found by their keys alone there is none
	keys  *keyTable
	of    []int32  // row number -> its key, -1 = none
	byKey []rowRef // those with a key, once group has been called
	start []int32  // key -> where its rows begin in byKey; one more for the end. nil = each key has one row, at its number
	ready bool     // group has been called
	nulls []int32  // rows with a NULL in their key (JoinAntiNull)
	vals  [][]*vec.Vector
	// widest is the size of the largest chunk, and so a bound for a row.
	widest int64
}

func newBuildTable(j *joinOp) *buildTable {
	t := &buildTable{join: j}
	if len(j.spec.Right) > 0 {
		t.keys = newKeyTable(nodeTypes(j.spec.Right))
	}
	return t
}

func (t *buildTable) bytes() int64 {
	n := t.rows.size + int64(cap(t.all))*8 + int64(cap(t.of)+cap(t.nulls))*4
	if t.keys != nil { // with what group will make
		n += t.keys.bytes() + int64(len(t.of))*8 + int64(t.keys.len())*8
	}
	return n
}

func (t *buildTable) add(b *vec.Batch) error {
	b = b.Compact()
	keys, err := t.join.keysR.eval(b)
	if err != nil {
		return err
	}
	rows := withoutNulls(keys, rowsOf(b))
	keepNulls := t.keys == nil || t.join.spec.Kind == physical.JoinAntiNull
	if len(rows) < b.N && !keepNulls { // rows that can match nothing need not be held
		if b = selectRows(b, rows).Compact(); b.N == 0 {
			return nil
		}
		for i, k := range keys {
			keys[i] = k.Gather(rows)
		}
		rows = rowsOf(b)
	}
	base, chunk := t.rows.n, len(t.rows.chunks)
	t.rows.add(b)
	t.widest = max(t.widest, batchBytes(b))
	if keepNulls {
		for r := range b.N {
			t.all = append(t.all, refOf(chunk, r))
		}
	}
	if t.keys == nil {
		return nil
	}
	if t.join.spec.Kind == physical.JoinAntiNull {
		t.keepNullKeys(base, b.N, keys)
	}
	t.number(base, b.N, keys, rows)
	return nil
}

// number notes the keys of n rows from base on, of which those in rows have one.
func (t *buildTable) number(base, n int, keys []*vec.Vector, rows []int32) {
	t.of = growTo(t.of, base+n)
	of := t.of[base:]
	if len(rows) == n {
		t.keys.assign(keys, rows, of, nil)
		return
	}
	ids := make([]int32, len(rows))
	t.keys.assign(keys, rows, ids, nil)
	for i := range of {
		of[i] = -1
	}
	for i, r := range rows {
		of[r] = ids[i]
	}
}

// group puts the rows of each key side by side, so that whoever wants them all reads on. No row is added behind it.
func (t *buildTable) group() {
	t.ready = true
	if t.keys == nil {
		return
	}
	if len(t.of) == t.keys.len() { // keys have the numbers of the rows that have brought them
		t.byKey = t.rows.refs()
		t.of = nil
		return
	}
	t.start = make([]int32, t.keys.len()+1)
	n := 0
	for _, id := range t.of {
		if id >= 0 {
			t.start[id]++
			n++
		}
	}
	end := int32(0)
	for id, count := range t.start { // where those of a key end: they are put in from behind
		end += count
		t.start[id] = end
	}
	t.byKey = make([]rowRef, n)
	row := len(t.of)
	for chunk := len(t.rows.chunks) - 1; chunk >= 0; chunk-- {
		for r := t.rows.chunks[chunk].N - 1; r >= 0; r-- {
			row--
			if id := t.of[row]; id >= 0 {
				t.start[id]--
				t.byKey[t.start[id]] = refOf(chunk, r)
			}
		}
	}
	t.of = nil
}

// span returns where the rows of a key are in byKey.
func (t *buildTable) span(id int32) (from, to int32) {
	if t.start == nil {
		return id, id + 1
	}
	return t.start[id], t.start[id+1]
}

// keepNullKeys remembers the key vectors, to compare rows by three-valued logic, and which rows need it.
func (t *buildTable) keepNullKeys(base, n int, keys []*vec.Vector) {
	t.vals = append(t.vals, keys)
	for _, k := range keys {
		t.rows.size += int64(k.Size())
	}
	for r := range n {
		for _, k := range keys {
			if k.IsNull(r) {
				t.nulls = append(t.nulls, int32(base+r))
				break
			}
		}
	}
}
