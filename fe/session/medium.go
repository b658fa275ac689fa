package session

import (
	"slices"
	"strings"

	"stele/conf"
	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
)

// strictMedium refuses a table whose replicas could not all lie on a disk of its medium, when the configuration asks for
// that. HDD is also what a table gets that names no medium: where no backend has such a disk, it is not meant. Backends that do not
// answer count by the disks that they had; one that was never heard of may have any.
func (s *Session) strictMedium(t *catalog.Table) error {
	if !conf.StrictStorageMedium.Get(s.sh.Conf.Load()) {
		return nil
	}
	var having, all []string
	unknown := 0
	for be := range s.sh.Log.Current().BEs() {
		if be.Decommission {
			continue
		}
		all = append(all, be.ID.String())
		known, _ := s.sh.Members.Get(be.ID)
		switch {
		case slices.ContainsFunc(known.Disks, func(d cluster.Disk) bool { return d.Medium == t.Medium && d.State == types.DiskOnline }):
			having = append(having, be.ID.String())
		case !known.Seen:
			unknown++
		}
	}
	if t.Medium == types.MediumHDD && len(having) == 0 {
		return nil
	}
	if want := mostReplicas(t); want > len(having)+unknown {
		return sqlErr(errno.WrongArguments, "Failed to find enough hosts with storage medium %s at all backends, number of replicas needed: %d. "+
			"Backends with such a disk: [%s], all: [%s]; enable_strict_storage_medium_check is on", t.Medium, want,
			strings.Join(having, ", "), strings.Join(all, ", "))
	}
	return nil
}
