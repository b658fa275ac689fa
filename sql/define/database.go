package define

import (
	"fmt"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/syntax"
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

// DatabaseReplicas reads how many replicas the tables of a database get that do not say, from REPLICA n or the property of StarRocks; 0 = it
// is not said. It returns notes of properties that are not kept.
func DatabaseReplicas(tail *syntax.DatabaseTail) (n int, notes []string, err error) {
	if tail == nil {
		return 0, nil, nil
	}
	if tail.Replicas != 0 {
		if n, err = replicaNumber(strconv.FormatInt(tail.Replicas, 10)); err != nil {
			return 0, nil, err
		}
	}
	for _, p := range tail.Properties {
		if !strings.EqualFold(p.Key, "replication_num") {
			notes = append(notes, fmt.Sprintf("property %s of a database is not kept", p.Key))
		} else if n, err = replicaNumber(p.Value); err != nil {
			return 0, nil, err
		}
	}
	return n, notes, nil
}

// replicaNumber reads how many replicas somebody asks for.
func replicaNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 255 {
		return 0, errorf(errno.WrongArguments, "replication_num must be a positive number, got '%s'", text)
	}
	return n, nil
}
