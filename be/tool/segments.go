package tool

import (
	"fmt"
	"text/tabwriter"

	"stele/be/tablet"
)

// segments prints a line for each segment: what a walk through it finds, without the key-value stores that point into it. Damage of
// what nothing points to any more counts as well.
func segments(i *invocation) (code int, err error) {
	all, err := tablet.Segments(i.ctx, i.dir)
	if err != nil {
		return exitDamage, err
	}
	w := tabwriter.NewWriter(i.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SEGMENT\tRECORDS\tBYTES\tDAMAGED\tLOST_BYTES")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", s.Path, s.Records, s.Bytes, s.Damaged, s.Lost)
		if s.Damaged > 0 || s.Lost > 0 {
			code = exitDamage
		}
	}
	return code, w.Flush()
}
