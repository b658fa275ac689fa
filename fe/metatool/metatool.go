// Package metatool is "stele fe tool": it lists, verifies, backs up and restores the metadata directory of an FE that
// is not running.
//
// It never opens a directory that an FE has open (the directory's lock keeps it out). Only restore writes, and only
// into an empty directory. A backup is a catalog snapshot: the file that ADMIN BACKUP METADATA writes.
package metatool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"stele/conf/cmdline"
	"stele/meta/catalog"
	"stele/meta/raftlog"
)

const usage = `usage: stele fe tool COMMAND [flags] ARGUMENTS

DIR is the meta_dir of a frontend that is not running.

  ls DIR             whose it is, its snapshots, its log, its group, what the catalog holds
  verify DIR         read all snapshots and the whole log; exit code 1 when something is damaged
  backup DIR FILE    write the catalog to FILE (of a running frontend: ADMIN BACKUP METADATA TO 'FILE')
  restore FILE DIR   make the first frontend of the cluster from a backup, in an empty DIR:
                     --fe NAME which frontend of the backup it becomes (ls and restore without it list them),
                     --address HOST:PORT where it listens for other frontends, if not as in the backup.
                     All other frontends of the old group must be stopped for good: they are forgotten, and are added
                     again with empty directories. Backends stay as they are: the new frontend learns from them what was
                     written after the backup, and takes no writes before it has heard them all. What was committed in the last
                     milliseconds of the old group, of which no backend had heard, is lost. Tables made after the
                     backup are lost with their data, and those altered after it are as they were then: columns that were
                     dropped since come back with some of their values or none, and a unique key that was dropped since knows
                     nothing of what was written without it: ALTER TABLE … DROP INDEX …, ADD UNIQUE … makes it anew.
`

// command is one subcommand.
type command struct {
	args int
	run  func(i *invocation) error
}

// invocation is one run of a command.
type invocation struct {
	out     io.Writer
	args    []string
	fe      string
	address string
}

var commands = map[string]command{
	"ls":      {1, list},
	"verify":  {1, verify},
	"backup":  {2, backup},
	"restore": {2, restore},
}

// Command runs "stele fe tool" with the arguments after it and returns the exit code.
func Command(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return cmdline.ExitUsage
	}
	c, ok := commands[args[0]]
	switch {
	case args[0] == "help" || args[0] == "-h" || args[0] == "--help":
		fmt.Fprint(stdout, usage)
		return cmdline.ExitOK
	case !ok:
		fmt.Fprintf(stderr, "stele fe tool: unknown command %q\nSee stele fe tool --help.\n", args[0])
		return cmdline.ExitUsage
	}
	i := &invocation{out: stdout}
	flags := cmdline.New("stele fe tool "+args[0], usage, stdout, stderr)
	if args[0] == "restore" {
		flags.StringVar(&i.fe, "fe", "", "`name` of the frontend of the backup that DIR becomes")
		flags.StringVar(&i.address, "address", "", "`host:port` where it listens for other frontends")
	}
	var code int
	if i.args, code, ok = flags.Parse(args[1:], c.args, c.args); !ok {
		return code
	}
	if err := c.run(i); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", flags.Name(), err)
		return cmdline.ExitFailed
	}
	return cmdline.ExitOK
}

// offline opens the directory for the time of do.
func offline(dir string, do func(*raftlog.Offline) error) error {
	o, err := raftlog.OpenOffline(dir)
	if err != nil {
		return err
	}
	return errors.Join(do(o), o.Close())
}

func list(i *invocation) error {
	return offline(i.args[0], func(o *raftlog.Offline) error {
		id := o.Identity()
		fmt.Fprintf(i.out, "cluster  %s\nfrontend %s\n", id.ClusterID, id.ID)
		snaps, err := o.Snapshots()
		if err != nil {
			return err
		}
		for _, s := range snaps {
			fmt.Fprintf(i.out, "snapshot %s index %d term %d, %d bytes\n", s.ID, s.Index, s.Term, s.Bytes)
		}
		first, last, err := o.LogBounds()
		if err != nil {
			return err
		}
		fmt.Fprintf(i.out, "log      %d to %d\n", first, last)
		c, group, err := o.Catalog()
		if err != nil {
			return err
		}
		for _, m := range group {
			role := "learner"
			if m.Voter {
				role = "voter"
			}
			fmt.Fprintf(i.out, "member   %s %s %s\n", m.ID, m.Addr, role)
		}
		describe(i.out, c)
		return nil
	})
}

// describe prints what a catalog holds.
func describe(w io.Writer, c *catalog.Catalog) {
	fmt.Fprintf(w, "catalog  index %d: %d databases, %d tables, %d tablets, %d backends\n",
		c.Index(), count(c.Databases()), count(c.AllTables()), count(c.Tablets()), count(c.BEs()))
}

func count[T any](all iter.Seq[T]) int {
	n := 0
	for range all {
		n++
	}
	return n
}

func verify(i *invocation) error {
	return offline(i.args[0], func(o *raftlog.Offline) error {
		snaps, err := o.Snapshots()
		if err != nil {
			return err
		}
		var errs []error
		for _, s := range snaps {
			_, err := o.ReadSnapshot(s.ID)
			errs = append(errs, err)
		}
		c, _, err := o.Catalog()
		if err := errors.Join(append(errs, err)...); err != nil {
			return fmt.Errorf("%w\n(remedy: %s)", err, raftlog.Remedy)
		}
		fmt.Fprintf(i.out, "%d snapshots and the log are sound\n", len(snaps))
		describe(i.out, c)
		return nil
	})
}

func backup(i *invocation) error {
	return offline(i.args[0], func(o *raftlog.Offline) error {
		c, _, err := o.Catalog()
		if err != nil {
			return err
		}
		n, err := Write(i.args[1], c)
		if err != nil {
			return err
		}
		fmt.Fprintf(i.out, "%d bytes\n", n)
		describe(i.out, c)
		return nil
	})
}

// Write writes a backup of a catalog to a new file, durable and whole or not at all, and returns its size in bytes.
func Write(path string, c *catalog.Catalog) (int64, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	err = c.WriteSnapshot(f)
	info, serr := f.Stat()
	if err = errors.Join(err, serr, f.Sync(), f.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return 0, err
	}
	return info.Size(), errors.Join(d.Sync(), d.Close())
}

func restore(i *invocation) error {
	f, err := os.Open(i.args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := catalog.ReadSnapshot(f)
	if err != nil {
		return err
	}
	fe, ok := c.FEByName(i.fe)
	if !ok {
		return fmt.Errorf("say with --fe which of these frontends it becomes: %s", frontends(c))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	cfg := raftlog.RestoreConfig{Dir: i.args[1], Name: i.fe, Addr: i.address, Now: time.Now()}
	if cfg.Addr == "" {
		cfg.Addr = fmt.Sprintf("%s:%d", fe.Host, fe.RaftPort)
	}
	id, err := raftlog.Restore(cfg, f)
	if err != nil {
		return err
	}
	fmt.Fprintf(i.out, "%s is now the metadata of %s, the only frontend of cluster %s: start it with meta_dir = %s\n", cfg.Dir, i.fe, id, cfg.Dir)
	return nil
}

func frontends(c *catalog.Catalog) string {
	text := ""
	for f := range c.FEs() {
		text += fmt.Sprintf("%s (%s:%d) ", f.Name, f.Host, f.RaftPort)
	}
	return text
}
