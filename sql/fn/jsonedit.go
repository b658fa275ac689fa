package fn

import (
	"sort"
	"strings"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	pairs := func(name, doc string, f rowFunc) Def {
		return Def{Name: name, Group: "json", Syntax: strings.ToUpper(name) + "(doc, path, v, ...)", Doc: doc,
			Min: 3, Max: -1, CanFail: true, TakesNull: true, Rule: jsonPairsRule, Row: f}
	}
	register(
		pairs("json_set", "The document with values at the paths, whether something is there or not.", jsonPut(true, true)),
		pairs("json_insert", "The document with values at the paths where nothing is.", jsonPut(true, false)),
		pairs("json_replace", "The document with other values at the paths where something is.", jsonPut(false, true)),
		pairs("json_array_append", "The document with values at the end of the arrays that the paths name.", jsonArrayAppend),
		pairs("json_array_insert", "The document with values put into arrays, at the elements that the paths name.", jsonArrayInsert),
		Def{Name: "json_remove", Group: "json", Syntax: "JSON_REMOVE(doc, path, ...)", Doc: "The document without what the paths name.",
			Min: 2, Max: -1, CanFail: true, Rule: jsonTexts(tJSON, 1), Row: jsonRemove},
	)
}

// jsonPairsRule types a document that is followed by paths and values.
func jsonPairsRule(_ string, a []T) ([]T, T, error) {
	if len(a)%2 == 0 {
		return nil, T{}, sqltypes.Errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to a native JSON function")
	}
	want := append([]T(nil), a...)
	want[0] = jsonText(a[0])
	for i := 1; i < len(want); i += 2 {
		want[i] = tStr
	}
	return want, tJSON, nil
}

// onePath reads a path that names one place.
func onePath(s []byte) ([]jsonStep, error) {
	path, err := parsePath(string(s))
	for _, step := range path {
		if step.all || step.kind == '*' {
			return nil, sqltypes.Errorf(errno.JSONPathWildcard, "In this situation, path expressions may not contain the * and ** tokens or an array range.")
		}
	}
	return path, err
}

// edit parses a document and changes it by each of the pairs of a path and a value; NULL when the document or a path is.
func (c *Call) edit(a []vec.Value, change func(doc *jsonNode, path []jsonStep, v *jsonNode) (*jsonNode, error)) (vec.Value, error) {
	if a[0].Null {
		return vec.NullValue(), nil
	}
	doc, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	for i := 1; i+1 < len(a); i += 2 {
		if a[i].Null {
			return vec.NullValue(), nil
		}
		path, err := onePath(a[i].B)
		if err != nil {
			return vec.Value{}, err
		}
		v, err := c.jsonOf(a[i+1], c.Args[i+1])
		if err != nil {
			return vec.Value{}, err
		}
		if doc, err = change(doc, path, v); err != nil {
			return vec.Value{}, err
		}
	}
	return vec.Str(doc.append(nil)), nil
}

func jsonPut(insert, replace bool) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		return c.edit(a, func(doc *jsonNode, path []jsonStep, v *jsonNode) (*jsonNode, error) {
			return doc.put(path, v, insert, replace), nil
		})
	}
}

// put returns the document with a value at a path, if the place may be filled or overwritten.
func (n *jsonNode) put(path []jsonStep, v *jsonNode, insert, replace bool) *jsonNode {
	if len(path) == 0 {
		if replace {
			return v
		}
		return n
	}
	step, rest := path[0], path[1:]
	at := n.at(step)
	switch {
	case step.kind == '[' && n.kind != 'a' && at == 0: // the only element of itself
		return n.put(rest, v, insert, replace)
	case at >= 0:
		n.vals[at] = n.vals[at].put(rest, v, insert, replace)
	case len(rest) > 0 || !insert:
	case step.kind == '.' && n.kind == 'o':
		n.addMember(step.key, v)
	case step.kind == '[' && n.kind == 'a' && !step.fromEnd:
		n.vals = append(n.vals, v)
	case step.kind == '[' && !step.fromEnd:
		return &jsonNode{kind: 'a', vals: []*jsonNode{n, v}}
	}
	return n
}

