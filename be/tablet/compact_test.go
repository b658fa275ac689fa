package tablet

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"stele/sql/rowset"
)

func TestPickCompaction(t *testing.T) {
	for _, c := range []struct {
		name string
		rows []uint32
		dead []int // rows that ended, by rowset
		want string
	}{
		{"nothing", nil, nil, "[]"},
		{"too few", []uint32{10, 10, 10, 10, 10}, nil, "[]"},
		{"similar", []uint32{10, 12, 30, 11, 40, 15, 9000}, nil, "[10 11 12 15 30 40]"},
		{"unlike", []uint32{1, 10, 100, 1000, 10000, 100000}, nil, "[]"},
		{"much dead", []uint32{10, 1000}, []int{0, 201}, "[1000]"},
		{"some dead", []uint32{10, 1000}, []int{0, 200}, "[]"},
		{"too many", geometric(22, 2.5), nil, fmt.Sprint(geometric(10, 2.5))},
		{"too big together", []uint32{6 << 20, 6 << 20, 6 << 20, 6 << 20, 6 << 20, 6 << 20}, nil, "[]"},
	} {
		var rs []*rowsetState
		for i, n := range c.rows {
			r := newRowsetState(1, rowsetEntry{ID: uint64(i + 1), Rows: n}, nil)
			if c.dead != nil {
				for pos := range c.dead[i] {
					r.deletes.Add(5, uint32(pos))
				}
			}
			rs = append(rs, r)
		}
		got := []uint32{}
		for _, r := range pickCompaction(defaultCompaction, rs, 5) {
			got = append(got, r.entry.Rows)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
		if picked := pickCompaction(defaultCompaction, rs, 4); c.dead != nil && len(picked) != 0 {
			t.Errorf("%s: rows that somebody may read are dropped", c.name)
		}
	}
}

// geometric returns n sizes that are too far apart to be similar in sixes.
func geometric(n int, factor float64) []uint32 {
	out := make([]uint32, n)
	x := 3.0
	for i := range out {
		out[i] = uint32(x)
		if x *= factor; x > 3e9 {
			x = 3e9
		}
	}
	return out
}

func TestMaintainKeepsRowsetsFew(t *testing.T) {
	opt := testOptions()
	opt.Flush = FlushLimits{Rows: 10, Bytes: 1 << 20, Versions: 100}
	opt.ReadAge = 1
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[rowKey]int64)
	for i := range 40 {
		var rows []row
		for j := range 10 {
			r := row{int64((i*3 + j) % 50), "a", int64(i)}
			rows = append(rows, r)
			want[rowKey{r.id, r.tag}] = r.val
		}
		commit(t, tb, puts(t, rows...))
		if err := s.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if st := tb.Stats(); st.Rowsets > 2*defaultCompaction.FanIn || st.Deltas >= 10 {
		t.Fatalf("%+v", st)
	}
	wantContents(t, tb, tb.Version(), want)
	stored := 0
	if err := s.data.ScanKeys([]byte{kIndex}, func([]byte) error { stored++; return nil }); err != nil {
		t.Fatal(err)
	}
	if stored != tb.Stats().Rowsets {
		t.Fatalf("%d rowsets are stored, %d are used", stored, tb.Stats().Rowsets)
	}
}

// TestLoadsStayApart: what a load has left in the order of keys is not merged, what overlaps is.
func TestLoadsStayApart(t *testing.T) {
	limits := defaultCompaction
	var apart, over []*rowsetState
	for i := range 40 {
		key := func(n int) []byte { return []byte{byte(n)} }
		entry := rowsetEntry{ID: uint64(i + 1), Rows: rowset.MaxGroupRows}
		apart = append(apart, newRowsetState(1, entry, []groupEntry{{Rows: entry.Rows, MinKey: key(2 * i), MaxKey: key(2*i + 1)}}))
		over = append(over, newRowsetState(1, entry, []groupEntry{{Rows: entry.Rows, MinKey: key(2 * i), MaxKey: key(2*i + 2)}}))
	}
	if got := pickCompaction(limits, apart, 0); got != nil {
		t.Errorf("%d rowsets of a load are merged", len(got))
	}
	if got := pickCompaction(limits, over, 0); len(got) < limits.FanIn {
		t.Errorf("%d rowsets that overlap are merged", len(got))
	}
	small := newRowsetState(1, rowsetEntry{ID: 99, Rows: 10}, []groupEntry{{Rows: 10, MinKey: []byte{7}, MaxKey: []byte{9}}})
	rest := beneath(append(slices.Clone(apart), small), fewApart)
	if len(rest) != 3 || !slices.Contains(rest, small) { // it, and the two that it overlaps
		t.Errorf("%d rowsets are merged when a small one overlaps two", len(rest))
	}
}

// TestSmallLoadsWaitForQuiet: small rowsets that lie apart, as INSERTs of many rows leave them, are merged when nothing more comes, or
// many have.
func TestSmallLoadsWaitForQuiet(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	rowsets := func(more int) int {
		for range more {
			commit(t, tb, groupedPuts(t, row{int64(2 * n), "a", 1}, row{int64(2*n + 1), "a", 2}))
			n++
		}
		now = now.Add(time.Second)
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := s.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
		return tb.Stats().Rowsets
	}
	if got := rowsets(fewApart + 1); got != fewApart+1 {
		t.Fatalf("%d rowsets while more may come, want %d", got, fewApart+1)
	}
	if tb.settled() {
		t.Fatal("the tablet is given up before they are merged")
	}
	if got := rowsets(manyApart); got != n-manyApart+1 {
		t.Fatalf("%d rowsets after many came, want %d", got, n-manyApart+1)
	}
	rowsets(fewApart)
	now = now.Add(quietAfter)
	if got := rowsets(0); got >= fewApart {
		t.Fatalf("%d rowsets although it is quiet", got)
	}
	if got := contents(t, tb, tb.Version()); len(got) != 2*n {
		t.Fatalf("%d rows of %d", len(got), 2*n)
	}
	now = now.Add(time.Hour)
	rowsets(0)
	if rowsets(0); !tb.settled() {
		t.Error("the tablet stays active")
	}
}
