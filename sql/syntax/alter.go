package syntax

// alterTable reads behind ALTER TABLE: either a whole foreign form, or column types to replace.
func (l *lifter) alterTable() (*Lifted, error) {
	name, f := l.table()
	if f != nil {
		return nil, nil
	}
	a := &AlterTable{Table: name, Offset: l.tok().Start}
	if a.Op = l.alterOp(a); a.Op == "" {
		return l.alterColumns()
	}
	f = l.alterForm(a)
	if f == nil && l.is("SUBPARTITION") {
		return nil, NotSupported(l.src, l.tok().Start, "SUBPARTITION")
	}
	if f == nil && l.tok().Kind != EOF {
		f = l.failHere("end of statement")
	}
	if f != nil {
		return nil, l.errorOf(f)
	}
	return &Lifted{SQL: l.src, Alter: a}, nil
}

// alterOp recognises a foreign form by its first words and moves behind them; "" leaves the cursor where it was.
func (l *lifter) alterOp(a *AlterTable) AlterOp {
	start := l.pos
	switch verb := l.acceptAny("ADD", "DROP", "TRUNCATE", "MODIFY", "RENAME"); {
	case verb != "":
		a.Temporary = (verb == "ADD" || verb == "DROP") && l.accept("TEMPORARY")
		word := l.acceptAny("PARTITION", "PARTITIONS")
		// ADD PARTITION PARTITIONS n belongs to HASH partitions, which are MySQL's.
		if word == "" || verb == "ADD" && l.is("PARTITIONS") {
			break
		}
		return AlterOp(verb + " PARTITION")
	case l.is("SET") && l.peek(1).Is(l.src, "("):
		l.pos++
		return AlterSet
	case l.is("PARTITION") && l.peek(1).Is(l.src, "BY") && !l.keptPartition():
		l.pos += 2
		return AlterPartitionBy
	case l.is("REORGANIZE") && l.peek(1).Is(l.src, "PARTITION") && !l.peek(2).Is(l.src, "INTO") && l.peek(2).Kind != EOF:
		l.pos += 2
		return AlterReorganize
	case l.is("REMOVE") && l.peek(1).Is(l.src, "PARTITIONING") && l.peek(2).Kind == EOF:
		l.pos += 2
		return AlterRemovePartitions
	case l.accept("DISTRIBUTED"):
		return AlterDistribution
	case l.is("ORDER") && l.peek(1).Is(l.src, "BY") && l.peek(2).Is(l.src, "("):
		l.pos += 2
		return AlterOrderBy
	}
	l.pos = start
	return ""
}

// alterForm reads the rest of a foreign form.
func (l *lifter) alterForm(a *AlterTable) (f *failure) {
	switch a.Op {
	case AlterSet:
		a.Properties, f = l.props()
	case AlterDistribution:
		a.Distribution, f = l.distribution()
	case AlterOrderBy:
		a.OrderBy, f = l.parenNames()
	case AlterAddPartition:
		f = l.addPartition(a)
	case AlterPartitionBy:
		a.Partition, f = l.partitionBy()
	case AlterReorganize:
		f = l.reorganize(a)
	case AlterDropPartition:
		a.IfExists = l.accept("IF", "EXISTS")
		a.Names, f = list(&l.cursor, (*cursor).name)
		a.Force = f == nil && l.accept("FORCE")
	case AlterTruncatePartition:
		a.Names, f = list(&l.cursor, (*cursor).name)
	case AlterModifyPartition:
		f = l.modifyPartition(a)
	case AlterRenamePartition:
		var old string
		if old, f = l.name(); f != nil {
			return f
		}
		a.Names = []string{old}
		l.accept("TO")
		a.NewName, f = l.name()
	}
	return f
}

// addPartition reads MySQL's (PARTITION ...), StarRocks' single partition, or a batch.
func (l *lifter) addPartition(a *AlterTable) (f *failure) {
	switch {
	case l.is("("):
		a.Defs, a.Batches, f = l.partitionDefs()
	case l.is("START"):
		var b RangeBatch
		b, f = l.rangeBatch()
		a.Batches = append(a.Batches, b)
	default:
		var d PartitionDef
		d, f = l.partitionDef()
		a.IfNotExists = d.IfNotExists
		a.Defs = append(a.Defs, d)
	}
	if f == nil && l.is("(") {
		a.Properties, f = l.props()
	}
	if f == nil && l.accept("DISTRIBUTED") {
		a.Distribution, f = l.distribution()
	}
	return f
}

// reorganize reads p, q INTO (PARTITION ...).
func (l *lifter) reorganize(a *AlterTable) (f *failure) {
	if a.Names, f = list(&l.cursor, (*cursor).name); f != nil {
		return f
	}
	if f = l.expect("INTO"); f != nil {
		return f
	}
	at := l.pos
	if a.Defs, a.Batches, f = l.partitionDefs(); f == nil && (len(a.Defs) == 0 || len(a.Batches) > 0) {
		f = &failure{tok: at + 1, expected: "PARTITION"}
	}
	return f
}

// modifyPartition reads p | (p1, p2) | (*), SET (props).
func (l *lifter) modifyPartition(a *AlterTable) (f *failure) {
	if l.accept("(", "*", ")") || l.accept("*") {
		a.All = true
	} else if a.Names, f = list(&l.cursor, (*cursor).name); f != nil {
		return f
	}
	if f = l.expect("SET"); f != nil {
		return f
	}
	a.Properties, f = l.props()
	return f
}

// alterColumns replaces foreign types in ADD, MODIFY and CHANGE COLUMN. Any number of them may stand in one statement.
func (l *lifter) alterColumns() (*Lifted, error) {
	for l.tok().Kind != EOF && l.tok().Kind != Invalid {
		if err := l.alterSpec(); err != nil {
			return nil, err
		}
		l.accept(",")
	}
	if l.out == nil {
		return nil, nil
	}
	return &Lifted{SQL: l.text(), Tail: &l.tail}, nil
}

// alterSpec passes one specification up to its comma.
func (l *lifter) alterSpec() error {
	verb := l.acceptAny("ADD", "MODIFY", "CHANGE")
	if verb != "" {
		l.accept("COLUMN")
		l.accept("IF", "NOT", "EXISTS")
		l.accept("IF", "EXISTS")
		switch {
		case l.isOneOf(tableElements...):
			l.indexElement()
		case l.is("(") && verb == "ADD":
			if err := l.columnList(); err != nil {
				return err
			}
		default:
			if verb == "CHANGE" {
				if _, f := l.ident(); f != nil {
					break
				}
			}
			if err := l.column(); err != nil {
				return err
			}
		}
	}
	for !l.is(",") && l.tok().Kind != EOF && l.tok().Kind != Invalid {
		if !l.is("(") || l.skipParens() != nil {
			l.pos = min(l.pos+1, len(l.toks)-1)
		}
	}
	return nil
}
