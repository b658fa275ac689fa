package syntax

import (
	"slices"
	"strings"
)

// equalName compares identifiers as MySQL compares column names.
func equalName(a, b string) bool { return strings.EqualFold(a, b) }

// distribution reads BY HASH(cols) | BY RANDOM, [BUCKETS n | AUTO], behind DISTRIBUTED.
func (c *cursor) distribution() (*Distribution, *failure) {
	d := &Distribution{Offset: c.toks[c.pos-1].Start}
	if f := c.expect("BY"); f != nil {
		return nil, f
	}
	switch {
	case c.accept("RANDOM"):
		d.Random = true
	case c.accept("HASH"):
		var f *failure
		if d.Columns, f = c.parenNames(); f != nil {
			return nil, f
		}
	default:
		return nil, c.failHere("HASH or RANDOM")
	}
	if !c.accept("BUCKETS") || c.accept("AUTO") {
		return d, nil
	}
	at := c.pos
	n, f := c.integer()
	if f == nil && n < 1 {
		f = &failure{tok: at, expected: "a positive number of buckets"}
	}
	d.Buckets = n
	return d, f
}

// partitionBy reads what follows PARTITION BY, except for HASH and KEY.
func (c *cursor) partitionBy() (*PartitionBy, *failure) {
	p := &PartitionBy{Kind: PartitionExpr, Offset: c.toks[c.pos-2].Start}
	if c.peek(1).Is(c.src, "(") || c.peek(1).Is(c.src, "COLUMNS") {
		if w := c.acceptAny("RANGE", "LIST"); w != "" {
			p.Kind = PartitionKind(w)
			c.accept("COLUMNS")
		}
	}
	if f := c.partitionExprs(p); f != nil {
		return nil, f
	}
	if c.accept("PARTITIONS") {
		if _, f := c.integer(); f != nil {
			return nil, f
		}
	}
	if !c.is("(") || !(c.peek(1).Is(c.src, "PARTITION") || c.peek(1).Is(c.src, "START") || c.peek(1).Is(c.src, ")")) {
		return p, nil
	}
	var f *failure
	p.Defs, p.Batches, f = c.partitionDefs()
	return p, f
}

// partitionExprs reads the columns or expressions, in parentheses or, in StarRocks' form, also without.
func (c *cursor) partitionExprs(p *PartitionBy) *failure {
	paren := c.accept("(")
	if !paren && p.Kind != PartitionExpr {
		return c.failHere("'('")
	}
	plain := true
	for {
		start := c.pos
		if f := c.skipExpr(paren); f != nil {
			return f
		}
		from := c.toks[start]
		p.Exprs = append(p.Exprs, Raw{Text: c.src[from.Start:c.toks[c.pos-1].End], Offset: from.Start})
		if c.pos == start+1 && (from.Kind == Word || from.Kind == Quoted) {
			p.Columns = append(p.Columns, from.Value(c.src, c.mode))
		} else {
			plain = false
		}
		if c.accept(",") {
			continue
		}
		if !plain {
			p.Columns = nil
		}
		if paren {
			return c.expect(")")
		}
		return nil
	}
}

// skipExpr moves behind one expression: up to a comma or closing parenthesis inside parentheses; outside them only a name or
// a function call, because nothing else marks the end.
func (c *cursor) skipExpr(paren bool) *failure {
	start := c.pos
	if !paren {
		if _, f := c.ident(); f != nil {
			return f
		}
		if c.is("(") {
			return c.skipParens()
		}
		return nil
	}
	for !c.is(",") && !c.is(")") {
		switch {
		case c.is("("):
			if f := c.skipParens(); f != nil {
				return f
			}
		case c.tok().Kind == EOF || c.tok().Kind == Invalid:
			return c.failHere("')'")
		default:
			c.pos++
		}
	}
	if c.pos == start {
		return c.failHere("expression")
	}
	return nil
}

// partitionDefs reads (PARTITION ..., START ... END ... EVERY ..., ...), which may be empty.
func (c *cursor) partitionDefs() (defs []PartitionDef, batches []RangeBatch, f *failure) {
	if f = c.expect("("); f != nil || c.accept(")") {
		return nil, nil, f
	}
	for {
		switch {
		case c.is("START"):
			var b RangeBatch
			b, f = c.rangeBatch()
			batches = append(batches, b)
		case c.accept("PARTITION"):
			var d PartitionDef
			d, f = c.partitionDef()
			defs = append(defs, d)
		default:
			f = c.failHere("PARTITION or START")
		}
		switch {
		case f != nil:
			return nil, nil, f
		case c.accept(")"):
			return defs, batches, nil
		case !c.accept(","):
			return nil, nil, c.failHere("',' or ')'")
		}
	}
}

// partitionDef reads [IF NOT EXISTS] name VALUES ... [options] [props].
func (c *cursor) partitionDef() (d PartitionDef, f *failure) {
	d.IfNotExists = c.accept("IF", "NOT", "EXISTS")
	d.Offset = c.tok().Start
	if d.Name, f = c.name(); f != nil {
		f.expected = "partition name"
		return d, f
	}
	if f = c.expect("VALUES"); f != nil {
		return d, f
	}
	switch {
	case c.accept("LESS"):
		if f = c.expect("THAN"); f == nil {
			d.LessThan, f = c.boundRow()
		}
	case c.accept("["):
		d.From, d.To, f = c.fixedRange()
	case c.accept("IN"):
		d.In, f = c.boundRows()
	default:
		f = c.failHere("LESS THAN, IN or '['")
	}
	if f == nil {
		f = c.partitionOptions(&d)
	}
	return d, f
}

