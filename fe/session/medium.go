package session

import (
	"strings"

	"stele/conf"
	"stele/meta/catalog"
	"stele/meta/types"
)

// strictMedium refuses a table whose replicas could not all lie on a disk of its medium, when the configuration asks for
// that. HDD is also what a table gets that names no medium: where no backend has such a disk, it is not meant.
func (s *Session) strictMedium(t *catalog.Table) error {
	if !conf.StrictStorageMedium.Get(s.sh.Conf.Load()) {
		return nil
	}
	var having, all []string
	for be := range s.sh.Log.Current().BEs() {
		known, ok := s.sh.Members.Get(be.ID)
		if !ok || !known.Alive || be.Decommission {
			continue
		}
		all = append(all, be.ID.String())
		for _, d := range known.Disks {
			if d.Medium == t.Medium && d.State == types.DiskOnline {
				having = append(having, be.ID.String())
				break
			}
		}
	}
	if t.Medium == types.MediumHDD && len(having) == 0 {
		return nil
	}
	want := t.Replicas
	for i := range t.Parts {
		want = max(want, t.Parts[i].Replicas)
	}
	if want > len(having) {
		return sqlErr(1064, "HY000", "Failed to find enough hosts with storage medium %s at all backends, number of replicas needed: %d. "+
			"Backends with such a disk: [%s], all that are available: [%s]; enable_strict_storage_medium_check is on", t.Medium, want,
			strings.Join(having, ", "), strings.Join(all, ", "))
	}
	return nil
}
