package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// TestDiskFails makes the file system under a disk read-only, as the kernel does when it cannot write: no statement fails, and what lags there is made
// anew on the other disk of the BE, as all BEs have a replica.
func TestDiskFails(t *testing.T) {
	skipShort(t, "makes and breaks a file system")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, twoDisks())
	d := &lateDisk{path: filepath.Join(c.Dir, "be3", "storage2")}
	must(t, c.Stop("be3"))
	fs := mountDisk(t, d.path)
	must(t, c.StartNode("be3"))
	c.WaitAlive(t, "be3", true, 30*time.Second)
	w := &repairs{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "rep", repairTable)}
	d.repairs = w
	w.insert(200)
	w.healthy()
	onDisk := fmt.Sprintf("SELECT COUNT(*) FROM stele.tablets WHERE TableName = 'r' AND PathHash = (SELECT disk_id FROM stele.disks WHERE path = '%s')", d.path)
	w.until("replicas on the disk", onDisk, func(t cluster.Table) bool { return t.Rows[0][0] != "0" })

	fs.abort()
	state := fmt.Sprintf("SELECT state, error FROM stele.disks WHERE path = '%s'", d.path)
	c.Wait(t, "the disk failed", healTimeout, func() (bool, string) {
		w.insert(20)
		row := w.read(state).Rows[0]
		return row[0] == "READ_ONLY" && !strings.Contains(row[1], "reserve"), fmt.Sprint(row)
	})
	open := fmt.Sprintf(`ALTER SYSTEM OPEN DISK "%s" ON BACKEND "%s"`, d.path, c.BackendAddr("be3"))
	if _, err := c.DB().ExecContext(ctx, open); err == nil || !strings.Contains(err.Error(), "can only be read") {
		t.Errorf("a disk that takes no writes was opened anew: %v", err)
	}
	w.insert(100)
	w.healthy()
	w.until("no replica on the failed disk", onDisk, func(t cluster.Table) bool { return t.Rows[0][0] == "0" })
}

// diskFS is an ext4 in a file, mounted as a disk.
type diskFS struct {
	*testing.T
	image, dir string
}

// mountDisk has a disk be a file system of its own, with what is there; it skips the test where nothing can be mounted.
func mountDisk(t *testing.T, dir string) *diskFS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system takes root")
	}
	fs := &diskFS{T: t, image: filepath.Join(t.TempDir(), "image"), dir: dir}
	f, err := os.Create(fs.image)
	must(t, err)
	must(t, errors.Join(f.Truncate(512<<20), f.Close()))
	aside := dir + " aside"
	must(t, errors.Join(os.Rename(dir, aside), os.Mkdir(dir, 0o755)))
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-F", fs.image}, {"mount", "-o", "loop", fs.image, dir}} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", command, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() }) //nolint:noctx // the test's context has ended
	fs.run("cp", "-a", aside+"/.", dir)
	return fs
}

func (fs *diskFS) run(command string, args ...string) {
	fs.Helper()
	if out, err := exec.CommandContext(fs.Context(), command, args...).CombinedOutput(); err != nil {
		fs.Fatalf("%s %v: %v: %s", command, args, err, out)
	}
}

// abort has the file system meet an error: it takes no writes any more, whoever has files open.
func (fs *diskFS) abort() {
	fs.Helper()
	fs.run("mount", "-o", "remount,abort", fs.dir)
}
