package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
)

// Text of a collation that does not compare by bytes is compared by its key: the planner puts the function that gives it around the
// operands, so that nothing below the planner knows of collations. The type of an expression says its collation while a statement is
// bound; this file has what is done to expressions, and bycollation.go what is done to operators.

// mixedCollation is that of text put together from texts of different collations: it cannot be compared.
const mixedCollation types.Collation = 255

// coercibility says how much an expression insists on its collation, the lowest number most (MySQL's numbers).
type coercibility int

const (
	explicit    coercibility = 0
	none        coercibility = 1
	implicit    coercibility = 2
	coercible   coercibility = 4
	indifferent coercibility = 6
)

func (c coercibility) String() string {
	switch c {
	case explicit:
		return "EXPLICIT"
	case none:
		return "NONE"
	case implicit:
		return "IMPLICIT"
	}
	return "COERCIBLE"
}

// collationPassed are the functions whose text has the collation of their arguments.
var collationPassed = map[string]bool{"concat": true, "concat_ws": true, "substring": true, "left": true, "right": true, "lower": true, "upper": true,
	"trim": true, "ltrim": true, "rtrim": true, "lpad": true, "rpad": true, "repeat": true, "reverse": true, "replace": true, "insert": true,
	"substring_index": true, "coalesce": true, "ifnull": true, "if": true, "nullif": true, "case": true, "greatest": true, "least": true, "elt": true, "quote": true,
	"make_set": true, "export_set": true, "soundex": true, "regexp_replace": true, "regexp_substr": true}

// keyedArgs are the functions that compare their arguments: they get keys.
var keyedArgs = map[string]bool{"=": true, "!=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true, "<=>": true, "in": true, "strcmp": true,
	"field": true}

// coercion tells the collation of an expression, and how much it insists.
func (b *binder) coercion(n *expr.Node) (types.Collation, coercibility) {
	if !n.Type.IsText() {
		return types.CollationBinary, indifferent
	}
	own := n.Type.Collation
	switch {
	case own == mixedCollation:
		return own, none
	case n.Kind == expr.NodeConst && n.Value.Null:
		return types.CollationBinary, indifferent
	case n.Kind == expr.NodeColumn && !b.cols[n.Col].weak, n.Kind == expr.NodeConst && own != types.CollationBinary:
		return own, implicit
	case n.Kind != expr.NodeCall:
		return own, coercible
	}
	switch name, _, _ := strings.Cut(n.Func, ":"); {
	case name == fn.Collate:
		return own, explicit
	case name == fn.CollationText:
		return own, implicit
	case collationPassed[name]:
		_, level, _ := b.aggregateCollations(n.Args)
		if own != types.CollationBinary {
			level = min(level, implicit)
		}
		return own, level
	case name == "cast" && n.Args[0].Type.IsText(), name == "convert_using":
		return own, implicit
	}
	return own, coercible
}

// weak reports whether an expression does not insist on its collation.
func (b *binder) weak(n *expr.Node) bool {
	_, level := b.coercion(n)
	return level >= coercible
}

// conflict is two collations of which neither gives way.
type conflict struct {
	a, b           types.Collation
	levelA, levelB coercibility
}

// aggregateCollations tells by which collation expressions meet, by MySQL's rules. Mixed collations are those of a conflict.
func (b *binder) aggregateCollations(args []*expr.Node) (types.Collation, coercibility, *conflict) {
	out, level := types.CollationBinary, indifferent
	var bad *conflict
	for _, a := range args {
		c, l := b.coercion(a)
		switch {
		case l < level:
			out, level = c, l
		case l > level || c == out:
		case c == types.CollationBinary && l != explicit, out == types.CollationBinary && l != explicit:
			out = types.CollationBinary // of two that insist alike that of bytes goes first
		default:
			bad = &conflict{out, c, level, l}
			out, level = mixedCollation, none
			if l == explicit {
				return out, level, bad
			}
		}
	}
	if level == explicit {
		bad = nil
	}
	return out, level, bad
}

