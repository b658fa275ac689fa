package fn

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	register(
		Def{Name: "json_contains", Group: "json", Syntax: "JSON_CONTAINS(doc, part[, path])", Doc: "Whether a document, or what a path names in it, contains another one.",
			Min: 2, Max: 3, CanFail: true, TakesNull: true, Rule: jsonTexts(tBool, 2), Row: nullable(jsonContains)},
		Def{Name: "json_memberof", Group: "json", Syntax: "v MEMBER OF(array)", Doc: "Whether a value is an element of an array.",
			Min: 2, Max: 2, CanFail: true, Rule: func(_ string, a []T) ([]T, T, error) { return []T{a[0], jsonText(a[1])}, tBool, nil }, Row: jsonMemberOf},
		Def{Name: "json_overlaps", Group: "json", Syntax: "JSON_OVERLAPS(a, b)", Doc: "Whether two documents have an element or a member in common.",
			Min: 2, Max: 2, CanFail: true, Rule: jsonTexts(tBool, 2), Row: jsonOverlaps},
		Def{Name: "json_contains_path", Group: "json", Syntax: "JSON_CONTAINS_PATH(doc, 'one'|'all', path, ...)", Doc: "Whether one of the paths, or all of them, name something.",
			Min: 3, Max: -1, CanFail: true, Rule: jsonTexts(tBool, 1), Row: jsonContainsPath},
		Def{Name: "json_search", Group: "json", Syntax: "JSON_SEARCH(doc, 'one'|'all', pattern[, escape[, path, ...]])", Doc: "The paths of the strings that match a pattern as of LIKE.",
			Min: 3, Max: -1, CanFail: true, TakesNull: true, Rule: jsonTexts(tJSON, 1), Row: jsonSearch},
	)
}

// jsonTexts types a function whose first arguments are documents; the others are text.
func jsonTexts(result T, documents int) Rule {
	return func(_ string, a []T) ([]T, T, error) {
		want := repeat([]T{tStr}, len(a))
		for i := range min(documents, len(a)) {
			want[i] = jsonText(a[i])
		}
		return want, result, nil
	}
}

