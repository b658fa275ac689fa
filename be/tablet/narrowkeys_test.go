package tablet

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/be/tablet/sought"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// keyKinds are types of key columns, and some of their values in their order: next to each other, at the ends, and around zero.
var keyKinds = []struct {
	kind   types.ColumnType
	values []int64
}{
	{types.ColumnType{Kind: types.KindBigInt, NotNull: true}, []int64{math.MinInt64, math.MinInt64 + 1, -3, -1, 0, 1, 2, 7, math.MaxInt64 - 1, math.MaxInt64}},
	{types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}, []int64{0, 1, 2, 5, math.MaxInt64, math.MinInt64, -2, -1}},
	{types.ColumnType{Kind: types.KindDecimal, Length: 10, Scale: 2, NotNull: true}, []int64{-500, -1, 0, 1, 99, 100, 500}},
	{types.ColumnType{Kind: types.KindInt}, []int64{-2, -1, 0, 1, 2}}, // may be NULL
	{types.ColumnType{Kind: types.KindVarChar, Length: 10, NotNull: true}, []int64{1, 2, 3, 4, 5}},
}

// null stands for NULL among the places of a key in its columns' values.
const null = -1

// keysTable is a tablet with a key of some of the kinds, and its rows by the places of their key's values.
type keysTable struct {
	tb     *Tablet
	schema types.Schema
	kinds  []int
	rows   map[[3]int]int64
}

func (k *keysTable) draw(t *rapid.T) (place [3]int) {
	for i, kind := range k.kinds {
		lowest := 0
		if !keyKinds[kind].kind.NotNull {
			lowest = null
		}
		place[i] = rapid.IntRange(lowest, len(keyKinds[kind].values)-1).Draw(t, "place")
	}
	return place
}

func appendPlace(v *vec.Vector, kind, place int) {
	one := rowset.NewVector(v.Type, 1)
	switch {
	case place == null:
		rowset.AppendNull(v)
		return
	case v.Type.Phys() == types.PhysBytes:
		one.Data, one.Off = fmt.Append(nil, place), []uint32{0, 1}
	default:
		one.I64 = []int64{keyKinds[kind].values[place]}
	}
	one.N = 1
	rowset.AppendRow(v, one, 0)
}

// write puts rows, and deletes some of those that are there.
func (k *keysTable) write(rt *rapid.T, t *testing.T) {
	var places [][3]int
	for range rapid.IntRange(1, 60).Draw(rt, "rows") {
		if place := k.draw(rt); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	b := &vec.Batch{N: len(places)}
	for i := range k.schema.Columns {
		b.Cols = append(b.Cols, rowset.NewVector(k.schema.Columns[i].Type, len(places)))
	}
	ops := make([]types.RowOp, len(places))
	for row, place := range places {
		for i, kind := range k.kinds {
			appendPlace(b.Cols[i], kind, place[i])
		}
		n := rapid.Int64Range(0, 1000).Draw(rt, "n")
		rowset.AppendRow(b.Cols[len(k.kinds)], &vec.Vector{N: 1, I64: []int64{n}}, 0)
		if rapid.IntRange(0, 2).Draw(rt, "delete") == 0 {
			ops[row] = types.OpDelete
			delete(k.rows, place)
		} else {
			k.rows[place] = n
		}
	}
	payload, err := wire.Encode(&k.schema, ops, b)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, k.tb, payload)
}

// satisfies reports whether a key is one that predicates want; the values of predicates are places.
func (k *keysTable) satisfies(place [3]int, prune []sought.Predicate, at []int) bool {
	for i, p := range prune {
		c := cmp.Compare(place[p.Column-1], at[i])
		pass := c == 0 && p.Op != sought.OpLT && p.Op != sought.OpGT || c < 0 && (p.Op == sought.OpLT || p.Op == sought.OpLE) || c > 0 && (p.Op == sought.OpGT || p.Op == sought.OpGE)
		if !pass || place[p.Column-1] == null {
			return false
		}
	}
	return true
}

