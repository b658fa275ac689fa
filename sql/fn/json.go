package fn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// maxJSONDepth is the deepest document, as in MySQL.
const maxJSONDepth = 100

// jsonNode is a parsed document: a scalar as its JSON text, an array, or an object with its keys in MySQL's order
// (by length, then bytes).
type jsonNode struct {
	kind   byte // 's' scalar, 'a' array, 'o' object
	scalar []byte
	keys   []string
	vals   []*jsonNode
}

func init() {
	asJSON := func(result T) Rule {
		return func(_ string, a []T) ([]T, T, error) {
			want := repeat([]T{tStr}, len(a))
			want[0] = jsonText(a[0])
			return want, result, nil
		}
	}
	register(
		Def{Name: "json_extract", Aliases: []string{"->"}, Group: "json", Syntax: "JSON_EXTRACT(doc, path, ...), doc->path, doc->>path", Doc: "The parts of a document that the paths name; NULL when there are none.",
			Min: 2, Max: -1, CanFail: true, TakesNull: true, Rule: asJSON(tJSON), Row: nullable(jsonExtract)},
		Def{Name: "json_unquote", Group: "json", Syntax: "JSON_UNQUOTE(v)", Doc: "A JSON string as plain text.", Min: 1, Max: 1, CanFail: true, Rule: asJSON(tText), Row: jsonUnquote},
		Def{Name: "json_quote", Group: "json", Syntax: "JSON_QUOTE(s)", Doc: "Text as a JSON string.", Min: 1, Max: 1, Rule: fixed(tStr, tStr),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Str(jsonString(string(a[0].B))), nil }},
		Def{Name: "json_valid", Group: "json", Syntax: "JSON_VALID(s)", Doc: "Whether s is a JSON document.", Min: 1, Max: 1, Rule: asJSON(tBool),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool(json.Valid(a[0].B)), nil }},
		Def{Name: "json_length", Group: "json", Syntax: "JSON_LENGTH(doc[, path])", Doc: "Members of an object or array; 1 for a scalar.", Min: 1, Max: 2, CanFail: true, TakesNull: true, Rule: asJSON(tInt), Row: nullable(jsonLength)},
		Def{Name: "json_type", Group: "json", Syntax: "JSON_TYPE(doc)", Doc: "OBJECT, ARRAY, STRING, INTEGER, DOUBLE, BOOLEAN or NULL.", Min: 1, Max: 1, CanFail: true, Rule: asJSON(varchar(10)), Row: jsonType},
		Def{Name: "json_keys", Group: "json", Syntax: "JSON_KEYS(doc[, path])", Doc: "The keys of an object.", Min: 1, Max: 2, CanFail: true, TakesNull: true, Rule: asJSON(tJSON), Row: nullable(jsonKeys)},
		Def{Name: "json_array", Group: "json", Syntax: "JSON_ARRAY(v, ...)", Doc: "An array of the values.", Min: 0, Max: -1, TakesNull: true, CanFail: true, Rule: asIs(tJSON), Row: jsonArray},
		Def{Name: "json_object", Group: "json", Syntax: "JSON_OBJECT(key, v, ...)", Doc: "An object of the keys and values.", Min: 0, Max: -1, TakesNull: true, CanFail: true, Rule: jsonObjectRule, Row: jsonObject},
	)
}

// jsonText is the type of a document argument: JSON as it is, all else as text.
func jsonText(t T) T {
	if t.Kind == types.KindJSON {
		return tJSON
	}
	return tStr
}

func asIs(result T) Rule {
	return func(_ string, a []T) ([]T, T, error) { return a, result, nil }
}

func jsonObjectRule(_ string, a []T) ([]T, T, error) {
	if len(a)%2 != 0 {
		return nil, T{}, sqltypes.Errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function 'json_object'")
	}
	want := append([]T(nil), a...)
	for i := 0; i < len(want); i += 2 {
		want[i] = tStr
	}
	return want, tJSON, nil
}

