package define

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Partitions makes the partitions that definitions and batches describe, for CREATE TABLE and for ALTER TABLE ADD
// PARTITION: the new ones alone, ranges in their order. They fit beside those that the table has.
func Partitions(ctx *plan.Context, t *catalog.Table, defs []syntax.PartitionDef, batches []syntax.RangeBatch) ([]catalog.Partition, error) {
	r := &ranger{ctx: ctx, table: t, parts: slices.Clone(t.Parts)}
	for _, id := range t.Partition.Columns {
		r.cols = append(r.cols, t.Schema.Columns[t.Schema.ColumnIndex(id)])
	}
	for i := range defs {
		if err := r.define(&defs[i]); err != nil {
			return nil, err
		}
	}
	for i := range batches {
		if err := r.batch(&batches[i]); err != nil {
			return nil, err
		}
	}
	err := r.check()
	return slices.DeleteFunc(r.parts, func(p catalog.Partition) bool { return p.ID != 0 }), err
}

// ranger collects partitions.
type ranger struct {
	ctx   *plan.Context
	table *catalog.Table
	cols  []types.Column
	parts []catalog.Partition
}

// define adds one partition.
func (r *ranger) define(d *syntax.PartitionDef) error {
	p := catalog.Partition{Name: d.Name}
	var err error
	switch {
	case r.table.Partition.List != (d.In != nil):
		return wrongValues(d.In != nil)
	case d.In != nil:
		if p.Listed, err = r.list(d.In); err != nil {
			return err
		}
	case d.From != nil:
		if p.Lower, p.LowerText, err = r.key(d.From); err != nil {
			return err
		}
		if p.Upper, p.UpperText, err = r.key(d.To); err != nil {
			return err
		}
	default:
		if p.Upper, p.UpperText, err = r.key(d.LessThan); err != nil {
			return err
		}
		if last := r.highest(); last != nil {
			p.Lower, p.LowerText = last.Upper, last.UpperText
			if last.Upper == nil || p.Upper != nil && bytes.Compare(p.Upper, p.Lower) <= 0 {
				return errorf(errno.RangeNotIncreasing, "VALUES LESS THAN value must be strictly increasing for each partition")
			}
		}
	}
	if err := partitionProperties(&p, d.Properties); err != nil {
		return err
	}
	return r.add(p)
}

// partitionProperties reads what a partition has of its own; other properties have no effect.
func partitionProperties(p *catalog.Partition, props []syntax.Prop) (err error) {
	for _, prop := range props {
		switch strings.ToLower(prop.Key) {
		case "replication_num":
			if p.Replicas, err = replicaNumber(prop.Value); err != nil {
				return err
			}
		case "storage_medium":
			if p.Medium, err = storageMedium(prop.Value); err != nil {
				return err
			}
			p.OwnMedium = true
		}
	}
	return nil
}

func storageMedium(value string) (types.Medium, error) {
	for _, m := range []types.Medium{types.MediumHDD, types.MediumSSD} {
		if strings.EqualFold(value, m.String()) {
			return m, nil
		}
	}
	return 0, errorf(errno.WrongArguments, "Invalid storage medium: %s", value)
}

// highest is the partition with the greatest upper bound.
func (r *ranger) highest() *catalog.Partition {
	var top *catalog.Partition
	for i := range r.parts {
		p := &r.parts[i]
		if top == nil || top.Upper != nil && (p.Upper == nil || bytes.Compare(p.Upper, top.Upper) > 0) {
			top = p
		}
	}
	return top
}

// add appends a partition under a new name.
func (r *ranger) add(p catalog.Partition) error {
	if slices.ContainsFunc(r.parts, func(o catalog.Partition) bool { return strings.EqualFold(o.Name, p.Name) }) {
		return errorf(errno.SamePartitionName, "Duplicate partition name %s", p.Name)
	}
	if len(r.parts) >= maxPartitions {
		return errorf(errno.TooManyPartitions, "Too many partitions (including subpartitions) were defined; at most %d", maxPartitions)
	}
	r.parts = append(r.parts, p)
	return nil
}

// key encodes the bounds of one end. MAXVALUE alone is no end at all; after a value it stands for everything that
// follows the prefix.
func (r *ranger) key(bounds []syntax.Bound) ([]byte, []string, error) {
	if len(bounds) != len(r.cols) {
		return nil, nil, errColumnList()
	}
	var key []byte
	var text []string
	for i, bd := range bounds {
		if bd.Kind == syntax.BoundMax {
			if i == 0 {
				return nil, slices.Repeat([]string{"MAXVALUE"}, len(r.cols)), nil
			}
			return vec.KeySuccessor(key), append(text, "MAXVALUE"), nil
		}
		v, shown, err := r.value(bd, &r.cols[i])
		if err != nil {
			return nil, nil, err
		}
		if v.Null {
			return nil, nil, errorf(errno.NullInLessThan, "Not allowed to use NULL value in VALUES LESS THAN")
		}
		t := r.cols[i].Type
		t.NotNull = false
		key = vec.AppendValueKey(key, v, t)
		text = append(text, shown)
	}
	return key, text, nil
}