func (k *keysTable) check(rt *rapid.T, t *testing.T) {
	var prune []sought.Predicate
	var at []int
	pinned := rapid.IntRange(0, len(k.kinds)-1).Draw(rt, "pinned") // columns that equal one value, before one in whose order rows may lie then
	for n := range pinned + rapid.IntRange(0, 5).Draw(rt, "predicates") {
		i := rapid.IntRange(0, len(k.kinds)-1).Draw(rt, "column")
		if n < pinned {
			i = n
		}
		values := keyKinds[k.kinds[i]].values
		place := rapid.IntRange(0, len(values)-1).Draw(rt, "place")
		p := sought.Predicate{Column: types.ColumnID(i + 1), Op: sought.CompareOp(rapid.IntRange(0, 4).Draw(rt, "op"))}
		p.Value.I = values[place]
		if n < pinned {
			p.Op = sought.OpEQ
		}
		if keyKinds[k.kinds[i]].kind.Phys() == types.PhysBytes {
			p.Value.I, p.Value.B = 0, fmt.Append(nil, place)
		}
		prune, at = append(prune, p), append(at, place)
	}
	s, err := k.tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	wants := func(place [3]int) bool { return k.satisfies(place, prune, at) }
	opt := ScanOptions{Prune: prune, Reuse: rapid.Bool().Draw(rt, "reuse")}
	if rapid.Bool().Draw(rt, "first") {
		opt.First = &First{Column: types.ColumnID(rapid.IntRange(pinned+1, len(k.kinds)).Draw(rt, "by")), Desc: rapid.Bool().Draw(rt, "desc"),
			N: rapid.IntRange(1, 9).Draw(rt, "n"), Ties: true}
		opt.Filter = k.filter(wants)
		wants = k.among(opt.First, wants)
	}
	left, missing := map[string][3]int{}, 0 // rows that were not returned yet, and those of them that are wanted
	for place := range k.rows {
		if left[k.key(place)] = place; wants(place) {
			missing++
		}
	}
	cols := append(slices.Clone(k.schema.Key), types.ColumnID(len(k.kinds)+1))
	it := s.Scan(cols, opt)
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		for i, key := range vec.EncodeKeys(b, k.schema.KeyIndexes()) {
			place, there := left[string(key)]
			if got := b.Cols[len(k.kinds)].I64[b.Row(i)]; !there || k.rows[place] != got {
				rt.Fatalf("key %x with %d, want %d (there, and not twice: %v)", key, got, k.rows[place], there)
			}
			if delete(left, string(key)); wants(place) {
				missing--
			}
		}
	}
	if missing != 0 {
		rt.Fatalf("%d rows of %d are missing for %+v, %+v of kinds %v", missing, len(k.rows), prune, opt.First, k.kinds)
	}
}

// filter has rows pass whose keys are wanted.
func (k *keysTable) filter(wants func([3]int) bool) *Filter {
	places := map[string][3]int{}
	for place := range k.rows {
		places[k.key(place)] = place
	}
	at := make([]int, len(k.kinds))
	for i := range at {
		at[i] = i
	}
	return &Filter{Columns: at, Keep: func(b *vec.Batch) (sel []int32, err error) {
		for i, key := range vec.EncodeKeys(b, at) {
			if place, there := places[string(key)]; there && wants(place) {
				sel = append(sel, int32(b.Row(i)))
			}
		}
		return sel, nil
	}}
}

// among narrows what is wanted to the first ones.
func (k *keysTable) among(f *First, wants func([3]int) bool) func([3]int) bool {
	var values []int
	by := func(place [3]int) int {
		if f.Desc {
			return -place[f.Column-1]
		}
		return place[f.Column-1]
	}
	for place := range k.rows {
		if wants(place) {
			values = append(values, by(place))
		}
	}
	slices.Sort(values)
	if len(values) < f.N {
		return wants
	}
	last := values[f.N-1]
	return func(place [3]int) bool { return wants(place) && by(place) <= last }
}

func (k *keysTable) key(place [3]int) string {
	var key []byte
	for i, kind := range k.kinds {
		v := rowset.NewVector(k.schema.Columns[i].Type, 1)
		appendPlace(v, kind, place[i])
		key = vec.AppendKey(key, v, 0)
	}
	return string(key)
}