// parseJSON parses an argument of a function, which an error names; the first one is 1.
func parseJSON(s []byte, argument int, function string) (*jsonNode, error) {
	dec := json.NewDecoder(bytes.NewReader(s))
	dec.UseNumber()
	n, err := readJSON(dec, 0)
	if err == nil {
		if _, end := dec.Token(); end != io.EOF {
			err = fmt.Errorf("text after the document")
		}
	}
	if err != nil {
		return nil, sqltypes.Errorf(errno.InvalidJSONArgument, "Invalid JSON text in argument %d to function %s: \"%v\"", argument, function, err)
	}
	return n, nil
}

func readJSON(dec *json.Decoder, depth int) (*jsonNode, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("the document is nested more than %d levels deep", maxJSONDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		return readContainer(dec, v, depth)
	case string:
		return &jsonNode{kind: 's', scalar: jsonString(v)}, nil
	case json.Number:
		return &jsonNode{kind: 's', scalar: []byte(v.String())}, nil
	case bool:
		return &jsonNode{kind: 's', scalar: strconv.AppendBool(nil, v)}, nil
	}
	return &jsonNode{kind: 's', scalar: []byte("null")}, nil
}

func readContainer(dec *json.Decoder, open json.Delim, depth int) (*jsonNode, error) {
	n := &jsonNode{kind: 'a'}
	if open == '{' {
		n.kind = 'o'
	}
	at := map[string]int{}
	for dec.More() {
		key := ""
		if n.kind == 'o' {
			tok, err := dec.Token()
			if err != nil {
				return nil, err
			}
			key, _ = tok.(string)
		}
		v, err := readJSON(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if i, seen := at[key]; seen && n.kind == 'o' {
			n.vals[i] = v // the last of equal keys counts
			continue
		}
		at[key] = len(n.vals)
		n.vals = append(n.vals, v)
		n.keys = append(n.keys, key)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if n.kind == 'o' {
		sort.Sort(byKey{n})
	}
	return n, nil
}

type byKey struct{ *jsonNode }

func (b byKey) Len() int { return len(b.keys) }
func (b byKey) Less(i, j int) bool {
	if len(b.keys[i]) != len(b.keys[j]) {
		return len(b.keys[i]) < len(b.keys[j])
	}
	return b.keys[i] < b.keys[j]
}
func (b byKey) Swap(i, j int) {
	b.keys[i], b.keys[j] = b.keys[j], b.keys[i]
	b.vals[i], b.vals[j] = b.vals[j], b.vals[i]
}

// jsonString quotes text without escaping what HTML would want.
func jsonString(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("BUG: quote json string: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func (n *jsonNode) append(dst []byte) []byte {
	switch n.kind {
	case 's':
		return append(dst, n.scalar...)
	case 'a':
		dst = append(dst, '[')
	default:
		dst = append(dst, '{')
	}
	for i, v := range n.vals {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if n.kind == 'o' {
			dst = append(append(dst, jsonString(n.keys[i])...), ": "...)
		}
		dst = v.append(dst)
	}
	if n.kind == 'a' {
		return append(dst, ']')
	}
	return append(dst, '}')
}

// jsonStep is one leg of a path: a member, an element, all of either, or everything below.
type jsonStep struct {
	kind    byte // '.' member, '[' element, '*' everything below
	key     string
	index   int
	fromEnd bool // the index counts backwards from the last element
	all     bool
}

func errPath(path string) error {
	return sqltypes.Errorf(errno.InvalidJSONPath, "Invalid JSON path expression '%.64s'", path)
}

// parsePath reads $ followed by .key, ."key", .*, [n], [last], [last-n], [*] and, before another leg, **.
func parsePath(path string) ([]jsonStep, error) {
	s, ok := strings.CutPrefix(strings.TrimSpace(path), "$")
	if !ok {
		return nil, errPath(path)
	}
	var out []jsonStep
	for s != "" {
		var step jsonStep
		var err error
		switch s = strings.TrimLeft(s, " "); {
		case strings.HasPrefix(s, "**") && len(s) > 2:
			step, s = jsonStep{kind: '*', all: true}, s[2:]
			out = append(out, step)
			continue
		case s[0] == '.':
			step, s, err = parseMember(strings.TrimLeft(s[1:], " "))
		case s[0] == '[':
			step, s, err = parseElement(s[1:])
		default:
			err = errPath(path)
		}
		if err != nil {
			return nil, errPath(path)
		}
		out = append(out, step)
	}
	return out, nil
}

func parseMember(s string) (jsonStep, string, error) {
	switch {
	case strings.HasPrefix(s, "*"):
		return jsonStep{kind: '.', all: true}, s[1:], nil
	case strings.HasPrefix(s, `"`):
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return jsonStep{}, "", err
		}
		key, err := strconv.Unquote(quoted)
		return jsonStep{kind: '.', key: key}, s[len(quoted):], err
	}
	end := strings.IndexAny(s, ".[")
	if end < 0 {
		end = len(s)
	}
	if end == 0 || strings.ContainsAny(s[:end], " -*\"]") {
		return jsonStep{}, "", errPath(s)
	}
	return jsonStep{kind: '.', key: s[:end]}, s[end:], nil
}

func parseElement(s string) (jsonStep, string, error) {
	inner, rest, ok := strings.Cut(s, "]")
	if !ok {
		return jsonStep{}, "", errPath(s)
	}
	inner = strings.TrimSpace(inner)
	if inner == "*" {
		return jsonStep{kind: '[', all: true}, rest, nil
	}
	back, fromEnd := strings.CutPrefix(inner, "last")
	if fromEnd {
		inner, ok = strings.CutPrefix(strings.TrimSpace(back), "-")
		if back != "" && !ok {
			return jsonStep{}, "", errPath(s)
		}
		if back == "" {
			inner = "0"
		}
	}
	i, err := strconv.Atoi(strings.TrimSpace(inner))
	if err != nil || i < 0 {
		return jsonStep{}, "", errPath(s)
	}
	return jsonStep{kind: '[', index: i, fromEnd: fromEnd}, rest, nil
}

// find adds what a path names to out. A scalar or object is the only element of itself, as in MySQL.
func (n *jsonNode) find(path []jsonStep, out []*jsonNode) []*jsonNode {
	if len(path) == 0 {
		return append(out, n)
	}
	step, rest := path[0], path[1:]
	switch {
	case step.kind == '*':
		out = n.find(rest, out)
		for _, v := range n.vals {
			out = v.find(path, out)
		}
	case step.all && (step.kind == '.' && n.kind == 'o' || step.kind == '[' && n.kind == 'a'):
		for _, v := range n.vals {
			out = v.find(rest, out)
		}
	case step.all:
	default:
		at := n.at(step)
		switch {
		case at < 0:
		case step.kind == '[' && n.kind != 'a':
			out = n.find(rest, out)
		default:
			out = n.vals[at].find(rest, out)
		}
	}
	return out
}

// matches returns what the paths name in a document, and whether the paths can name more than one value.
func matches(a []vec.Value, function string) (found []*jsonNode, many bool, err error) {
	doc, err := parseJSON(a[0].B, 1, function)
	if err != nil {
		return nil, false, err
	}
	if len(a) == 1 {
		return []*jsonNode{doc}, false, nil
	}
	many = len(a) > 2
	for _, p := range a[1:] {
		path, err := parsePath(string(p.B))
		if err != nil {
			return nil, false, err
		}
		for _, s := range path {
			many = many || s.all
		}
		found = doc.find(path, found)
	}
	return found, many, nil
}

func jsonExtract(_ *Call, a []vec.Value) (vec.Value, error) {
	found, many, err := matches(a, "json_extract")
	switch {
	case err != nil || len(found) == 0:
		return vec.NullValue(), err
	case many:
		return vec.Str((&jsonNode{kind: 'a', vals: found}).append(nil)), nil
	}
	return vec.Str(found[0].append(nil)), nil
}

func jsonUnquote(_ *Call, a []vec.Value) (vec.Value, error) {
	s := a[0].B
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return a[0], nil
	}
	var out string
	if err := json.Unmarshal(s, &out); err != nil {
		return vec.Value{}, sqltypes.Errorf(errno.InvalidJSONArgument, "Invalid JSON text in argument 1 to function json_unquote: \"%v\"", err)
	}
	return vec.Str([]byte(out)), nil
}

func jsonLength(_ *Call, a []vec.Value) (vec.Value, error) {
	found, _, err := matches(a, "json_length")
	if err != nil || len(found) == 0 {
		return vec.NullValue(), err
	}
	if found[0].kind == 's' {
		return vec.Int(1), nil
	}
	return vec.Int(int64(len(found[0].vals))), nil
}

func jsonKeys(_ *Call, a []vec.Value) (vec.Value, error) {
	found, _, err := matches(a, "json_keys")
	if err != nil || len(found) == 0 || found[0].kind != 'o' {
		return vec.NullValue(), err
	}
	out := &jsonNode{kind: 'a'}
	for _, k := range found[0].keys {
		out.vals = append(out.vals, &jsonNode{kind: 's', scalar: jsonString(k)})
	}
	return vec.Str(out.append(nil)), nil
}

func jsonType(_ *Call, a []vec.Value) (vec.Value, error) {
	n, err := parseJSON(a[0].B, 1, "json_type")
	if err != nil {
		return vec.Value{}, err
	}
	name := "INTEGER"
	switch c := n.kind; {
	case c == 'o':
		name = "OBJECT"
	case c == 'a':
		name = "ARRAY"
	case n.scalar[0] == '"':
		name = "STRING"
	case n.scalar[0] == 't' || n.scalar[0] == 'f':
		name = "BOOLEAN"
	case n.scalar[0] == 'n':
		name = "NULL"
	case bytes.ContainsAny(n.scalar, ".eE"):
		name = "DOUBLE"
	}
	return vec.Str([]byte(name)), nil
}

// jsonOf makes a SQL value a JSON one: numbers and documents as they are, all else as strings.
func (c *Call) jsonOf(v vec.Value, t T) (*jsonNode, error) {
	switch {
	case v.Null:
		return &jsonNode{kind: 's', scalar: []byte("null")}, nil
	case t.Kind == types.KindJSON:
		return parseJSON(v.B, 1, c.Def.Name)
	case t.Kind == types.KindBool:
		return &jsonNode{kind: 's', scalar: strconv.AppendBool(nil, v.I != 0)}, nil
	}
	text := sqltypes.AppendText(nil, t, v, c.Ctx.Location())
	if t.IsNumeric() {
		return &jsonNode{kind: 's', scalar: text}, nil
	}
	return &jsonNode{kind: 's', scalar: jsonString(string(text))}, nil
}

func jsonArray(c *Call, a []vec.Value) (vec.Value, error) {
	n := &jsonNode{kind: 'a'}
	for i, v := range a {
		e, err := c.jsonOf(v, c.Args[i])
		if err != nil {
			return vec.Value{}, err
		}
		n.vals = append(n.vals, e)
	}
	return vec.Str(n.append(nil)), nil
}

func jsonObject(c *Call, a []vec.Value) (vec.Value, error) {
	n := &jsonNode{kind: 'o'}
	at := map[string]int{}
	for i := 0; i+1 < len(a); i += 2 {
		if a[i].Null {
			return vec.Value{}, sqltypes.Errorf(errno.JSONNullKey, "JSON documents may not contain NULL member names.")
		}
		v, err := c.jsonOf(a[i+1], c.Args[i+1])
		if err != nil {
			return vec.Value{}, err
		}
		key := string(a[i].B)
		if k, seen := at[key]; seen {
			n.vals[k] = v
			continue
		}
		at[key] = len(n.vals)
		n.keys, n.vals = append(n.keys, key), append(n.vals, v)
	}
	sort.Sort(byKey{n})
	return vec.Str(n.append(nil)), nil
}
