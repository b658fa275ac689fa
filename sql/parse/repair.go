package parse

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser"

	"stele/sql/syntax"
)

// A few forms of MySQL 8 and StarRocks are refused by the MySQL parser although its tree can hold them. They are rare, so nothing
// is spent on them before a statement has failed: then they are overwritten in place, the text is parsed again, and what was
// overwritten is put into the tree.
//
//	(SELECT ...) AS x (a, b)                    column list of a derived table, which the parser takes only behind LATERAL
//	VALUES (...) AS new ON DUPLICATE KEY ...    row alias
//	CAST(x AS STRING)                           StarRocks' name of CHAR
//	EXPLAIN FORMAT=TREE, EXPLAIN VERBOSE        formats without quotes
//	SELECT ... INTO @a, @b                      user variables, see IntoStmt
//	a INT AS (b + 1) PERSISTENT                 MariaDB's name of STORED
//	START TRANSACTION READ ONLY, WITH …         more than one characteristic
//	LOAD DATA … INTO TABLE t PARTITION (a, b)   partitions
//	SHOW WARNINGS | ERRORS LIMIT 1, 2           a part of them
//	SHOW STORAGE ENGINES                        the long name of SHOW ENGINES
//	SET PERSIST x = 1, @@PERSIST.y = 2          the long name of SET GLOBAL, which is for good here
//	LOCK TABLES t AS a READ, u LOW_PRIORITY WRITE
//	GRANT r TO u WITH ADMIN OPTION
//	CREATE USER u DEFAULT ROLE r, s             see DefaultRolesStmt
//	MATCH (a) AGAINST ('x') > 0                 a rank that something is done with, without parentheses around it
type repair struct {
	text string
	mode syntax.Mode
	toks []syntax.Token
	out  []byte // nil until something is overwritten
	fix  []func(StmtNode) error
	wrap func(StmtNode) StmtNode // makes the statement what the tree of the parser cannot say; nil = it says all
	// aliases are those of LOCK TABLES, by the places of their tables.
	aliases map[int]string
}

// parseRepaired parses, and if that fails tries again with repairs. The error of the second try is the better one if it stands
// where nothing was overwritten behind it; otherwise the first one is at least true.
func parseRepaired(p *parser.Parser, text string, mode syntax.Mode) ([]StmtNode, error) {
	signed := signIntervals(text, mode)
	nodes, _, err := p.ParseSQL(signed)
	if err == nil {
		if signed != text {
			nodes[0].Accept(&unsigned{text, signed})
		}
		return asLockTables(nodes, nil), nil
	}
	text = signed
	r := &repair{text: text, mode: mode, toks: syntax.Tokenize(text, mode)}
	r.explain()
	r.characteristics()
	r.loadPartitions()
	r.diagnostics()
	r.persist()
	r.lockAliases()
	r.rowAlias()
	r.intoVars()
	r.adminOption()
	r.defaultRoles(p)
	r.parentheses()
	if r.out == nil {
		return nil, err
	}
	repaired := string(r.out)
	nodes, _, second := p.ParseSQL(repaired)
	if second != nil {
		if offset, ok := errorOffset(repaired, second.Error()); ok && repaired[offset:] == text[offset:] {
			return nil, second
		}
		return nil, err
	}
	for _, fix := range r.fix {
		if err := fix(nodes[0]); err != nil {
			return nil, err
		}
	}
	if r.wrap != nil && len(nodes) > 0 {
		nodes[0] = r.wrap(nodes[0])
	}
	return asLockTables(nodes, r.aliases), nil
}

// overwrite puts a text at from and blanks up to end, newlines kept.
func (r *repair) overwrite(from, end int, with string) {
	if r.out == nil {
		r.out = []byte(r.text)
	}
	for i := from; i < end; i++ {
		if c := r.text[i]; c != '\n' && c != '\r' {
			r.out[i] = ' '
		}
	}
	copy(r.out[from:end], with)
}

// is reports whether token i is the word or punctuation given in upper case.
func (r *repair) is(i int, upper string) bool {
	return i >= 0 && i < len(r.toks) && r.toks[i].Is(r.text, upper)
}