func jsonContains(c *Call, a []vec.Value) (vec.Value, error) {
	doc, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	part, err := parseJSON(a[1].B, 2, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	if len(a) > 2 {
		path, err := onePath(a[2].B)
		if err != nil {
			return vec.Value{}, err
		}
		found := doc.find(path, nil)
		if len(found) == 0 {
			return vec.NullValue(), nil
		}
		doc = found[0]
	}
	return vec.Bool(doc.contains(part)), nil
}

// contains tells whether a document contains another one: an array what one of its elements contains, and an array of such
// things; an object one whose members its own contain.
func (n *jsonNode) contains(part *jsonNode) bool {
	switch {
	case n.kind == 'a' && part.kind == 'a':
		return !slices.ContainsFunc(part.vals, func(p *jsonNode) bool { return !n.contains(p) })
	case n.kind == 'a':
		return slices.ContainsFunc(n.vals, func(v *jsonNode) bool { return v.contains(part) })
	case n.kind == 'o' && part.kind == 'o':
		for i, k := range part.keys {
			at := n.at(jsonStep{kind: '.', key: k})
			if at < 0 || !n.vals[at].contains(part.vals[i]) {
				return false
			}
		}
		return true
	}
	return n.equal(part)
}

// equal compares two documents; numbers are equal by their values.
func (n *jsonNode) equal(o *jsonNode) bool {
	if n.kind != o.kind || len(n.vals) != len(o.vals) {
		return false
	}
	if n.kind == 's' {
		return bytes.Equal(n.scalar, o.scalar) || sameNumber(n.scalar, o.scalar)
	}
	for i, v := range n.vals {
		if n.keys != nil && n.kind == 'o' && n.keys[i] != o.keys[i] || !v.equal(o.vals[i]) {
			return false
		}
	}
	return true
}

// sameNumber tells whether two scalars are the same number in different words; integers are written in one way only.
func sameNumber(a, b []byte) bool {
	if !bytes.ContainsAny(a, ".eE") && !bytes.ContainsAny(b, ".eE") {
		return false
	}
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	return errX == nil && errY == nil && x == y
}

func jsonMemberOf(c *Call, a []vec.Value) (vec.Value, error) {
	v, err := c.jsonOf(a[0], c.Args[0])
	if err != nil {
		return vec.Value{}, err
	}
	doc, err := parseJSON(a[1].B, 2, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	return vec.Bool(slices.ContainsFunc(doc.asArray().vals, v.equal)), nil
}

func jsonOverlaps(c *Call, a []vec.Value) (vec.Value, error) {
	x, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	y, err := parseJSON(a[1].B, 2, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	if x.kind == 'o' && y.kind == 'o' {
		for i, k := range x.keys {
			if at := y.at(jsonStep{kind: '.', key: k}); at >= 0 && x.vals[i].equal(y.vals[at]) {
				return vec.Bool(true), nil
			}
		}
		return vec.Bool(false), nil
	}
	shared := func(v *jsonNode) bool { return slices.ContainsFunc(y.asArray().vals, v.equal) }
	return vec.Bool(slices.ContainsFunc(x.asArray().vals, shared)), nil
}

// oneOrAll reads the argument that says how much has to be found.
func oneOrAll(c *Call, s []byte) (all bool, err error) {
	switch strings.ToLower(string(s)) {
	case "one":
		return false, nil
	case "all":
		return true, nil
	}
	return false, sqltypes.Errorf(errno.JSONOneOrAll, "The oneOrAll argument to %s may take these values: 'one' or 'all'.", c.Def.Name)
}

func jsonContainsPath(c *Call, a []vec.Value) (vec.Value, error) {
	doc, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	all, err := oneOrAll(c, a[1].B)
	if err != nil {
		return vec.Value{}, err
	}
	for _, p := range a[2:] {
		path, err := parsePath(string(p.B))
		if err != nil {
			return vec.Value{}, err
		}
		if there := len(doc.find(path, nil)) > 0; there != all {
			return vec.Bool(there), nil
		}
	}
	return vec.Bool(all), nil
}

// jsonSearcher looks for strings in a document.
type jsonSearcher struct {
	like  *likePattern
	all   bool
	found []string // paths
}

func jsonSearch(c *Call, a []vec.Value) (vec.Value, error) {
	for i, v := range a {
		if v.Null && i != 3 {
			return vec.NullValue(), nil
		}
	}
	doc, err := parseJSON(a[0].B, 1, c.Def.Name)
	if err != nil {
		return vec.Value{}, err
	}
	s := &jsonSearcher{}
	if s.all, err = oneOrAll(c, a[1].B); err != nil {
		return vec.Value{}, err
	}
	escape := byte('\\')
	if len(a) > 3 && len(a[3].B) > 0 {
		escape = a[3].B[0]
	}
	s.like = compileLike(a[2].B, escape, true, false)
	var within []*jsonNode
	for _, p := range a[min(4, len(a)):] {
		path, err := parsePath(string(p.B))
		if err != nil {
			return vec.Value{}, err
		}
		within = doc.find(path, within)
	}
	s.walk(doc, "$", within, len(a) <= 4)
	switch {
	case len(s.found) == 0:
		return vec.NullValue(), nil
	case len(s.found) == 1:
		return vec.Str(jsonString(s.found[0])), nil
	}
	out := &jsonNode{kind: 'a'}
	for _, p := range s.found {
		out.vals = append(out.vals, &jsonNode{kind: 's', scalar: jsonString(p)})
	}
	return vec.Str(out.append(nil)), nil
}

// walk adds the paths of the strings below n that match. inside says that n lies within what is looked through.
func (s *jsonSearcher) walk(n *jsonNode, path string, within []*jsonNode, inside bool) {
	inside = inside || slices.Contains(within, n)
	if len(s.found) > 0 && !s.all {
		return
	}
	if n.kind == 's' {
		if inside && n.scalar[0] == '"' && s.like.match(unquoted(n.scalar)) {
			s.found = append(s.found, path)
		}
		return
	}
	for i, v := range n.vals {
		step := "[" + strconv.Itoa(i) + "]"
		if n.kind == 'o' {
			step = "." + pathKey(n.keys[i])
		}
		s.walk(v, path+step, within, inside)
	}
}

// pathKey writes a key as a path has it: in quotes unless it is a plain name.
func pathKey(key string) string {
	plain := key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r < 0x80
	})
	if plain && (key[0] < '0' || key[0] > '9') {
		return key
	}
	return string(jsonString(key))
}