// meet is aggregateCollations for a comparison, in which a conflict is an error.
func (b *binder) meet(operation string, args []*expr.Node) (types.Collation, error) {
	c, _, bad := b.aggregateCollations(args)
	switch {
	case bad != nil && len(args) == 2:
		return c, errorf(errno.IllegalMixOfTwo, "Illegal mix of collations (%s,%s) and (%s,%s) for operation '%s'", bad.a, bad.levelA, bad.b, bad.levelB, operation)
	case c == mixedCollation || bad != nil:
		return c, errorf(errno.IllegalMix, "Illegal mix of collations for operation '%s'", operation)
	}
	return c, nil
}

// comparesText reports whether all arguments are text, or nothing: as soon as one is a number, a time or bytes, no collation matters.
func comparesText(args []*expr.Node) bool {
	for _, a := range args {
		if !a.Type.IsText() && a.Type.Kind != types.KindNull {
			return false
		}
	}
	return true
}

// collatedCall is call where text may compare otherwise than by its bytes.
func (b *binder) collatedCall(name string, args []*expr.Node) (*expr.Node, error) {
	base := strings.ToLower(name)
	if d := fn.Lookup(base); d != nil && !strings.Contains(base, ":") {
		base = d.Name
	}
	switch {
	case keyedArgs[base]:
		return b.comparison(name, args)
	case base == "like":
		return b.collatedMatch(fn.CollationLike, name, args, 0, 1)
	case base == "locate":
		return b.collatedMatch(fn.CollationLocate, name, args, 0, 1)
	case base == "instr":
		return b.collatedMatch(fn.CollationLocate, name, args, 1, 0)
	case base == "find_in_set":
		return b.collatedMatch(fn.CollationInSet, name, args, 0, 1)
	case base == "nullif" && len(args) == 2 && comparesText(args):
		eq, err := b.call("=", args[0], args[1])
		if err != nil {
			return nil, err
		}
		return b.call("case", eq, constNull(args[0].Type), args[0])
	case strings.HasPrefix(base, "regexp"):
		return b.collatedRegexp(name, args)
	case (base == "greatest" || base == "least") && comparesText(args):
		return b.collatedExtreme(name, args)
	}
	return b.passed(name, args)
}

// passed calls a function and gives its text the collation of the arguments.
func (b *binder) passed(name string, args []*expr.Node) (*expr.Node, error) {
	n, err := b.plainCall(name, args)
	if err != nil || !n.Type.IsText() {
		return n, err
	}
	c, level := types.CollationBinary, coercible
	if base, _, _ := strings.Cut(canonical(name), ":"); collationPassed[base] {
		var bad *conflict
		if c, level, bad = b.aggregateCollations(args); bad != nil && bad.levelB == explicit {
			_, err := b.meet(name, args)
			return nil, err
		}
	}
	return b.withCollation(n, c, level)
}

// canonical is the name of a function in the registry.
func canonical(name string) string {
	if d := fn.Lookup(name); d != nil {
		return d.Name
	}
	return name
}

// withCollation gives text a collation: what is explicit stays so, also of a constant.
func (b *binder) withCollation(n *expr.Node, c types.Collation, level coercibility) (*expr.Node, error) {
	if n.Type.Collation != c {
		with := *n
		with.Type.Collation = c
		n = &with
	}
	if level == explicit && n.Kind == expr.NodeConst {
		return explicitCollation(n, c), nil
	}
	return n, nil
}

// explicitCollation is COLLATE.
func explicitCollation(n *expr.Node, c types.Collation) *expr.Node {
	t := n.Type
	t.Collation = c
	return &expr.Node{Kind: expr.NodeCall, Func: fn.Collate + ":" + c.String(), Type: t, Args: []*expr.Node{n}}
}

