package catalog

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeAgainstMap drives a tree and a sorted slice alike, and checks that older trees stay what they were.
func TestTreeAgainstMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := newTree[int, int](cmp.Compare)
		model := map[int]int{}
		type snap struct {
			tr    tree[int, int]
			model map[int]int
		}
		var old []snap
		o := &owner{}
		space := rapid.SampledFrom([]int{20, 400, 5000}).Draw(rt, "space")
		steps := rapid.SliceOfN(rapid.IntRange(0, space*10), 0, 1500).Draw(rt, "steps")
		for i, s := range steps {
			k, op := s/10, s%10
			switch {
			case op < 6:
				tr = tr.set(o, k, i)
				model[k] = i
			case op < 9:
				tr = tr.del(o, k)
				delete(model, k)
			default:
				old = append(old, snap{tr, cloneMap(model)})
				o = &owner{}
			}
		}
		for _, s := range append(old, snap{tr, model}) {
			checkTree(rt, s.tr, s.model, space)
		}
	})
}

func cloneMap(m map[int]int) map[int]int {
	c := make(map[int]int, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func checkTree(t *rapid.T, tr tree[int, int], model map[int]int, space int) {
	var want []int
	for k := range model {
		want = append(want, k)
	}
	slices.Sort(want)
	if k, v, ok := tr.first(); ok != (len(want) > 0) || ok && (k != want[0] || v != model[k]) {
		t.Fatalf("the first entry is %d: %d, %v; the keys are %v", k, v, ok, want)
	}
	var got []int
	for k, v := range tr.all() {
		got = append(got, k)
		if model[k] != v {
			t.Fatalf("key %d holds %d, want %d", k, v, model[k])
		}
	}
	if !slices.Equal(got, want) || tr.len() != len(want) {
		t.Fatalf("keys %v (len %d), want %v", got, tr.len(), want)
	}
	for _, k := range []int{-1, 0, space / 3, space / 2, space - 1, space + 5} {
		at, hit := slices.BinarySearch(want, k)
		if _, ok := tr.get(k); ok != hit {
			t.Fatalf("get %d: %v, want %v", k, ok, hit)
		}
		var tail []int
		for key := range tr.from(k) {
			tail = append(tail, key)
		}
		if !slices.Equal(tail, want[at:]) {
			t.Fatalf("from %d: %v, want %v", k, tail, want[at:])
		}
		if hit {
			at++
		}
		fk, _, ok := tr.floor(k)
		if ok != (at > 0) || (ok && fk != want[at-1]) {
			t.Fatalf("floor of %d: %d %v", k, fk, ok)
		}
	}
}
