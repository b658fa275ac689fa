package fn

import (
	"bytes"
	"encoding/json"
	"sort"

	"stele/sql/vec"
)

func init() {
	register(
		Def{Name: "json_merge_patch", Group: "json", Syntax: "JSON_MERGE_PATCH(doc, doc, ...)", Doc: "Documents merged as of RFC 7396: later members take the place of earlier ones, null removes one.",
			Min: 2, Max: -1, CanFail: true, Rule: jsonDocuments, Row: jsonMerge((*jsonNode).patched)},
		Def{Name: "json_merge_preserve", Aliases: []string{"json_merge"}, Group: "json", Syntax: "JSON_MERGE_PRESERVE(doc, doc, ...)", Doc: "Documents merged so that no value is lost: arrays one after the other, objects member by member.",
			Min: 2, Max: -1, CanFail: true, Rule: jsonDocuments, Row: jsonMerge((*jsonNode).joined)},
		Def{Name: "json_depth", Group: "json", Syntax: "JSON_DEPTH(doc)", Doc: "How deep a document is nested; 1 for a scalar.", Min: 1, Max: 1, CanFail: true, Rule: jsonTexts(tInt, 1), Row: jsonDepth},
		Def{Name: "json_pretty", Group: "json", Syntax: "JSON_PRETTY(doc)", Doc: "A document with line breaks and indentation.", Min: 1, Max: 1, CanFail: true, Rule: jsonTexts(tText, 1), Row: jsonPretty},
		Def{Name: "json_storage_size", Group: "json", Syntax: "JSON_STORAGE_SIZE(doc)", Doc: "The bytes of a document as it is kept.", Min: 1, Max: 1, CanFail: true, Rule: jsonTexts(tInt, 1),
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				_, err := parseJSON(a[0].B, 1, c.Def.Name)
				return vec.Int(int64(len(a[0].B))), err
			}},
		Def{Name: "json_value", Group: "json", Syntax: "JSON_VALUE(doc, path)", Doc: "What a path names in a document, as text; NULL when it is nothing.", Min: 2, Max: 2, CanFail: true, TakesNull: true,
			Rule: jsonTexts(tText, 1), Row: nullable(jsonValue)},
		Def{Name: "json_item", Group: "json", Syntax: "JSON_ITEM(v)", Doc: "A value as JSON; the elements of JSON_ARRAYAGG.", Min: 1, Max: 1, CanFail: true, TakesNull: true, Rule: asIs(tJSON),
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				n, err := c.jsonOf(a[0], c.Args[0])
				if err != nil {
					return vec.Value{}, err
				}
				return vec.Str(n.append(nil)), nil
			}},
	)
}

// jsonDocuments types a function all of whose arguments are documents.
func jsonDocuments(_ string, a []T) ([]T, T, error) {
	var want []T
	for _, t := range a {
		want = append(want, jsonText(t))
	}
	return want, tJSON, nil
}

// jsonMerge merges documents two by two.
func jsonMerge(merge func(a, b *jsonNode) *jsonNode) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		var doc *jsonNode
		for i, v := range a {
			next, err := parseJSON(v.B, i+1, c.Def.Name)
			if err != nil {
				return vec.Value{}, err
			}
			if doc == nil {
				doc = next
			} else {
				doc = merge(doc, next)
			}
		}
		return vec.Str(doc.append(nil)), nil
	}
}

// patched applies a merge patch.
func (n *jsonNode) patched(patch *jsonNode) *jsonNode {
	if patch.kind != 'o' {
		return patch
	}
	if n.kind != 'o' {
		n = &jsonNode{kind: 'o'}
	}
	for i, k := range patch.keys {
		step, v := jsonStep{kind: '.', key: k}, patch.vals[i]
		at := n.at(step)
		switch {
		case v.kind == 's' && v.scalar[0] == 'n':
			n = n.without(step)
		case at >= 0:
			n.vals[at] = n.vals[at].patched(v)
		default:
			n.addMember(k, (&jsonNode{kind: 'o'}).patched(v))
		}
	}
	return n
}

// joined merges two documents so that all their values are kept.
func (n *jsonNode) joined(o *jsonNode) *jsonNode {
	if n.kind != 'o' || o.kind != 'o' {
		n = n.asArray()
		n.vals = append(n.vals, o.asArray().vals...)
		return n
	}
	for i, k := range o.keys {
		if at := n.at(jsonStep{kind: '.', key: k}); at >= 0 {
			n.vals[at] = n.vals[at].joined(o.vals[i])
		} else {
			n.addMember(k, o.vals[i])
		}
	}
	return n
}

func jsonDepth(c *Call, a []vec.Value) (vec.Value, error) {
	n, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	return vec.Int(n.depth()), nil
}

func (n *jsonNode) depth() int64 {
	deepest := int64(0)
	for _, v := range n.vals {
		deepest = max(deepest, v.depth())
	}
	return deepest + 1
}

func jsonPretty(c *Call, a []vec.Value) (vec.Value, error) {
	n, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, n.append(nil), "", "  "); err != nil {
		panic("BUG: indent a document that was just written: " + err.Error())
	}
	return vec.Str(out.Bytes()), nil
}

func jsonValue(c *Call, a []vec.Value) (vec.Value, error) {
	doc, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	path, err := onePath(a[1].B)
	if err != nil {
		return vec.Value{}, err
	}
	found := doc.find(path, nil)
	if len(found) == 0 || found[0].kind == 's' && found[0].scalar[0] == 'n' {
		return vec.NullValue(), nil
	}
	text := found[0].append(nil)
	if text[0] == '"' {
		text = unquoted(text)
	}
	return vec.Str(text), nil
}

// unquoted is the text of a JSON string that was parsed before.
func unquoted(s []byte) []byte {
	var out string
	if err := json.Unmarshal(s, &out); err != nil {
		panic("BUG: a JSON string that was parsed before: " + err.Error())
	}
	return []byte(out)
}

// JoinJSON makes a document of the JSON texts that JSON_ARRAYAGG, or the pairs of a key and a value that JSON_OBJECTAGG has gathered.
func JoinJSON(object bool, items [][]byte) ([]byte, error) {
	if !object {
		out := append([]byte("["), bytes.Join(items, []byte(", "))...)
		return append(out, ']'), nil
	}
	n := &jsonNode{kind: 'o'}
	places := map[string]int{}
	for _, item := range items {
		pair, err := parseJSON(item, 1, "json_objectagg")
		if err != nil {
			return nil, err
		}
		for i, k := range pair.keys {
			at, seen := places[k]
			if !seen {
				at = len(n.keys)
				places[k], n.keys, n.vals = at, append(n.keys, k), append(n.vals, nil)
			}
			n.vals[at] = pair.vals[i] // the last of equal keys counts
		}
	}
	sort.Sort(byKey{n})
	return n.append(nil), nil
}
