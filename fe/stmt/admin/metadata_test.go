package admin_test

import (
	"strings"
	"testing"

	"stele/fe/stmt/stmttest"
)

// TestBackupSaysWhereItIs: a path that is not absolute is below the working folder of a process that the operator may not even see.
func TestBackupSaysWhereItIs(t *testing.T) {
	t.Chdir(t.TempDir())
	w := stmttest.NewWorld(t, 3)
	if r := stmttest.MustRun(t, w, "ADMIN BACKUP METADATA TO 'm'"); !strings.HasSuffix(r.Info, "/m of the leading frontend 10.0.0.1_9010_1") {
		t.Errorf("it answers %q", r.Info)
	}
	if _, err := stmttest.Run(w.Env(), stmttest.Parser(t), "ADMIN BACKUP METADATA TO ''"); err == nil || !strings.Contains(err.Error(), "no file is named") {
		t.Errorf("no file: %v", err)
	}
}
