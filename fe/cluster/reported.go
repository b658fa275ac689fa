package cluster

import (
	"slices"

	"stele/meta/types"
	"stele/proto/fepb"
)

// reportedMax bounds the replicas that are kept apart before they are merged.
const reportedMax = 1024

// reported is what one BE has reported of its replicas, in little memory: a sorted slice, and a small map of those that
// have come since. The few reasons are apart.
type reported struct {
	rows    []reportedRow // by tablet
	fresh   map[types.TabletID]reportedRow
	reasons map[types.TabletID]string
}

// reportedRow is a Replica without its reason.
type reportedRow struct {
	tablet         types.TabletID
	disk           types.DiskID
	id             types.ReplicaID
	version        types.Version
	oldestRetained types.Version
	rows, bytes    int64
	digest         uint64
	digestSchema   uint32
	digestBehind   uint32 // versions that the digest is behind version; noDigest = there is none
	versionCount   int32
	rowsets        uint32 // the top bit says that it is bad
}

const (
	badBit   = 1 << 31
	noDigest = 1<<32 - 1
)

func newReported(n int) *reported {
	return &reported{rows: make([]reportedRow, 0, n), fresh: map[types.TabletID]reportedRow{}, reasons: map[types.TabletID]string{}}
}

func (p *reported) find(id types.TabletID) (int, bool) {
	lo, hi := 0, len(p.rows)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); p.rows[mid].tablet < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(p.rows) && p.rows[lo].tablet == id
}

func (p *reported) get(id types.TabletID) (Replica, bool) {
	if p == nil {
		return Replica{}, false
	}
	row, ok := p.fresh[id]
	if !ok {
		i, found := p.find(id)
		if !found {
			return Replica{}, false
		}
		row = p.rows[i]
	}
	out := Replica{Disk: row.disk, ID: row.id, Version: row.version, Rows: row.rows, Bytes: row.bytes, VersionCount: int(row.versionCount),
		Rowsets: int(row.rowsets &^ badBit), OldestRetained: row.oldestRetained, Bad: row.rowsets&badBit != 0, Reason: p.reasons[id]}
	if row.digestBehind != noDigest {
		out.Digest, out.DigestSchema, out.DigestVersion = row.digest, row.digestSchema, row.version-types.Version(row.digestBehind)
	}
	return out, true
}

func (p *reported) put(r *fepb.Replica) {
	id := types.TabletID(r.TabletId)
	row := reportedRow{tablet: id, disk: types.DiskID(r.DiskId), id: types.ReplicaID(r.ReplicaId), version: types.Version(r.Version),
		oldestRetained: types.Version(r.OldestRetained), rows: r.Rows, bytes: r.Bytes, versionCount: int32(r.VersionCount),
		rowsets: uint32(r.Rowsets) &^ badBit, digestBehind: noDigest}
	if behind := r.Version - r.DigestVersion; r.DigestVersion != 0 && r.DigestVersion <= r.Version && behind < noDigest {
		row.digest, row.digestSchema, row.digestBehind = r.Digest, r.DigestSchema, uint32(behind)
	}
	if r.Bad {
		row.rowsets |= badBit
	}
	if delete(p.reasons, id); r.Reason != "" {
		p.reasons[id] = r.Reason
	}
	if n := len(p.rows); n == 0 || p.rows[n-1].tablet < id {
		p.rows = append(p.rows, row)
		return
	}
	if i, ok := p.find(id); ok {
		p.rows[i] = row
		return
	}
	if p.fresh[id] = row; len(p.fresh) >= reportedMax {
		p.merge()
	}
}

// merge brings what has come since into the slice.
func (p *reported) merge() {
	rows := make([]reportedRow, len(p.rows), len(p.rows)+len(p.fresh))
	copy(rows, p.rows)
	for _, row := range p.fresh {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b reportedRow) int {
		if a.tablet < b.tablet {
			return -1
		}
		return 1
	})
	p.rows = rows
	clear(p.fresh)
}
