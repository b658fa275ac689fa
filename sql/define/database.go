package define

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
)

// DatabaseCollation reads what CREATE and ALTER DATABASE say of character sets: the collation of new tables, and notes of what is not
// kept. As in MySQL a character set without a collation means its default one, which here is utf8mb4_bin.
func DatabaseCollation(options []*ast.DatabaseOption) (to types.Collation, notes []string, err error) {
	for _, o := range options {
		switch o.Tp {
		case ast.DatabaseOptionCharset:
			if o.Value == "" || !knownCharset(o.Value) {
				return 0, nil, errorf(errno.UnknownCharset, "Unknown character set: '%s'", o.Value)
			}
		case ast.DatabaseOptionCollate:
			known := false
			if to, known = types.ParseCollation(o.Value); !known && !types.BinaryCollation(o.Value) {
				notes = append(notes, collationNote(o.Value))
			}
		case ast.DatabaseOptionEncryption:
			if !strings.EqualFold(o.Value, "N") { // dumps of MySQL 8 say N
				notes = append(notes, "ENCRYPTION of a database is not kept: its tables are stored as they are")
			}
		default:
			return 0, nil, refuse("this option of a database")
		}
	}
	return to, notes, nil
}
