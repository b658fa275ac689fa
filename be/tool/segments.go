package tool

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"stele/be/tablet"
)

// segments prints a line for each segment: what a walk through it finds, without the key-value stores that point into it. Damage of
// what nothing points to any more counts as well. A segment that cannot be read is named beside the others.
func segments(i *invocation) (code int, err error) {
	all, err := tablet.Segments(i.ctx, i.dir)
	w := tabwriter.NewWriter(i.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SEGMENT\tRECORDS\tBYTES\tDAMAGED\tLOST_BYTES")
	for _, s := range all {
		if s.Err != nil {
			fmt.Fprintf(w, "%s\tcannot be read: %v\n", s.Path, s.Err)
			code = exitDamage
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", s.Path, s.Records, s.Bytes, s.Damaged, s.Lost)
		if s.Damaged > 0 || s.Lost > 0 {
			code = exitDamage
		}
	}
	return code, errors.Join(err, w.Flush())
}
