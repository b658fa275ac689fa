package catalog

import (
	"iter"
	"slices"
)

// Width of a tree node. A commit copies one node a level: 32 entries keep that near 1 KiB, and ten million entries
// five levels deep.
const (
	nodeMax = 32
	nodeMin = nodeMax / 4
)

// owner is the mark of one edit: nodes that carry it were made by that edit and may be changed in place. It is not
// empty, because pointers to empty structs need not be distinct.
type owner struct{ _ byte }

// tree is a persistent ordered map (a B+ tree without leaf links). A tree value is a snapshot: set and del return
// the changed tree and leave the receiver's nodes as they were, except for nodes that the same owner made.
type tree[K, V any] struct {
	root *node[K, V]
	n    int
	cmp  func(a, b K) int
}

// node is a leaf (vals) or an inner node (kids; keys[i] is the smallest key below kids[i], or smaller).
type node[K, V any] struct {
	by   *owner
	keys []K
	vals []V
	kids []*node[K, V]
}

func newTree[K, V any](cmp func(a, b K) int) tree[K, V] { return tree[K, V]{cmp: cmp} }

func (t tree[K, V]) len() int { return t.n }

func (t tree[K, V]) get(k K) (V, bool) {
	n := t.root
	for n != nil && n.kids != nil {
		n = n.kids[t.child(n, k)]
	}
	if n != nil {
		if i, ok := t.find(n.keys, k); ok {
			return n.vals[i], true
		}
	}
	var zero V
	return zero, false
}

// find is slices.BinarySearchFunc, which looks at both ends first: ids grow, so most new entries go to the end, and what is forgotten goes
// from the beginning.
func (t tree[K, V]) find(keys []K, k K) (int, bool) {
	last := len(keys) - 1
	if last < 0 {
		return 0, false
	}
	if c := t.cmp(keys[last], k); c < 0 {
		return last + 1, false
	} else if c == 0 {
		return last, true
	}
	if c := t.cmp(keys[0], k); c >= 0 {
		return 0, c == 0
	}
	return slices.BinarySearchFunc(keys, k, t.cmp)
}

// child returns which kid of the inner node n holds k.
func (t tree[K, V]) child(n *node[K, V], k K) int {
	i, ok := t.find(n.keys, k)
	if !ok && i > 0 {
		i--
	}
	return i
}

// mine returns n itself when o made it, else a copy that o owns.
func (n *node[K, V]) mine(o *owner) *node[K, V] {
	if n.by == o {
		return n
	}
	c := &node[K, V]{by: o, keys: append(make([]K, 0, len(n.keys)+1), n.keys...)}
	if n.kids != nil {
		c.kids = append(make([]*node[K, V], 0, len(n.kids)+1), n.kids...)
	} else {
		c.vals = append(make([]V, 0, len(n.vals)+1), n.vals...)
	}
	return c
}

// set returns the tree with k at v.
func (t tree[K, V]) set(o *owner, k K, v V) tree[K, V] {
	if t.root == nil {
		t.root, t.n = &node[K, V]{by: o, keys: []K{k}, vals: []V{v}}, 1
		return t
	}
	root, right, added := t.insert(o, t.root, k, v)
	if right != nil {
		root = &node[K, V]{by: o, keys: []K{root.keys[0], right.keys[0]}, kids: []*node[K, V]{root, right}}
	}
	t.root = root
	if added {
		t.n++
	}
	return t
}

func (t tree[K, V]) insert(o *owner, n *node[K, V], k K, v V) (left, right *node[K, V], added bool) {
	n = n.mine(o)
	if n.kids == nil {
		i, ok := t.find(n.keys, k)
		if ok {
			n.vals[i] = v
			return n, nil, false
		}
		n.keys = slices.Insert(n.keys, i, k)
		n.vals = slices.Insert(n.vals, i, v)
		left, right = n.split(o)
		return left, right, true
	}
	i := t.child(n, k)
	kid, sib, added := t.insert(o, n.kids[i], k, v)
	n.kids[i], n.keys[i] = kid, kid.keys[0]
	if sib != nil {
		n.keys = slices.Insert(n.keys, i+1, sib.keys[0])
		n.kids = slices.Insert(n.kids, i+1, sib)
	}
	left, right = n.split(o)
	return left, right, added
}

