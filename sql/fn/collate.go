package fn

import (
	"encoding/binary"

	"stele/meta/types"
	"stele/sql/collation"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// The functions that the planner puts where text is compared otherwise than by its bytes. Users cannot name them; the parameter is the
// collation.
const (
	// Collate is the text itself: what COLLATE is in a plan.
	Collate = "collate"
	// CollationKey is what compares by its bytes as the text does by the collation.
	CollationKey = "collation_key"
	// CollationPair is the key with the text, to find the text again that has the least or greatest key: CollationText.
	CollationPair = "collation_pair"
	CollationText = "collation_text"
	// CollationLike, CollationLocate and CollationInSet are LIKE, LOCATE and FIND_IN_SET.
	CollationLike   = "collation_like"
	CollationLocate = "collation_locate"
	CollationInSet  = "collation_in_set"
)

// collationNames are the parameters.
var collationNames = func() []string {
	var out []string
	for _, c := range types.Collations() {
		if c != types.CollationBinary {
			out = append(out, c.String())
		}
	}
	return out
}()

func init() {
	def := func(name, doc string, lo, hi int, rule Rule, row rowFunc) Def {
		return Def{Name: name, Group: "collation", Syntax: name + ":collation(text, ...)", Doc: doc, Min: lo, Max: hi, Params: collationNames, Rule: rule, Row: row}
	}
	key := def(CollationKey, "What compares as the text does by a collation.", 1, 1, onTexts(always(tBin)), nil)
	key.Row = func(c *Call, a []vec.Value) (vec.Value, error) {
		return vec.Str(collation.AppendKey(nil, c.collation(), a[0].B)), nil
	}
	key.Vec = func(c *Call, a []Arg, n int) (*vec.Vector, error) {
		by := c.collation()
		return bytesVec(c, n, func(dst []byte, i int) []byte { return collation.AppendKey(dst, by, a[0].Bytes(a[0].At(i))) }, a[0]), nil
	}
	pair := def(CollationPair, "What compares as the text does by a collation, with the text. Bytes, if given, decide between equal texts.", 1, 2,
		onTexts(always(tBin)), nil)
	pair.Row = func(c *Call, a []vec.Value) (vec.Value, error) {
		var rank []byte
		if len(a) > 1 {
			rank = a[1].B
		}
		return vec.Str(appendPair(nil, c.collation(), rank, a[0].B)), nil
	}
	like := def(CollationLike, "LIKE by a collation.", 2, 3, onTexts(always(tBool)), collationLike)
	like.Prepare = prepareCollationLike
	whole := def(CollationText, "The text of such a pair.", 1, 1, onTexts(always(tStr)), textOfPair)
	whole.Params = nil
	same := def(Collate, "The text itself.", 1, 1, onText(), func(_ *Call, a []vec.Value) (vec.Value, error) { return a[0], nil })
	same.Params = append([]string{types.CollationBinary.String()}, collationNames...)
	register(key, pair, whole, like, same,
		def(CollationLocate, "LOCATE by a collation.", 2, 3,
			func(_ string, a []T) ([]T, T, error) { return []T{text(a[0]), text(a[1]), tInt}[:len(a)], tInt, nil }, collationLocate),
		def(CollationInSet, "FIND_IN_SET by a collation.", 2, 2, fixed(tInt, tStr), func(c *Call, a []vec.Value) (vec.Value, error) {
			return vec.Int(collation.InSet(c.collation(), a[0].B, a[1].B)), nil
		}))
}

// collation is the parameter of the call.
func (c *Call) collation() types.Collation {
	by, _ := types.ParseCollation(c.Param)
	return by
}

// appendPair appends the key of a text, its rank among equal ones, the text, and the length of the text.
func appendPair(dst []byte, by types.Collation, rank, text []byte) []byte {
	dst = append(append(collation.AppendKey(dst, by, text), rank...), text...)
	return binary.BigEndian.AppendUint32(dst, uint32(len(text)))
}

// textOfPair is the text that appendPair was given.
func textOfPair(_ *Call, a []vec.Value) (vec.Value, error) {
	b := a[0].B
	if len(b) < 4 {
		return vec.NullValue(), nil
	}
	b, n := b[:len(b)-4], int(binary.BigEndian.Uint32(b[len(b)-4:]))
	if n > len(b) {
		return vec.NullValue(), nil
	}
	return vec.Str(b[len(b)-n:]), nil
}

// compiledLike is what LIKE knows of its constants.
type compiledLike struct {
	*collation.Matcher
	escape  byte
	pattern collation.Pattern // of a constant pattern
	fixed   bool
}

func prepareCollationLike(c *Call) error {
	l := &compiledLike{Matcher: collation.NewMatcher(c.collation()), escape: '\\'}
	if len(c.Const) > 2 {
		e := c.Const[2]
		switch {
		case e == nil || e.Null || len(e.B) > 1:
			return sqltypes.Errorf(errno.WrongArguments, "Incorrect arguments to ESCAPE")
		case len(e.B) == 0:
			l.escape = 0
		default:
			l.escape = e.B[0]
		}
	}
	if p := c.Const[1]; p != nil && !p.Null {
		l.pattern, l.fixed = collation.CompileLike(p.B, l.escape), true
	}
	c.State = l
	return nil
}

func collationLike(c *Call, a []vec.Value) (vec.Value, error) {
	l := c.State.(*compiledLike)
	p := l.pattern
	if !l.fixed {
		p = collation.CompileLike(a[1].B, l.escape)
	}
	return vec.Bool(l.Like(a[0].B, p)), nil
}

func collationLocate(c *Call, a []vec.Value) (vec.Value, error) {
	pos := int64(1)
	if len(a) > 2 {
		pos = a[2].I
	}
	return vec.Int(collation.Locate(c.collation(), a[0].B, a[1].B, pos)), nil
}