// isName reports whether token i can only be an identifier.
func (r *repair) isName(i int) bool {
	if i >= len(r.toks) {
		return false
	}
	t := r.toks[i]
	return t.Kind == syntax.Quoted || t.Kind == syntax.Word && !isReserved(t.Text(r.text))
}

// loadPartitions takes the partitions out of LOAD DATA … INTO TABLE [d.]t PARTITION (a, b).
func (r *repair) loadPartitions() {
	if !r.is(0, "LOAD") || !r.is(1, "DATA") {
		return
	}
	at := slices.IndexFunc(r.toks, func(t syntax.Token) bool { return t.Is(r.text, "PARTITION") })
	names, end := r.nameList(at + 1)
	if at < 0 || end == 0 || !r.is(at-2, "TABLE") && !r.is(at-2, ".") {
		return
	}
	r.overwrite(r.toks[at].Start, r.toks[end-1].End, "")
	r.fix = append(r.fix, func(n StmtNode) error {
		if load, ok := n.(*LoadDataStmt); ok && load.Table != nil {
			for _, name := range names {
				load.Table.PartitionNames = append(load.Table.PartitionNames, NewCIStr(name))
			}
		}
		return nil
	})
}

// value returns the name that token i is.
func (r *repair) value(i int) string { return r.toks[i].Value(r.text, r.mode) }

// nameList reads (a, b, ...) at token i and returns the token behind it, or 0.
func (r *repair) nameList(i int) (names []string, end int) {
	if !r.is(i, "(") {
		return nil, 0
	}
	for i++; r.isName(i); i += 2 {
		names = append(names, r.value(i))
		if r.is(i+1, ")") {
			return names, i + 2
		}
		if !r.is(i+1, ",") {
			break
		}
	}
	return nil, 0
}

// explain takes the format out of EXPLAIN [ANALYZE] FORMAT = TREE and EXPLAIN VERBOSE | COSTS | LOGICAL.
func (r *repair) explain() {
	if !r.is(0, "EXPLAIN") && !r.is(0, "DESC") && !r.is(0, "DESCRIBE") || len(r.toks) < 3 {
		return
	}
	at, with := 1, ""
	if r.is(at, "ANALYZE") {
		at++
	}
	switch {
	case r.is(at, "FORMAT") && r.is(at+1, "=") && r.is(at+2, "TREE"):
		at, with = at+2, "ROW"
	case r.is(at, "VERBOSE"), r.is(at, "COSTS"), r.is(at, "LOGICAL"):
	default:
		return
	}
	t := r.toks[at]
	r.overwrite(t.Start, t.End, with)
	r.fix = append(r.fix, func(n StmtNode) error {
		if e, ok := n.(*ExplainStmt); ok {
			e.Format = strings.ToLower(t.Text(r.text))
		}
		return nil
	})
}

// characteristics leaves the access mode of START TRANSACTION alone. The snapshot is not in the tree: who runs it reads the text.
func (r *repair) characteristics() {
	if !r.is(0, "START") || !r.is(1, "TRANSACTION") {
		return
	}
	mode, snapshot, i := "", false, 2
	for more := true; more; i++ {
		switch {
		case mode == "" && r.is(i, "READ") && (r.is(i+1, "ONLY") || r.is(i+1, "WRITE")):
			mode, i = " READ "+r.toks[i+1].Text(r.text), i+2
		case !snapshot && r.is(i, "WITH") && r.is(i+1, "CONSISTENT") && r.is(i+2, "SNAPSHOT"):
			snapshot, i = true, i+3
		default:
			return
		}
		more = r.is(i, ",")
	}
	if mode != "" && snapshot {
		r.overwrite(r.toks[1].End, r.toks[i-2].End, mode)
	}
}

// diagnostics takes the LIMIT out of SHOW WARNINGS and SHOW ERRORS, and what is not needed out of SHOW STORAGE ENGINES.
func (r *repair) diagnostics() {
	switch {
	case !r.is(0, "SHOW"):
	case r.is(1, "STORAGE") && r.is(2, "ENGINES"):
		r.overwrite(r.toks[1].Start, r.toks[1].End, "")
	case (r.is(1, "WARNINGS") || r.is(1, "ERRORS")) && r.is(2, "LIMIT"):
		limit, end := r.limit(3)
		if limit == nil {
			return
		}
		r.overwrite(r.toks[2].Start, r.toks[end-1].End, "")
		r.fix = append(r.fix, func(n StmtNode) error {
			if show, ok := n.(*ShowStmt); ok {
				show.Limit = limit
			}
			return nil
		})
	}
}