// TestNarrowKeys: whatever a key consists of, a scan returns the rows that predicates on it want, as they are in a model.
func TestNarrowKeys(t *testing.T) {
	store := openStore(t, t.TempDir(), testOptions())
	id := types.TabletID(0)
	rapid.Check(t, func(rt *rapid.T) {
		id++
		k := &keysTable{kinds: rapid.SliceOfN(rapid.IntRange(0, len(keyKinds)-1), 1, 3).Draw(rt, "kinds"), rows: map[[3]int]int64{}}
		k.schema = types.Schema{TableID: 1, Version: 1}
		for i, kind := range k.kinds {
			k.schema.Key = append(k.schema.Key, types.ColumnID(i+1))
			k.schema.Columns = append(k.schema.Columns, types.Column{ID: types.ColumnID(i + 1), Name: fmt.Sprint("k", i), Type: keyKinds[kind].kind})
		}
		k.schema.Columns = append(k.schema.Columns, types.Column{ID: types.ColumnID(len(k.kinds) + 1), Name: "n", Type: types.ColumnType{Kind: types.KindBigInt}})
		meta := testMeta(id)
		meta.Schema = k.schema
		var err error
		if k.tb, err = store.Create(meta); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			k.write(rt, t)
			switch rapid.IntRange(0, 3).Draw(rt, "then") {
			case 0:
				err = k.tb.Flush()
			case 1:
				err = k.tb.CompactAll(context.Background())
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				k.check(rt, t)
			}
		}
	})
}

// TestFirstBehindText: of rows with one text, which are in two row groups behind those with another, the first ones are found in the second.
func TestFirstBehindText(t *testing.T) {
	k := &keysTable{kinds: []int{4, 0}, rows: map[[3]int]int64{}}
	k.schema = types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1, 2}, Columns: []types.Column{
		{ID: 1, Name: "s", Type: keyKinds[4].kind}, {ID: 2, Name: "k", Type: keyKinds[0].kind}}}
	meta := testMeta(1)
	meta.Schema = k.schema
	var err error
	if k.tb, err = openStore(t, t.TempDir(), testOptions()).Create(meta); err != nil {
		t.Fatal(err)
	}
	for _, places := range [][][2]int{{{0, 5}, {2, 4}}, {{1, 8}, {1, 9}, {2, 3}, {2, 9}}} {
		b := &vec.Batch{N: len(places), Cols: []*vec.Vector{rowset.NewVector(k.schema.Columns[0].Type, 0), rowset.NewVector(k.schema.Columns[1].Type, 0)}}
		for _, place := range places {
			appendPlace(b.Cols[0], 4, place[0])
			appendPlace(b.Cols[1], 0, place[1])
		}
		for i := range 100 { // more than are read at once
			appendPlace(b.Cols[0], 4, 1)
			rowset.AppendRow(b.Cols[1], &vec.Vector{N: 1, I64: []int64{int64(1000*len(places) + i)}}, 0)
			b.N++
		}
		payload, err := wire.Encode(&k.schema, make([]types.RowOp, b.N), b)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, k.tb, payload)
		if err := k.tb.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := k.tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	opt := ScanOptions{Prune: []sought.Predicate{{Column: 1, Op: sought.OpEQ, Value: expr.Value{B: []byte("2")}}}, First: &First{Column: 2, N: 1},
		Filter: &Filter{Columns: []int{0}, Keep: func(b *vec.Batch) (sel []int32, err error) {
			for i := range b.Rows() {
				if string(b.Cols[0].Bytes(b.Row(i))) == "2" {
					sel = append(sel, int32(b.Row(i)))
				}
			}
			return sel, nil
		}}}
	least := int64(math.MaxInt64)
	it := s.Scan(k.schema.Key, opt)
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		sel, _ := opt.Filter.Keep(b)
		for _, row := range sel {
			least = min(least, b.Cols[1].I64[row])
		}
	}
	if want := keyKinds[0].values[3]; least != want {
		t.Errorf("the first one is %d, want %d", least, want)
	}
}
