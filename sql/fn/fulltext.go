package fn

import (
	"errors"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/fulltext"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// The functions that the planner makes of MATCH … AGAINST. Users cannot name them; the parameter is MatchParam's. The first argument is the
// query, a constant, and the texts of a row come last.
const (
	// MatchFound reports whether a row is found.
	MatchFound = "match_found"
	// MatchHas is 1 when a row has a word of the query, whose number is the second argument.
	MatchHas = "match_has"
	// MatchRank is the rank of a row. The second argument says how many rows there are and how many of them have each word.
	MatchRank = "match_rank"
)

// booleanMode ends the parameter of a search in boolean mode.
const booleanMode = "_boolean"

// MatchParam is the parameter for a mode and the collation of the texts.
func MatchParam(by types.Collation, boolean bool) string {
	if boolean {
		return by.String() + booleanMode
	}
	return by.String()
}

func init() {
	var params []string
	for _, c := range types.Collations() {
		params = append(params, MatchParam(c, false), MatchParam(c, true))
	}
	def := func(name, doc string, lo int, result T, rule Rule, row rowFunc) Def {
		if rule == nil {
			rule = onTexts(always(result))
		}
		return Def{Name: name, Group: "collation", Syntax: name + ":collation(query, ..., text, ...)", Doc: doc, Min: lo, Max: -1, Params: params, Rule: rule,
			Row: row, Prepare: prepareMatch, TakesNull: true, CanFail: true}
	}
	numbered := func(_ string, a []T) ([]T, T, error) {
		want, _, err := onTexts(always(tInt))("", a)
		want[1] = tInt
		return want, tInt, err
	}
	register(
		def(MatchFound, "Reports whether MATCH finds a row.", 2, tBool, nil, func(c *Call, a []vec.Value) (vec.Value, error) {
			q := c.State.(*fulltext.Query)
			return vec.Bool(q.Match(q.Read(rowTexts(a[1:])...))), nil
		}),
		def(MatchHas, "1 when a row has a word of a query.", 3, tInt, numbered, func(c *Call, a []vec.Value) (vec.Value, error) {
			q := c.State.(*fulltext.Query)
			if i := a[1].I; i >= 0 && i < int64(q.Words()) && q.Read(rowTexts(a[2:])...).Times[i] > 0 {
				return vec.Int(1), nil
			}
			return vec.Int(0), nil
		}),
		def(MatchRank, "The rank of a row by MATCH.", 3, tDouble, nil, func(c *Call, a []vec.Value) (vec.Value, error) {
			q := c.State.(*fulltext.Query)
			rows, of := wordCounts(a[1], q.Words())
			return vec.Float(q.Rank(q.Read(rowTexts(a[2:])...), rows, of)), nil
		}),
	)
}

// ParseMatch reads the query of a search.
func ParseMatch(query string, by types.Collation, boolean bool) (*fulltext.Query, error) {
	if !boolean {
		return fulltext.Natural(query, by), nil
	}
	q, err := fulltext.Boolean(query, by)
	if missing := new(fulltext.Unsupported); errors.As(err, &missing) {
		return nil, sqltypes.NotSupported(missing.What)
	}
	if err != nil {
		return nil, sqltypes.Errorf(errno.Syntax, "%v", err)
	}
	return q, nil
}

func prepareMatch(c *Call) error {
	v, query := c.Const[0], ""
	if v == nil {
		return sqltypes.Errorf(errno.WrongArguments, "Incorrect arguments to AGAINST")
	}
	if !v.Null {
		query = string(v.B)
	}
	name, boolean := strings.CutSuffix(c.Param, booleanMode)
	by, _ := types.ParseCollation(name)
	q, err := ParseMatch(query, by, boolean)
	c.State = q
	return err
}

func rowTexts(a []vec.Value) [][]byte {
	out := make([][]byte, len(a))
	for i := range a {
		if !a[i].Null {
			out[i] = a[i].B
		}
	}
	return out
}

// wordCounts reads the second argument of MatchRank; what is missing is 0.
func wordCounts(v vec.Value, words int) (rows int64, of []int64) {
	of = make([]int64, words)
	for i, f := range strings.Fields(string(v.B)) {
		n, err := strconv.ParseInt(f, 10, 64)
		switch {
		case err != nil || i > words:
			return rows, of
		case i == 0:
			rows = n
		default:
			of[i-1] = n
		}
	}
	return rows, of
}