// comparison compares text by keys.
func (b *binder) comparison(name string, args []*expr.Node) (*expr.Node, error) {
	if !comparesText(args) {
		return b.plainCall(name, bare(args))
	}
	c, err := b.meet(name, args)
	if err != nil {
		return nil, err
	}
	args, err = b.keys(c, args)
	if err != nil {
		return nil, err
	}
	return b.plainCall(name, args)
}

// together has the comparisons of the first of some texts with each of the others go by one collation: that by which all of them meet.
func (b *binder) together(operation string, args []*expr.Node) ([]*expr.Node, error) {
	if !b.collates || !comparesText(args) || args[0].Type.Kind == types.KindNull {
		return args, nil
	}
	c, err := b.meet(operation, args)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(args)
	out[0] = explicitCollation(bare(args[:1])[0], c)
	for i, a := range args[1:] {
		out[i+1] = bare([]*expr.Node{a})[0]
	}
	return out, nil
}

// bare takes COLLATE off the arguments of a comparison that has heeded it.
func bare(args []*expr.Node) []*expr.Node {
	out := make([]*expr.Node, len(args))
	for i, a := range args {
		for a.Kind == expr.NodeCall && strings.HasPrefix(a.Func, fn.Collate+":") {
			a = a.Args[0]
		}
		out[i] = a
	}
	return out
}