func errColumnList() error {
	return errorf(errno.PartitionColumnList, "Inconsistency in usage of column lists for partitioning")
}

// value reads one value of a column, or of the function of it that the table is partitioned by, and how it is shown.
func (r *ranger) value(bd syntax.Bound, col *types.Column) (expr.Value, string, error) {
	text, null, err := r.constant(bd)
	if err != nil || null {
		return expr.Value{Null: true}, "NULL", err
	}
	if fn := r.table.Partition.Func; fn != "" {
		return partitionFuncs[fn].argument(text, col)
	}
	t := col.Type
	t.NotNull = false
	v, err := sqltypes.Convert(expr.Value{B: []byte(text)}, types.ColumnType{Kind: types.KindVarChar}, t, true, r.ctx.Location())
	if err != nil {
		return v, "", errColumnValue(text, col)
	}
	return v, string(sqltypes.AppendText(nil, t, v, r.ctx.Location())), nil
}

func errColumnValue(text string, col *types.Column) error {
	return errorf(errno.PartitionColumnType, "Partition column values of incorrect type: '%s' for column '%s'", text, col.Name)
}

// constant is the text of a bound, which may be an expression of constants; or it is NULL.
func (r *ranger) constant(bd syntax.Bound) (text string, null bool, err error) {
	switch bd.Kind {
	case syntax.BoundString:
		return bd.Value, false, nil
	case syntax.BoundNumber:
		return strings.TrimPrefix(strings.ReplaceAll(bd.Value, " ", ""), "+"), false, nil
	case syntax.BoundNull:
		return "", true, nil
	case syntax.BoundMax:
		return "", false, errorf(errno.MaxValueInValuesIn, "Cannot use MAXVALUE as value in VALUES IN")
	}
	n, err := ast.ParseExpr(bd.Raw)
	if err != nil {
		return "", false, refuse("the partition bound " + bd.Raw)
	}
	v, err := plan.Constant(r.ctx, n, "partition function")
	if err != nil {
		return "", false, err
	}
	if v.Kind != expr.NodeConst {
		return "", false, refuse("a partition bound that is no constant")
	}
	return string(sqltypes.AppendText(nil, v.Type, v.Value, r.ctx.Location())), v.Value.Null, nil
}

// check puts ranges in order, and refuses empty and overlapping ones.
func (r *ranger) check() error {
	if r.table.Partition.List {
		if len(r.parts) == 0 {
			return errorf(errno.PartitionsMissing, "For LIST partitions each partition must be defined")
		}
		return nil
	}
	slices.SortStableFunc(r.parts, func(a, b catalog.Partition) int { return bytes.Compare(a.Lower, b.Lower) })
	for i := range r.parts {
		p := &r.parts[i]
		if p.Upper != nil && bytes.Compare(p.Lower, p.Upper) >= 0 {
			return errorf(errno.RangeNotIncreasing, "Partition '%s' is empty: its lower bound is not below its upper bound", p.Name)
		}
		if i > 0 && (r.parts[i-1].Upper == nil || bytes.Compare(p.Lower, r.parts[i-1].Upper) < 0) {
			return errorf(errno.RangeNotIncreasing, "Range of partition '%s' intersects that of '%s'", p.Name, r.parts[i-1].Name)
		}
	}
	return nil
}

// batch adds the partitions of START (a) END (b) EVERY (step).
func (r *ranger) batch(d *syntax.RangeBatch) error {
	if by := r.table.Partition; len(r.cols) != 1 || by.List || by.Func != "" {
		return refuse("START ... END ... EVERY of anything but ranges of one column")
	}
	if d.Every < 1 {
		return errorf(errno.WrongArguments, "EVERY must be positive, got %d", d.Every)
	}
	t := r.cols[0].Type
	if t.IsInteger() && d.Unit == "" {
		return r.intBatch(d)
	}
	if (t.Kind == types.KindDate || t.Kind == types.KindDateTime) && d.Unit != "" {
		return r.timeBatch(d)
	}
	return errorf(errno.WrongArguments, "EVERY does not fit the type of column '%s'", r.cols[0].Name)
}

// intBatch makes partitions p<lower> of equal width.
func (r *ranger) intBatch(d *syntax.RangeBatch) error {
	lo, err1 := strconv.ParseInt(d.Start.Value, 10, 64)
	hi, err2 := strconv.ParseInt(d.End.Value, 10, 64)
	if err1 != nil || err2 != nil || lo >= hi {
		return errorf(errno.WrongArguments, "START and END must be numbers, START below END")
	}
	if (hi-lo)/d.Every >= maxPartitions || hi-lo < 0 {
		return errorf(errno.TooManyPartitions, "Too many partitions (including subpartitions) were defined; at most %d", maxPartitions)
	}
	for ; lo < hi; lo += d.Every {
		name := "p" + strings.ReplaceAll(strconv.FormatInt(lo, 10), "-", "_")
		if err := r.span(name, strconv.FormatInt(lo, 10), strconv.FormatInt(min(lo+d.Every, hi), 10)); err != nil {
			return err
		}
	}
	return nil
}