// persist makes SET PERSIST of SET GLOBAL: a value that is set so outlives a restart of every FE.
func (r *repair) persist() {
	if !r.is(0, "SET") {
		return
	}
	const scope = "@@PERSIST."
	for i, t := range r.toks {
		switch text := t.Text(r.text); {
		case r.is(i, "PERSIST") && (i == 1 || r.is(i-1, ",")):
			r.overwrite(t.Start, t.End, "GLOBAL")
		case len(text) > len(scope) && strings.EqualFold(text[:len(scope)], scope):
			r.overwrite(t.Start, t.End, "@@GLOBAL."+text[len(scope):])
		}
	}
}

// limit reads the numbers of a LIMIT that begin at token i, nil = there are none.
func (r *repair) limit(i int) (limit *Limit, end int) {
	number := func(i int) (ExprNode, bool) {
		if i >= len(r.toks) || r.toks[i].Kind != syntax.Int {
			return nil, false
		}
		n, err := strconv.ParseInt(r.toks[i].Text(r.text), 10, 64)
		return &Literal{Kind: LiteralInt, Int: n}, err == nil
	}
	count, ok := number(i)
	if !ok {
		return nil, 0
	}
	other, ok := number(i + 2)
	switch {
	case ok && r.is(i+1, ","):
		return &Limit{Offset: count, Count: other}, i + 3
	case ok && r.is(i+1, "OFFSET"):
		return &Limit{Offset: other, Count: count}, i + 3
	}
	return &Limit{Count: count}, i + 1
}

// parentheses goes through all of them, for casts and derived tables.
func (r *repair) parentheses() {
	var open []int
	match := -1 // the last one whose AGAINST is still to come
	var derived derivedTables
	for i := range r.toks {
		switch {
		case r.is(i, "("):
			open = append(open, i)
		case r.is(i, ")") && len(open) > 0:
			at := open[len(open)-1]
			open = open[:len(open)-1]
			switch {
			case r.is(at-1, "CAST") && r.is(i-1, "STRING") && r.is(i-2, "AS"):
				r.overwrite(r.toks[i-1].Start, r.toks[i-1].End, "CHAR")
			case r.is(at-1, "AS") && r.is(i+1, "PERSISTENT"):
				r.overwrite(r.toks[i+1].Start, r.toks[i+1].End, "STORED")
			case r.is(at-1, "AGAINST") && match >= 0:
				r.rank(match, i)
				match = -1
			case r.startsQuery(at + 1):
				derived.lift(r, i+1)
			}
		case r.is(i, "MATCH"):
			match = i
		}
	}
	if len(derived.tables) > 0 {
		r.fix = append(r.fix, func(n StmtNode) error {
			n.Accept(&derived)
			return nil
		})
	}
}

// rank puts parentheses around MATCH … AGAINST (…), which is tokens i to end, where an operator follows and blanks leave the room.
func (r *repair) rank(i, end int) {
	if end+1 >= len(r.toks) || !strings.Contains("<=>=<>!=+-*/%", r.toks[end+1].Text(r.text)) {
		return
	}
	start, behind := r.toks[i].Start, r.toks[end].End
	if r.text[behind] != ' ' {
		return
	}
	for j := i + 1; j <= end; j++ {
		if gap := r.toks[j-1].End; r.toks[j].Start > gap {
			r.overwrite(start, gap+1, "("+r.text[start:gap])
			r.overwrite(behind, behind+1, ")")
			return
		}
	}
}

// startsQuery reports whether a query starts at token i, perhaps behind more parentheses.
func (r *repair) startsQuery(i int) bool {
	for r.is(i, "(") {
		i++
	}
	return r.is(i, "SELECT") || r.is(i, "WITH") || r.is(i, "VALUES") || r.is(i, "TABLE")
}
