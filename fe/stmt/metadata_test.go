package stmt

import (
	"strings"
	"testing"
)

// TestBackupSaysWhereItIs: a path that is not absolute is below the working folder of a process that the operator may not even see.
func TestBackupSaysWhereItIs(t *testing.T) {
	t.Chdir(t.TempDir())
	w := newWorld(t, 3)
	if r := mustRun(t, w, "ADMIN BACKUP METADATA TO 'm'"); !strings.HasSuffix(r.Info, "/m of the leading frontend 10.0.0.1_9010_1") {
		t.Errorf("it answers %q", r.Info)
	}
	if _, err := run(w.env(), parser(t), "ADMIN BACKUP METADATA TO ''"); err == nil || !strings.Contains(err.Error(), "no file is named") {
		t.Errorf("no file: %v", err)
	}
}