// partitionOptions reads MySQL's options of a partition, of which only COMMENT means anything here, and StarRocks' properties.
func (c *cursor) partitionOptions(d *PartitionDef) (f *failure) {
	for f == nil {
		switch {
		case c.is("(") && (c.isString(c.peek(1)) || c.peek(2).Is(c.src, "=")):
			d.Properties, f = c.props()
		case c.accept("COMMENT"):
			c.accept("=")
			d.Comment, f = c.stringLit()
		case c.accept("DATA", "DIRECTORY"), c.accept("INDEX", "DIRECTORY"), c.accept("STORAGE", "ENGINE"), c.accept("ENGINE"),
			c.accept("MAX_ROWS"), c.accept("MIN_ROWS"), c.accept("TABLESPACE"):
			c.accept("=")
			_, f = c.value()
		default:
			return nil
		}
	}
	return f
}

// fixedRange reads ("a"), ("b")) behind its opening bracket: closed below, open above.
func (c *cursor) fixedRange() (from, to []Bound, f *failure) {
	if from, f = c.boundRow(); f != nil {
		return nil, nil, f
	}
	if f = c.expect(","); f != nil {
		return nil, nil, f
	}
	if to, f = c.boundRow(); f != nil {
		return nil, nil, f
	}
	return from, to, c.expect(")")
}

// boundRow reads (v, ...) or MAXVALUE alone.
func (c *cursor) boundRow() ([]Bound, *failure) {
	if c.is("MAXVALUE") {
		b, f := c.bound()
		return []Bound{b}, f
	}
	if !c.is("(") {
		return nil, c.failHere("'('")
	}
	return list(c, (*cursor).bound)
}

// boundRows reads (v, ...), one row of one value each, or ((v, ...), ...).
func (c *cursor) boundRows() ([][]Bound, *failure) {
	if !c.is("(") {
		return nil, c.failHere("'('")
	}
	if c.peek(1).Is(c.src, "(") {
		return list(c, (*cursor).boundRow)
	}
	row, f := list(c, (*cursor).bound)
	rows := make([][]Bound, len(row))
	for i := range row {
		rows[i] = row[i : i+1 : i+1]
	}
	return rows, f
}

// bound reads one value up to the comma or parenthesis behind it.
func (c *cursor) bound() (Bound, *failure) {
	start := c.pos
	if c.is("MAXVALUE") {
		c.pos++
		return c.boundFrom(start), nil
	}
	f := c.skipExpr(true)
	if f != nil {
		if f.expected == "expression" {
			f.expected = "partition bound"
		}
		return Bound{}, f
	}
	return c.boundFrom(start), nil
}

// boundFrom classifies the tokens from start up to the cursor.
func (c *cursor) boundFrom(start int) Bound {
	first := c.toks[start]
	b := Bound{Kind: BoundExpr, Raw: c.src[first.Start:c.toks[c.pos-1].End], Offset: first.Start}
	b.Value = b.Raw
	last, n := c.toks[c.pos-1], c.pos-start
	number := last.Kind == Int || last.Kind == Decimal || last.Kind == Float
	switch {
	case n == 1 && c.isString(first):
		first.Kind = String
		b.Kind, b.Value = BoundString, first.Value(c.src, c.mode)
	case n == 1 && number, n == 2 && number && (first.Is(c.src, "-") || first.Is(c.src, "+")):
		b.Kind = BoundNumber
	case n == 1 && first.Is(c.src, "NULL"):
		b.Kind = BoundNull
	case n == 1 && first.Is(c.src, "MAXVALUE"):
		b.Kind = BoundMax
	}
	return b
}

// batchUnits are the units that EVERY takes.
var batchUnits = []string{"HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}

// rangeBatch reads START (a) END (b) EVERY (INTERVAL n unit | n).
func (c *cursor) rangeBatch() (b RangeBatch, f *failure) {
	b.Offset = c.tok().Start
	if f = c.expect("START"); f != nil {
		return b, f
	}
	if b.Start, f = c.parenBound(); f != nil {
		return b, f
	}
	if f = c.expect("END"); f != nil {
		return b, f
	}
	if b.End, f = c.parenBound(); f != nil {
		return b, f
	}
	if f = c.expect("EVERY"); f != nil {
		return b, f
	}
	if f = c.expect("("); f != nil {
		return b, f
	}
	interval := c.accept("INTERVAL")
	at := c.pos
	if b.Every, f = c.integer(); f != nil {
		return b, f
	}
	if b.Every < 1 {
		return b, &failure{tok: at, expected: "a positive integer"}
	}
	if interval {
		if b.Unit = c.acceptAny(batchUnits...); b.Unit == "" {
			return b, c.failHere(joinOr(batchUnits))
		}
	}
	return b, c.expect(")")
}

// parenBound reads (v).
func (c *cursor) parenBound() (Bound, *failure) {
	if !c.is("(") {
		return Bound{}, c.failHere("'('")
	}
	start := c.pos
	row, f := c.boundRow()
	if f != nil {
		return Bound{}, f
	}
	if len(row) != 1 {
		return Bound{}, &failure{tok: start, expected: "one value in parentheses"}
	}
	return row[0], nil
}

// isOneOf reports whether the current token is one of the words.
func (c *cursor) isOneOf(uppers ...string) bool {
	return slices.ContainsFunc(uppers, c.is)
}
