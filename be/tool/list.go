package tool

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"stele/be/tablet"
)

// list prints one line for each replica.
func list(i *invocation) (code int, err error) {
	s, err := i.open()
	if err != nil {
		return exitDamage, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Fprintf(i.out, "disk %d of cluster %s, format %d, %d bytes on disk, %d replicas\n", s.ID(), s.Cluster(), s.Format(), s.Usage().DataUsed, s.TabletCount())
	w := tabwriter.NewWriter(i.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TABLET\tREPLICA\tTABLE\tPARTITION\tEPOCH\tVERSION\tREADABLE\tRETAINED\tROWS\tROWSETS\tDELTAS\tPENDING\tBYTES\tSTATE")
	for _, t := range s.Tablets() {
		m, st := t.Meta(), t.Stats()
		state := "ok"
		if st.Bad {
			state = "bad: " + st.BadReason
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", m.Tablet, m.Replica, m.Table, m.Partition, m.Epoch,
			t.Version(), st.OldestReadable, st.OldestRetained, st.Rows, st.Rowsets, st.Deltas, st.Pending, st.Bytes, state)
		if i.rowsets {
			for _, r := range t.Rowsets() {
				fmt.Fprintf(w, "  rowset %d: %d rows, %d of them ended, %d row groups, %d bytes\n", r.ID, r.Rows, r.Hidden, r.Groups, r.Bytes)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return exitDamage, err
	}
	_, _, err = i.listOrphans(s)
	return exitOK, err
}

// listOrphans prints what no record names, and returns how much of that is garbage and how much is kept.
func (i *invocation) listOrphans(s *tablet.Store) (orphans, kept int, err error) {
	garbage, err := s.Orphans()
	if err != nil {
		return 0, 0, err
	}
	for _, o := range garbage {
		what := fmt.Sprintf("rowset %d of incarnation %d", o.Rowset, o.UID)
		if o.Rowset == 0 {
			what = fmt.Sprintf("incarnation %d", o.UID)
		}
		fmt.Fprintf(i.out, "orphan: %s, %d keys, %d bytes\n", what, o.Keys, o.Bytes)
	}
	spared, err := s.Kept()
	for _, o := range spared {
		fmt.Fprintf(i.out, "kept: incarnation %d, %d keys, %d bytes, perhaps of a replica whose record is lost\n", o.UID, o.Keys, o.Bytes)
	}
	return len(garbage), len(spared), err
}
