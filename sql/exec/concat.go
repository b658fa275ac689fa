package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/vec"
)

// defaultConcatMaxLen is MySQL's group_concat_max_len in bytes.
const defaultConcatMaxLen = 1024

// concatAcc is GROUP_CONCAT, and gathers the parts of JSON_ARRAYAGG and JSON_OBJECTAGG. State (BLOB): entries of a sort key and a value, each with its length in front, in order
// of arrival; NULL when there is none. Without ORDER BY, entries beyond the maximal length are not kept.
type concatAcc struct {
	sep     string
	order   []expr.SortKey
	maxLen  int
	binary  bool
	json    string // the aggregate that makes a document of the values
	entries [][]byte
	length  []int // bytes of the values and separators in entries
	set     *groupSet
	held    int64
	key     []byte
}

func newConcat(s aggSpec) *concatAcc {
	a := &concatAcc{sep: s.f.Sep, order: s.f.Order, maxLen: int(s.maxLen), binary: s.f.Type.Kind == types.KindBlob}
	if a.maxLen <= 0 {
		a.maxLen = defaultConcatMaxLen
	}
	if s.f.Distinct {
		a.set = newGroupSet()
	}
	return a
}

func (a *concatAcc) grow(n int) {
	a.entries, a.length = growTo(a.entries, n), growTo(a.length, n)
	if a.set != nil {
		a.set.grow(n)
	}
}

func (a *concatAcc) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	for i, g := range ids {
		r := int(rows[i])
		if v.IsNull(r) || a.full(g) {
			continue
		}
		a.key = a.key[:0]
		for k, o := range a.order {
			a.key = appendSortKey(a.key, args[1+k], r, o.Desc)
		}
		a.add(g, a.key, v.Bytes(r))
	}
	return nil
}

// full reports whether nothing that is added to group g can show.
func (a *concatAcc) full(g int32) bool { return len(a.order) == 0 && a.length[g] > a.maxLen }

func (a *concatAcc) add(g int32, key, value []byte) {
	if a.set != nil && !a.set.insert(g, append(a.set.begin(g), value...)) {
		return
	}
	old := a.entries[g]
	e := appendEntry(appendEntry(old, key), value)
	a.held += int64(cap(e) - cap(old))
	a.entries[g] = e
	a.length[g] += len(value) + len(a.sep)
}

func (a *concatAcc) merge(ids, rows []int32, state []*vec.Vector) error {
	for i, g := range ids {
		r := int(rows[i])
		if state[0].IsNull(r) {
			continue
		}
		rest := state[0].Bytes(r)
		for len(rest) > 0 && !a.full(g) {
			key, value, after, ok := cutEntry(rest)
			if !ok {
				return fmt.Errorf("merge group_concat: state of %d bytes is cut off", len(rest))
			}
			a.add(g, key, value)
			rest = after
		}
	}
	return nil
}

func (a *concatAcc) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for _, e := range a.entries[lo:hi] {
		if e == nil {
			dst[0].AppendNull()
		} else {
			dst[0].AppendBytes(e)
		}
	}
}

func (a *concatAcc) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	for _, e := range a.entries[lo:hi] {
		if e == nil {
			dst.AppendNull()
			continue
		}
		if a.json != "" {
			doc, err := fn.JoinJSON(a.json == "json_objectagg", entryValues(e))
			if err != nil {
				return err
			}
			dst.AppendBytes(doc)
			continue
		}
		dst.AppendBytes(a.join(e))
	}
	return nil
}

// entryValues are the values of entries, in order of arrival.
func entryValues(entries []byte) [][]byte {
	var values [][]byte
	for len(entries) > 0 {
		_, value, rest, _ := cutEntry(entries)
		values, entries = append(values, value), rest
	}
	return values
}

// join makes the text of one group.
func (a *concatAcc) join(entries []byte) []byte {
	var keys, values [][]byte
	for len(entries) > 0 {
		key, value, rest, _ := cutEntry(entries)
		keys, values, entries = append(keys, key), append(values, value), rest
	}
	at := countTo(len(values))
	if len(a.order) > 0 {
		slices.SortStableFunc(at, func(x, y int32) int { return bytes.Compare(keys[x], keys[y]) })
	}
	var out []byte
	for i, k := range at {
		if i > 0 {
			out = append(out, a.sep...)
		}
		out = append(out, values[k]...)
		if len(out) > a.maxLen {
			return a.cut(out)
		}
	}
	if out == nil {
		out = []byte{}
	}
	return out
}

// cut shortens text to the maximal length without splitting a character.
func (a *concatAcc) cut(text []byte) []byte {
	n := a.maxLen
	if !a.binary {
		for low := max(0, a.maxLen-utf8.UTFMax); n > low && !utf8.RuneStart(text[n]); {
			n--
		}
	}
	return text[:n]
}

func (a *concatAcc) size() int64 {
	n := int64(cap(a.entries))*24 + int64(cap(a.length))*8 + a.held
	if a.set != nil {
		n += a.set.size()
	}
	return n
}

func appendEntry(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func cutEntry(src []byte) (key, value, rest []byte, ok bool) {
	if key, src, ok = cutBytes(src); !ok {
		return nil, nil, nil, false
	}
	value, rest, ok = cutBytes(src)
	return key, value, rest, ok
}

func cutBytes(src []byte) (b, rest []byte, ok bool) {
	n, w := binary.Uvarint(src)
	if w <= 0 || uint64(len(src)-w) < n {
		return nil, nil, false
	}
	return src[w : w+int(n)], src[w+int(n):], true
}