// keys are the keys of texts by a collation; NULLs stay, and so does everything by that of bytes.
func (b *binder) keys(c types.Collation, args []*expr.Node) ([]*expr.Node, error) {
	out := bare(args)
	if c == types.CollationBinary {
		return out, nil
	}
	for i, a := range out {
		if a.Type.Kind == types.KindNull {
			continue
		}
		var err error
		if out[i], err = b.by(fn.CollationKey, c, a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// by calls one of the functions of a collation.
func (b *binder) by(name string, c types.Collation, args ...*expr.Node) (*expr.Node, error) {
	n, err := expr.Call(name+":"+c.String(), args...)
	if err != nil {
		return nil, fmt.Errorf("BUG: %s: %w", name, err)
	}
	n.Type.NotNull = args[0].Type.NotNull && (len(args) == 1 || name == fn.CollationPair)
	return b.foldCall(n)
}

// collatedMatch calls the twin of a function that finds a text in another, which are its first two arguments, in that order.
func (b *binder) collatedMatch(twin, name string, args []*expr.Node, order ...int) (*expr.Node, error) {
	const texts = 2
	if len(args) < texts || !comparesText(args[:texts]) {
		return b.plainCall(name, bare(args))
	}
	c, err := b.meet(name, args[:texts])
	if err != nil {
		return nil, err
	}
	args = bare(args)
	if c == types.CollationBinary {
		return b.plainCall(name, args)
	}
	in := make([]*expr.Node, 0, len(args))
	for _, i := range order {
		in = append(in, args[i])
	}
	return b.by(twin, c, append(in, args[texts:]...)...)
}

// collatedRegexp has a regular expression pass over case where the collation does.
func (b *binder) collatedRegexp(name string, args []*expr.Node) (*expr.Node, error) {
	if len(args) < 2 || !comparesText(args[:2]) {
		return b.passed(name, args)
	}
	c, err := b.meet(name, args[:2])
	if err != nil {
		return nil, err
	}
	flags := strings.EqualFold(canonical(name), "regexp") && len(args) > 2
	if c != types.CollationBinary && !flags {
		pattern, err := b.plainCall("concat", []*expr.Node{constString("(?i)"), bare(args[1:2])[0]})
		if err != nil {
			return nil, err
		}
		args = append([]*expr.Node{args[0], pattern}, args[2:]...)
	}
	return b.passed(name, args)
}

// collatedExtreme is GREATEST or LEAST: of keys that have their texts with them, and of equal ones the first.
func (b *binder) collatedExtreme(name string, args []*expr.Node) (*expr.Node, error) {
	c, level, _ := b.aggregateCollations(args)
	if _, err := b.meet(name, args); err != nil || c == types.CollationBinary {
		if err != nil {
			return nil, err
		}
		return b.passed(name, args)
	}
	pairs := bare(args)
	for i, a := range pairs {
		if a.Type.Kind == types.KindNull {
			continue
		}
		var err error
		rank := uint16(i)
		if canonical(name) == "greatest" {
			rank = ^rank
		}
		if pairs[i], err = b.by(fn.CollationPair, c, a, expr.ConstBytes(binary.BigEndian.AppendUint16(nil, rank))); err != nil {
			return nil, err
		}
	}
	most, err := b.plainCall(name, pairs)
	if err != nil {
		return nil, err
	}
	n, err := b.textOf(most, args[0].Type)
	if err != nil {
		return nil, err
	}
	return b.withCollation(n, c, level)
}

// textOf is the text of a pair; like tells its type.
func (b *binder) textOf(pair *expr.Node, like types.ColumnType) (*expr.Node, error) {
	n, err := expr.Call(fn.CollationText, pair)
	if err != nil {
		return nil, fmt.Errorf("BUG: %s: %w", fn.CollationText, err)
	}
	notNull := pair.Type.NotNull
	if like.IsText() {
		n.Type.Kind, n.Type.Length, n.Type.Collation = like.Kind, like.Length, like.Collation
	}
	n.Type.NotNull = notNull
	return b.foldCall(n)
}

// keyed is what an expression is compared, grouped and sorted by.
func (b *binder) keyed(n *expr.Node) (*expr.Node, error) {
	if !n.Type.IsText() || n.Type.Collation == types.CollationBinary || n.Type.Collation == mixedCollation {
		return n, nil // what is mixed compares with nothing but itself
	}
	out, err := b.keys(n.Type.Collation, []*expr.Node{n})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// keyOf recognises the key of an expression.
func keyOf(n *expr.Node) (types.Collation, bool) {
	if n.Kind != expr.NodeCall {
		return types.CollationBinary, false
	}
	name, ok := strings.CutPrefix(n.Func, fn.CollationKey+":")
	if !ok {
		return types.CollationBinary, false
	}
	return types.ParseCollation(name)
}

// collate binds COLLATE.
func (e *env) collate(n *ast.SetCollationExpr) (*expr.Node, error) {
	x, err := e.bind(n.Expr)
	if err != nil {
		return nil, err
	}
	c, known := types.ParseCollation(n.Collate)
	if !known && types.BinaryCollation(n.Collate) {
		known = true
	}
	if !known {
		return nil, refuse("COLLATE " + n.Collate)
	}
	if x, err = e.b.shown(x); err != nil {
		return nil, err
	}
	if x.Type.Kind == types.KindNull {
		return x, nil
	}
	if own, level := e.b.coercion(x); c == types.CollationBinary && own == c && (level == implicit || level == indifferent) {
		return x, nil // as it is
	}
	if x.Type.IsString() && !x.Type.IsText() {
		return nil, errorf(errno.CollationMismatch, "COLLATION '%s' is not valid for CHARACTER SET 'binary'", c)
	}
	if !x.Type.IsText() {
		if x, err = e.b.coerce(x, types.ColumnType{Kind: types.KindVarChar, Length: fn.DisplayLength(x.Type)}); err != nil {
			return nil, err
		}
	}
	e.b.collates = true
	return explicitCollation(bare([]*expr.Node{x})[0], c), nil
}

// unionCollation is the collation of a column of a set operation.
func (b *binder) unionCollation(l, r int, t types.ColumnType) (types.Collation, error) {
	if !t.IsText() {
		return types.CollationBinary, nil
	}
	c, _, bad := b.aggregateCollations([]*expr.Node{b.col(l), b.col(r)})
	if bad != nil {
		return c, errorf(errno.IllegalMix, "Illegal mix of collations for operation 'UNION'")
	}
	return c, nil
}
