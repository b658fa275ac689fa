package command

import "stele/meta/types"

// RenameTables gives tables other names, perhaps in other databases, one after the other: all of them or, if one cannot be, none.
// Tables can so exchange their names.
type RenameTables struct {
	Renames []TableRename `cbor:"1,keyasint"`
}

// TableRename is one rename. It is refused if the table does not have its old name any more.
type TableRename struct {
	Table    types.TableID    `cbor:"1,keyasint"`
	From     types.DatabaseID `cbor:"2,keyasint"`
	FromName string           `cbor:"3,keyasint"`
	To       types.DatabaseID `cbor:"4,keyasint"`
	ToName   string           `cbor:"5,keyasint"`
}

// Type returns TypeRenameTables.
func (*RenameTables) Type() Type { return TypeRenameTables }
