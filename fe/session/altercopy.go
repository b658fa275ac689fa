package session

import (
	"context"
	"slices"
	"time"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/plan"
)

// copyTries is how often the rows of a table are copied from the beginning because a leader was lost.
const copyTries = 5

// copyRows writes the rows of a table anew, as they will be after a change, into a table that only the session knows. The command has
// the table take them from there. Nobody else writes to it meanwhile. It tells how many there are.
func (s *Session) copyRows(ctx context.Context, c *define.Change, cmd *command.ChangeTable) (rows int64, err error) {
	t, err := s.fresh(ctx, c.From.ID)
	if err != nil {
		return 0, err
	}
	if t.Schema.Version != cmd.ExpectVersion {
		return 0, &catalog.ErrSchemaChanged{Table: t.ID, Given: cmd.ExpectVersion, Current: t.Schema.Version}
	}
	if c.Parted && !slices.Equal(partitionsOf(t), partitionsOf(c.From)) { // one came or went before the change began
		return 0, &catalog.ErrSchemaChanged{Table: t.ID, Given: c.From.Schema.Version, Current: t.Schema.Version}
	}
	owner := s.sh.newOwner(s.info.ID)
	id, short, err := s.sh.Tables.Create(ctx, copyOf(c, t, owner))
	if err != nil {
		s.sh.claims.end(owner.Claim) // if it was made all the same it is swept
		return 0, err
	}
	s.warnShort(short)
	cmd.Copy = &command.TableCopy{Table: id, Owner: *owner}
	if c.Parted {
		cmd.Copy.Instead = partitionsOf(t)
	}
	to, ok := s.sh.Log.Current().TableByID(id)
	if !ok {
		return 0, &catalog.ErrNotFound{Kind: "table", Name: c.From.Name}
	}
	return s.fillCopy(ctx, c, t, to)
}

// copyOf is a table as it will be after a change, without rows, tablets and a name that others know. No table refers to it, nor it to
// any: its rows are those that have met that already.
func copyOf(c *define.Change, now *catalog.Table, owner *catalog.TableOwner) catalog.Table {
	out := *c.To
	out.ID, out.DatabaseID, out.Owner, out.AlterUntilMs = 0, now.DatabaseID, owner, 0
	out.ForeignKeys, out.ReferencedBy = nil, nil
	out.Schema.Version = now.Schema.Version + 1 // the one that the table has when the rows are its own
	out.Replicas, out.Quorum, out.Medium, out.Colocate, out.ColocatedMs = now.Replicas, now.Quorum, now.Medium, now.Colocate, now.ColocatedMs
	out.Unique, out.Parts = slices.Clone(c.To.Unique), slices.Clone(now.Parts)
	if c.Parted {
		out.Parts = slices.Clone(c.To.Parts)
	}
	for i := range out.Parts {
		p := &out.Parts[i]
		p.ID, p.Tablets, p.CreatedMs = 0, nil, 0
	}
	return out
}

// partitionsOf are the partitions of a table by their ids.
func partitionsOf(t *catalog.Table) []types.PartitionID {
	ids := make([]types.PartitionID, len(t.Parts))
	for i := range t.Parts {
		ids[i] = t.Parts[i].ID
	}
	return ids
}

// fillCopy writes the rows of a table into its copy, by one transaction; a try that fails for want of a leader is repeated.
func (s *Session) fillCopy(ctx context.Context, c *define.Change, from, to *catalog.Table) (int64, error) {
	tries := 0
	alone := func(ctx context.Context, try attempt) error {
		r := s.retrier()
		return s.writeAlone(ctx, &r, func(ctx context.Context, cat *catalog.Catalog, tx *txn.Txn) error {
			err := try(ctx, cat, tx)
			if tries++; tries < copyTries {
				r.extend(s.sh.Settings().WriteTimeout)
			}
			return err
		})
	}
	warned, last := s.warnings, s.lastInsertID
	ins, err := s.insertAs(ctx, alone, func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error) {
		s.warnings = warned // those of an earlier try
		pctx := s.planContext(cat, now, nil)
		table, ok := cat.TableByID(to.ID)
		if !ok {
			return nil, nil, &catalog.ErrNotFound{Kind: "table", Name: from.Name}
		}
		p, err := c.Filling(pctx, s.databaseOf(cat, from), from, table)
		return p, pctx, err
	})
	s.lastInsertID = last // as in MySQL the numbers that rows get are not the session's
	if err != nil {
		return 0, err
	}
	s.sh.sequences.Carry(from, to)
	return ins.counts.Inserted, nil
}

// databaseOf names the database of a table.
func (s *Session) databaseOf(cat *catalog.Catalog, t *catalog.Table) string {
	if db, ok := cat.DatabaseByID(t.DatabaseID); ok {
		return db.Name
	}
	return s.db
}

// copied gives up the copy of a table, which is the table's own now, or of no use to anybody. What cannot be dropped now is swept.
func (s *Session) copied(ctx context.Context, copied *command.TableCopy, err error) {
	if copied == nil {
		return
	}
	defer s.sh.claims.end(copied.Owner.Claim)
	if err == nil {
		return
	}
	if derr := s.apply(context.WithoutCancel(ctx), &command.DropTable{ID: copied.Table, Owner: &copied.Owner}); derr != nil && !isOver(derr) {
		s.sh.Logger.Warn("drop the copy of a table that was not altered", "table", copied.Table, "err", derr)
	}
}
