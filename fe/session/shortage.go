package session

import (
	"fmt"
	"strings"

	"stele/fe/ddl"
	"stele/meta/catalog"
	"stele/sql/errno"
)

// warnShort says that a statement went on without some of its replicas.
func (s *Session) warnShort(short ddl.Shortage) {
	if short.Missing > 0 {
		s.warn("Warning", errno.UnknownError, short.String())
	}
}

// holdable refuses more replicas than there are BEs to hold them, each on one of its own. BEs that do not answer count: what belongs
// on them is made later.
func (s *Session) holdable(n int) error {
	var have, alive, leaving []string
	for be := range s.sh.Log.Current().BEs() {
		known, _ := s.sh.Members.Get(be.ID)
		switch {
		case be.Decommission:
			leaving = append(leaving, fmt.Sprintf("%d is being decommissioned", be.ID))
		case !known.Seen || len(known.Disks) > 0: // else it runs queries and stores nothing
			have = append(have, be.ID.String())
			if known.Alive {
				alive = append(alive, be.ID.String())
			}
		}
	}
	if n <= len(have) {
		return nil
	}
	text := fmt.Sprintf("Table replication num should be less than of equal to the number of available BE nodes. "+
		"You can change this default by setting the replication_num table properties, or add a backend (ALTER SYSTEM ADD BACKEND). "+
		"Replication num is %d, available BE nodes: %d [%s]. Current alive backend is [%s]",
		n, len(have), strings.Join(have, ", "), strings.Join(alive, ", "))
	if len(leaving) > 0 {
		text += "; backend " + strings.Join(leaving, "; backend ")
	}
	return sqlErr(errno.WrongArguments, "%s", text)
}

// mostReplicas is the largest replication_num in a table.
func mostReplicas(t *catalog.Table) int {
	n := t.Replicas
	for i := range t.Parts {
		n = max(n, t.Parts[i].Replicas)
	}
	return n
}