// split halves an overfull node. Ascending inserts are the rule (ids grow), so the left part stays nearly full.
func (n *node[K, V]) split(o *owner) (left, right *node[K, V]) {
	if len(n.keys) <= nodeMax {
		return n, nil
	}
	at := len(n.keys) * 3 / 4
	right = &node[K, V]{by: o, keys: slices.Clone(n.keys[at:])}
	// The left part is copied as well: it seldom grows again, and what it grew to so far would be kept with it.
	n.keys = append(make([]K, 0, at), n.keys[:at]...)
	if n.kids != nil {
		right.kids = slices.Clone(n.kids[at:])
		n.kids = append(make([]*node[K, V], 0, at), n.kids[:at]...)
	} else {
		right.vals = slices.Clone(n.vals[at:])
		n.vals = append(make([]V, 0, at), n.vals[:at]...)
	}
	return n, right
}

// del returns the tree without k.
func (t tree[K, V]) del(o *owner, k K) tree[K, V] {
	if _, ok := t.get(k); !ok {
		return t
	}
	t.root = t.remove(o, t.root, k)
	t.n--
	for t.root != nil && t.root.kids != nil && len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
	if t.n == 0 {
		t.root = nil
	}
	return t
}

// remove takes k, which is there, out of n. An emptied leaf is returned empty; its parent drops or merges it.
func (t tree[K, V]) remove(o *owner, n *node[K, V], k K) *node[K, V] {
	n = n.mine(o)
	if n.kids == nil {
		i, _ := t.find(n.keys, k)
		n.keys = slices.Delete(n.keys, i, i+1)
		n.vals = slices.Delete(n.vals, i, i+1)
		return n
	}
	i := t.child(n, k)
	kid := t.remove(o, n.kids[i], k)
	n.kids[i] = kid
	switch {
	case len(kid.keys) == 0:
		n.keys = slices.Delete(n.keys, i, i+1)
		n.kids = slices.Delete(n.kids, i, i+1)
		return n
	case len(kid.keys) < nodeMin && len(n.kids) > 1:
		n.merge(o, max(i-1, 0))
	default:
		n.keys[i] = kid.keys[0]
	}
	return n
}

// merge joins kids i and i+1 when they fit in one node; otherwise it leaves them, as a thin node does no harm.
func (n *node[K, V]) merge(o *owner, i int) {
	a, b := n.kids[i], n.kids[i+1]
	n.keys[i], n.keys[i+1] = a.keys[0], b.keys[0]
	if len(a.keys)+len(b.keys) > nodeMax {
		return
	}
	a = a.mine(o)
	a.keys = append(a.keys, b.keys...)
	if a.kids != nil {
		a.kids = append(a.kids, b.kids...)
	} else {
		a.vals = append(a.vals, b.vals...)
	}
	n.kids[i] = a
	n.keys = slices.Delete(n.keys, i+1, i+2)
	n.kids = slices.Delete(n.kids, i+1, i+2)
}

// first returns the entry with the smallest key.
func (t tree[K, V]) first() (k K, v V, ok bool) {
	n := t.root
	for n != nil && n.kids != nil {
		n = n.kids[0]
	}
	if n == nil || len(n.keys) == 0 {
		return k, v, false
	}
	return n.keys[0], n.vals[0], true
}

// from yields the entries with keys >= k in order.
func (t tree[K, V]) from(k K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.walk(t.root, &k, yield)
		}
	}
}

// all yields every entry in order.
func (t tree[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.walk(t.root, nil, yield)
		}
	}
}

func (t tree[K, V]) walk(n *node[K, V], k *K, yield func(K, V) bool) bool {
	i := 0
	if n.kids != nil {
		if k != nil {
			i = t.child(n, *k)
		}
		for ; i < len(n.kids); i++ {
			if !t.walk(n.kids[i], k, yield) {
				return false
			}
			k = nil // only the first kid can hold smaller keys
		}
		return true
	}
	if k != nil {
		i, _ = t.find(n.keys, *k)
	}
	for ; i < len(n.keys); i++ {
		if !yield(n.keys[i], n.vals[i]) {
			return false
		}
	}
	return true
}

// floor returns the entry with the greatest key <= k.
func (t tree[K, V]) floor(k K) (K, V, bool) {
	if t.root != nil {
		return t.floorIn(t.root, k)
	}
	var zk K
	var zv V
	return zk, zv, false
}

func (t tree[K, V]) floorIn(n *node[K, V], k K) (fk K, fv V, ok bool) {
	if n.kids != nil {
		// A key of an inner node may be smaller than what is below it, hence the step to the left.
		for i := t.child(n, k); i >= 0 && !ok; i-- {
			fk, fv, ok = t.floorIn(n.kids[i], k)
		}
		return fk, fv, ok
	}
	i, hit := t.find(n.keys, k)
	if !hit {
		i--
	}
	if i < 0 {
		return fk, fv, false
	}
	return n.keys[i], n.vals[i], true
}
