package tool

import (
	"errors"
	"fmt"
	"log/slog"

	"stele/be/tablet"
	"stele/meta/types"
)

// repair says what it would do and, with --yes, does it. Its exit code is that of verify after the repair: damage that
// only the cluster can heal (by cloning) counts as handled, damage of a whole instance does not.
func repair(i *invocation) (code int, err error) {
	cluster, damage, orphans, kept, err := i.plan()
	if err != nil {
		return exitDamage, err
	}
	hopeless := false
	for _, d := range damage {
		switch {
		case d.Tablet == 0:
			hopeless = true
			fmt.Fprintf(i.out, "cannot repair %s: empty the disk and let the cluster clone its replicas again\n", d.What)
		case d.What == "record of the tablet":
			fmt.Fprintf(i.out, "%s the damaged record of tablet %d\n", i.verb("delete"), d.Tablet)
		default:
			fmt.Fprintf(i.out, "%s the replica of tablet %d bad\n", i.verb("mark"), d.Tablet)
		}
	}
	if kept > 0 {
		fmt.Fprintf(i.out, "%s what was kept of %d incarnations, perhaps the only copy of a replica whose record is lost\n", i.verb("delete"), kept)
	}
	if orphans > 0 {
		fmt.Fprintf(i.out, "%s %d orphans and give their space back\n", i.verb("delete"), orphans)
	}
	switch {
	case len(damage) == 0 && orphans+kept == 0:
		fmt.Fprintln(i.out, "nothing to repair")
		return exitOK, nil
	case !i.yes:
		fmt.Fprintln(i.out, "nothing was changed: --yes does it")
		return exitDamage, nil
	}
	if err := i.carryOut(cluster, damage); err != nil {
		return exitDamage, err
	}
	if hopeless {
		return exitDamage, nil
	}
	return exitOK, nil
}

func (i *invocation) verb(do string) string {
	if i.yes {
		return do
	}
	return "would " + do
}

// plan looks at the disk without changing it.
func (i *invocation) plan() (cluster types.ClusterID, damage []tablet.Damage, orphans, kept int, err error) {
	s, err := i.open()
	if err != nil {
		return "", nil, 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if damage, err = i.check(s); err != nil {
		return "", nil, 0, 0, err
	}
	if orphans, kept, err = i.listOrphans(s); err != nil {
		return "", nil, 0, 0, err
	}
	return s.Cluster(), damage, orphans, kept, nil
}

// carryOut opens the disk as its BE would, which by itself marks replicas whose records are damaged, and does the rest.
func (i *invocation) carryOut(cluster types.ClusterID, damage []tablet.Damage) (err error) {
	log := slog.New(slog.NewTextHandler(i.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := tablet.Open(i.dir, tablet.Options{ClusterID: cluster, NoBackground: true, Logger: log})
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, d := range damage {
		if t, ok := s.Tablet(d.Tablet); ok {
			t.SetBad("stele be tool repair: " + d.What + ": " + d.Err.Error())
		}
	}
	records, err := s.Repair(i.ctx)
	if err == nil {
		fmt.Fprintf(i.out, "repaired: %d replicas bad, %d records deleted\n", len(damage)-records, records)
	}
	return err
}
