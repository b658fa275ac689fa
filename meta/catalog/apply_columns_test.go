package catalog

import (
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// TestAlterColumnsFences: other columns end the transactions that do not know them, and an id is never used again.
func TestAlterColumnsFences(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	before := b.commit(1, r1, r2)
	alter := func(expect uint32, last types.ColumnID, more ...types.Column) *command.AlterColumns {
		return &command.AlterColumns{Table: 10400, ExpectVersion: expect, LastColumn: last, Columns: append([]types.Column{{ID: 1, Name: "k"}}, more...)}
	}
	added := alter(1, 2, types.Column{ID: 2, Name: "v", Initial: &types.Initial{I: 7}})
	b.must(added)
	fails[*ErrStaleEpoch](b, before)
	fails[*ErrSchemaChanged](b, added)
	b.must(b.commit(2, r1, r2))
	b.must(alter(2, 2))
	fails[*ErrRefused](b, alter(3, 2, types.Column{ID: 2, Name: "again"}))
	fails[*ErrRefused](b, alter(3, 2, types.Column{ID: 3, Name: "beyond"}))
	fails[*ErrRefused](b, alter(3, 3, types.Column{ID: 3, Name: "K"}))
	fails[*ErrRefused](b, &command.AlterColumns{Table: 10400, ExpectVersion: 3, LastColumn: 3, Columns: []types.Column{{ID: 3, Name: "v"}}})
	fails[*ErrRefused](b, &command.AlterColumns{Table: 10400, ExpectVersion: 3, LastColumn: 2,
		Columns: []types.Column{{ID: 1, Name: "k", Type: types.ColumnType{Kind: types.KindVarChar}}}})
	b.must(alter(3, 3, types.Column{ID: 3, Name: "v"}))
}