// at returns the place of the value that a step names, -1 = there is none.
func (n *jsonNode) at(step jsonStep) int {
	if step.kind == '.' {
		if n.kind != 'o' {
			return -1
		}
		for i, k := range n.keys {
			if k == step.key {
				return i
			}
		}
		return -1
	}
	size := 1
	if n.kind == 'a' {
		size = len(n.vals)
	}
	i := step.index
	if step.fromEnd {
		i = size - 1 - step.index
	}
	if i < 0 || i >= size {
		return -1
	}
	return i
}

// addMember adds a member that is not there.
func (n *jsonNode) addMember(key string, v *jsonNode) {
	n.keys, n.vals = append(n.keys, key), append(n.vals, v)
	sort.Sort(byKey{n})
}

// change puts what f makes of the value at a path in its place; a path that names nothing changes nothing.
func (n *jsonNode) change(path []jsonStep, f func(*jsonNode) *jsonNode) *jsonNode {
	if len(path) == 0 {
		return f(n)
	}
	switch at := n.at(path[0]); {
	case at < 0:
	case path[0].kind == '[' && n.kind != 'a':
		return n.change(path[1:], f)
	default:
		n.vals[at] = n.vals[at].change(path[1:], f)
	}
	return n
}

// asArray wraps what is no array.
func (n *jsonNode) asArray() *jsonNode {
	if n.kind == 'a' {
		return n
	}
	return &jsonNode{kind: 'a', vals: []*jsonNode{n}}
}

func jsonArrayAppend(c *Call, a []vec.Value) (vec.Value, error) {
	return c.edit(a, func(doc *jsonNode, path []jsonStep, v *jsonNode) (*jsonNode, error) {
		return doc.change(path, func(n *jsonNode) *jsonNode {
			n = n.asArray()
			n.vals = append(n.vals, v)
			return n
		}), nil
	})
}

func jsonArrayInsert(c *Call, a []vec.Value) (vec.Value, error) {
	return c.edit(a, func(doc *jsonNode, path []jsonStep, v *jsonNode) (*jsonNode, error) {
		if len(path) == 0 || path[len(path)-1].kind != '[' {
			return nil, sqltypes.Errorf(errno.JSONPathArrayCell, "A path expression is not a path to a cell in an array.")
		}
		cell := path[len(path)-1]
		return doc.change(path[:len(path)-1], func(n *jsonNode) *jsonNode {
			if n.kind != 'a' {
				return n
			}
			i := min(cell.index, len(n.vals))
			if cell.fromEnd {
				i = max(len(n.vals)-1-cell.index, 0)
			}
			n.vals = append(n.vals[:i:i], append([]*jsonNode{v}, n.vals[i:]...)...)
			return n
		}), nil
	})
}

func jsonRemove(c *Call, a []vec.Value) (vec.Value, error) {
	doc, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	for _, p := range a[1:] {
		path, err := onePath(p.B)
		if err != nil {
			return vec.Value{}, err
		}
		if len(path) == 0 {
			return vec.Value{}, sqltypes.Errorf(errno.JSONVacuousPath, "The path expression '$' is not allowed in this context.")
		}
		last := path[len(path)-1]
		doc = doc.change(path[:len(path)-1], func(n *jsonNode) *jsonNode { return n.without(last) })
	}
	return vec.Str(doc.append(nil)), nil
}

// without takes a member or an element away.
func (n *jsonNode) without(step jsonStep) *jsonNode {
	i := n.at(step)
	if i < 0 || step.kind == '[' && n.kind != 'a' {
		return n
	}
	n.vals = append(n.vals[:i:i], n.vals[i+1:]...)
	n.keys = append(n.keys[:i:i], n.keys[i+1:]...)
	return n
}
