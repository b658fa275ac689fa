package catalog

import (
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// TestRestorePassesOverAlters: the columns and schemas of a table that was altered after the backup are on BEs. A column that is
// added now gets none of their values, and BEs take the schema of the backup for the newer one.
func TestRestorePassesOverAlters(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	alter := func(expect uint32, id types.ColumnID) *command.AlterColumns {
		return &command.AlterColumns{Table: 10400, ExpectVersion: expect, LastColumn: id,
			Columns: []types.Column{{ID: 1, Name: "k"}, {ID: id, Name: "v"}}}
	}
	backup := b.c
	b.must(alter(1, 2))
	lost := b.c.tables
	b.c = backup
	b.must(&command.RestoreMetadata{KeepFE: 10001})
	was, _ := lost.get(10400)
	now, _ := b.c.tables.get(10400)
	if now.Schema.Version <= was.Schema.Version {
		t.Errorf("schema version %d, BEs know %d", now.Schema.Version, was.Schema.Version)
	}
	fails[*ErrRefused](b, alter(now.Schema.Version, 2))
	b.must(alter(now.Schema.Version, now.HighestColumn()+1))
}