// span adds the partition of [lo, hi).
func (r *ranger) span(name, lo, hi string) error {
	return r.define(&syntax.PartitionDef{Name: name, From: []syntax.Bound{{Kind: syntax.BoundString, Value: lo}},
		To: []syntax.Bound{{Kind: syntax.BoundString, Value: hi}}})
}

// timeBatch makes partitions named after their first day, month, year or hour.
func (r *ranger) timeBatch(d *syntax.RangeBatch) error {
	lo, ok1 := sqltypes.ParseDateTime([]byte(d.Start.Value), nil)
	hi, ok2 := sqltypes.ParseDateTime([]byte(d.End.Value), nil)
	if !ok1 || !ok2 || lo.Micros >= hi.Micros {
		return errorf(errno.WrongArguments, "START and END must be dates, START before END")
	}
	unit := strings.ToLower(d.Unit)
	step, ok := sqltypes.IntervalOf(unit, d.Every, 0)
	if !ok || !sqltypes.IsSimpleUnit(unit) || step.Time && r.cols[0].Type.Kind == types.KindDate {
		return errorf(errno.Syntax, "unknown unit '%s' of EVERY", d.Unit)
	}
	whole := types.ColumnType{Kind: types.KindDateTime}
	for at, n := lo.Micros, int64(1); at < hi.Micros; n++ {
		far, _ := sqltypes.IntervalOf(unit, d.Every*n, 0)
		next, ok := sqltypes.AddInterval(lo.Micros, far)
		if !ok {
			return errorf(errno.WrongArguments, "END is out of range")
		}
		next = min(next, hi.Micros)
		from := string(sqltypes.AppendText(nil, whole, expr.Value{I: at}, nil))
		to := string(sqltypes.AppendText(nil, whole, expr.Value{I: next}, nil))
		if r.cols[0].Type.Kind == types.KindDate {
			from, to = from[:10], to[:10]
		}
		if err := r.span(batchName(unit, from), from, to); err != nil {
			return err
		}
		at = next
	}
	return nil
}

// batchName names a partition by its lower bound, as precise as its unit.
func batchName(unit, from string) string {
	digits := strings.NewReplacer("-", "", " ", "", ":", "").Replace(from)
	switch unit {
	case "year":
		return "p" + digits[:4]
	case "month", "quarter":
		return "p" + digits[:6]
	case "hour":
		return "p" + digits[:10]
	case "minute":
		return "p" + digits[:12]
	}
	return "p" + digits[:8]
}

// properties reads the PROPERTIES of the tail.
func (c *creator) properties() error {
	c.table.Replicas = max(c.defaults.Replicas, 1)
	for _, p := range c.tail.Properties {
		if err := c.property(strings.ToLower(p.Key), p.Value); err != nil {
			return err
		}
	}
	var medium *types.Medium
	for _, p := range c.tail.Properties {
		if strings.EqualFold(p.Key, "storage_medium") {
			medium = &c.table.Medium
		}
	}
	for _, p := range c.tail.Properties {
		if err := CheckProperty(strings.ToLower(p.Key), p.Value, medium, c.ctx.NowMicros, c.ctx.TimeZone); err != nil {
			return err
		}
	}
	for i := range c.table.Parts {
		if c.table.Parts[i].Replicas == 0 {
			c.table.Parts[i].Replicas = c.table.Replicas
		}
	}
	return nil
}

// property applies one property; those that say how StarRocks stores and have no counterpart are noted.
func (c *creator) property(key, value string) error {
	switch key {
	case "replication_num":
		n, err := replicaNumber(value)
		if err != nil {
			return err
		}
		c.table.Replicas = n
	case "write_quorum":
		q, ok := types.ParseWriteQuorum(value)
		if !ok {
			return errorf(errno.WrongArguments, "unknown write quorum: %s", value)
		}
		c.table.Quorum = q
	case "storage_medium":
		m, err := storageMedium(value)
		if err != nil {
			return err
		}
		c.table.Medium = m
	case "colocate_with":
		c.table.Colocate = value
	case "compression", "replicated_storage", "fast_schema_evolution", "enable_persistent_index", "in_memory", "storage_format",
		"bucket_size", "mutable_bucket_num", "light_schema_change", "storage_cooldown_time", "storage_cooldown_ttl", "persistent_index_type":
		c.note(fmt.Sprintf("property %q has no effect", key))
	default:
		return errorf(errno.UnknownProperty, "Unknown property '%s'", key)
	}
	return nil
}
