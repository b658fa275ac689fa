package exec

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/keyset"
	"stele/sql/physical"
	"stele/sql/vec"
)

// givenJoin joins two scans by their first columns; the one that is read second takes the keys of the other.
func givenJoin(kind physical.JoinKind, leftFirst bool) *physical.Node {
	scan := func(table types.TableID) *physical.Node {
		return &physical.Node{Schema: []physical.OutColumn{{Name: "k", Type: tInt}},
			Scan: &physical.Scan{TableID: table, Tablets: []types.TabletID{1}}}
	}
	left, right := scan(1), scan(2)
	second := left
	if leftFirst {
		second = right
	}
	second.Scan.Takes = []physical.Take{{ID: 7, Expr: expr.Col(0, tInt)}}
	return &physical.Node{Children: []*physical.Node{left, right}, Schema: []physical.OutColumn{{Type: tInt}, {Type: tInt}},
		Join: &physical.Join{Kind: kind, Left: []*expr.Node{expr.Col(0, tInt)}, Right: []*expr.Node{expr.Col(0, tInt)}, Gives: []int{7}, LeftFirst: leftFirst}}
}

// asked is with what the second scan of a join was opened.
type asked struct {
	opened bool
	values []int64
	set    *keyset.Set
}

// runGiven runs a join and returns how many rows it yields, and what its second scan was asked for.
func runGiven(t *testing.T, n *physical.Node, left, right []int64, mem *Memory) (rows int, a asked) {
	t.Helper()
	env := &Env{Mem: mem, Scan: func(_ context.Context, s *physical.Scan) (Stream, error) {
		list := left
		if s.TableID == 2 {
			list = right
		}
		if f := s.Fragment.Filter; f != nil && f.Func == fn.AmongKeys {
			var err error
			if a.set, err = keyset.Read(f.Args[1].Value.B); err != nil {
				t.Fatal(err)
			}
			list = slices.DeleteFunc(slices.Clone(list), func(x int64) bool { return x < 0 || !a.set.Has(x) })
		} else if f != nil {
			for _, v := range f.Args[1:] {
				a.values = append(a.values, v.Value.I)
			}
		}
		a.opened = a.opened || len(n.Children[s.TableID-1].Scan.Takes) > 0
		var out []*vec.Batch
		for part := range slices.Chunk(list, vec.MaxRows) {
			v := vec.New(tInt, len(part))
			for i, x := range part {
				if v.I64[i] = x; x < 0 {
					v.SetNull(i)
				}
			}
			out = append(out, &vec.Batch{Cols: []*vec.Vector{v}, N: len(part)})
		}
		return FromBatches(out...), nil
	}}
	s, err := Build(n, env)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		b, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return rows, a
		}
		rows += b.Rows()
	}
}

func upTo(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// apart returns numbers that have a million others between them.
func apart(n int) []int64 {
	out := upTo(n)
	for i := range out {
		out[i] <<= 20
	}
	return out
}

func TestJoinGivesKeys(t *testing.T) {
	repeated := make([]int64, 3000)
	for i := range repeated {
		repeated[i] = int64(i % 3)
	}
	for _, c := range []struct {
		name        string
		kind        physical.JoinKind
		leftFirst   bool
		left, right []int64
		rows        int
		opened      bool
		values      []int64
		set         bool
	}{
		{"right keys, without NULL", physical.JoinInner, false, upTo(100), []int64{5, -1, 5, 7}, 3, true, []int64{5, 7}, false},
		{"left keys", physical.JoinLeft, true, []int64{5, 5, -1}, upTo(100), 3, true, []int64{5}, false},
		{"many rows of few keys", physical.JoinInner, false, upTo(10), repeated, 3000, true, []int64{0, 1, 2}, false},
		{"many keys on the right", physical.JoinInner, false, upTo(5000), upTo(maxGiven + 1), maxGiven + 1, true, nil, true},
		{"many keys on the left", physical.JoinLeft, true, upTo(maxGiven + 1), upTo(5000), maxGiven + 1, true, nil, true},
		{"many keys far apart", physical.JoinInner, false, upTo(1<<20 + 1), apart(maxGiven + 1), 2, true, nil, true},
		{"too many keys on the right", physical.JoinInner, false, upTo(10), apart(2 << 20), 1, true, nil, false},
		{"too many rows on the left", physical.JoinLeft, true, slices.Repeat([]int64{1}, 3*maxAhead), upTo(10), 3 * maxAhead, true, nil, false},
		{"no key on the right", physical.JoinInner, false, upTo(10), []int64{-1}, 0, false, nil, false},
		{"no key on the left", physical.JoinLeft, true, []int64{-1}, upTo(10), 1, false, nil, false},
		{"no row on the left", physical.JoinAnti, true, nil, upTo(10), 0, false, nil, false},
	} {
		rows, a := runGiven(t, givenJoin(c.kind, c.leftFirst), c.left, c.right, nil)
		slices.Sort(a.values)
		if rows != c.rows || a.opened != c.opened || !slices.Equal(a.values, c.values) || (a.set != nil) != c.set {
			t.Errorf("%s: %d rows, %+v; want %d, %t, %v, %t", c.name, rows, a, c.rows, c.opened, c.values, c.set)
		}
	}
}

// TestJoinReadsAheadWithinMemory has less memory than the rows that are read ahead need.
func TestJoinReadsAheadWithinMemory(t *testing.T) {
	mem := NewMemory(1 << 10)
	mem.floor = 1 << 10
	rows, a := runGiven(t, givenJoin(physical.JoinLeft, true), upTo(1000), nil, mem)
	if rows != 1000 || a.values != nil || a.set != nil {
		t.Errorf("%d rows instead of 1000, or keys were given: %+v", rows, a)
	}
	if mem.Used() != 0 {
		t.Errorf("%d bytes are held at the end", mem.Used())
	}
}

// TestLongKeysAreNotGiven has few keys that are too long to be sent.
func TestLongKeysAreNotGiven(t *testing.T) {
	c := vec.NewColumnBuilder(types.ColumnType{Kind: types.KindVarChar, Length: maxGivenBytes}, 3)
	for i := range 3 {
		c.AppendBytes(bytes.Repeat([]byte{'a' + byte(i)}, maxGivenBytes/2))
	}
	v := c.Finish()
	two, three := &vec.Batch{Cols: []*vec.Vector{v.Gather([]int32{0, 1})}, N: 2}, &vec.Batch{Cols: []*vec.Vector{v}, N: 3}
	if values, few := distinct([]*vec.Batch{two}, 0); !few || len(values) != 2 {
		t.Errorf("two keys that just fit: %d, %t", len(values), few)
	}
	if values, few := distinct([]*vec.Batch{three}, 0); few {
		t.Errorf("%d keys of %d bytes are given", len(values), 3*maxGivenBytes/2)
	}
}
