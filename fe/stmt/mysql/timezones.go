package mysql

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"stele/fe/stmt"
)

// Tables of the database mysql by which clients (Django, Metabase) find out which names of time zones they may use. MySQL has them from a
// copy of the machine's zone database, of which Stele reads the names only.

// zoneDirectory is where most systems have it.
const zoneDirectory = "/usr/share/zoneinfo"

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "time_zone_name", Local: true,
	Doc: "The time zones in the zone database of the FE's machine; where it has none UTC alone, although the FE knows all names.", Columns: stmt.Plain("Name Time_zone_id#"),
	Rows: func(context.Context, *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for i, name := range zoneNames() {
			rows = append(rows, stmt.Row{name, i + 1})
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "time_zone", Local: true, Doc: "The numbers of mysql.time_zone_name.",
	Columns: stmt.Plain("Time_zone_id# Use_leap_seconds"),
	Rows: func(context.Context, *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for i := range zoneNames() {
			rows = append(rows, stmt.Row{i + 1, "N"})
		}
		return rows, nil
	}})

// zoneNames reads the names once; a file of the database begins with TZif.
var zoneNames = sync.OnceValue(func() []string { return zonesIn(os.DirFS(zoneDirectory)) })

func zonesIn(database fs.FS) []string {
	names := []string{"UTC"}
	_ = fs.WalkDir(database, ".", func(path string, entry fs.DirEntry, err error) error { // what cannot be read has no names
		switch {
		case err != nil:
			return nil
		case path == "posix", path == "right": // the same once more, and with leap seconds
			return fs.SkipDir
		case entry.IsDir(), path == "UTC":
			return nil
		}
		if text, err := fs.ReadFile(database, path); err == nil && strings.HasPrefix(string(text), "TZif") {
			names = append(names, path)
		}
		return nil
	})
	slices.Sort(names)
	return names
}
