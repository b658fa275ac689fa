package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"stele/fe/cluster"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

// BackendColumns are those of SHOW BACKENDS and /backends.
var BackendColumns = stmt.Cols(`
	BackendId             int   Id of the BE, never used again.
	IP                    text  Host under which FEs and other BEs reach it.
	HeartbeatPort         int   Port of the heartbeats, as ALTER SYSTEM ADD BACKEND names it.
	BePort                int   Port of the data RPCs: the same, one server answers both.
	HttpPort              int   Port of metrics and debug pages, 0 until the BE has told it.
	BrpcPort              int   The same as BePort.
	LastStartTime         text  When the process started.
	LastHeartbeat         text  When it last answered a heartbeat.
	Alive                 text  Whether it answers heartbeats.
	SystemDecommissioned  text  Whether it is being emptied by ALTER SYSTEM DECOMMISSION BACKEND.
	ClusterDecommissioned text  Always false: a cluster has no clusters inside.
	TabletNum             int   Replicas that the catalog places on it.
	DataUsedCapacity      text  Bytes of its replicas.
	AvailCapacity         text  Bytes free on its disks.
	TotalCapacity         text  Bytes of its disks.
	UsedPct               text  Use of its disks, whoever uses them.
	MaxDiskUsedPct        text  Use of its fullest disk.
	ErrMsg                text  Why the last heartbeat failed, or which disks are OFFLINE or refuse writes, and why.
	Version               text  Version of the process.
	Status                text  JSON: when it last reported all its replicas.
	DataTotalCapacity     text  Bytes that replicas have and could have: used by them, or free.
	DataUsedPct           text  Share of DataTotalCapacity that is used.
	CpuCores              int   Processors.
	NumRunningQueries     int   Scans that run on it.
	MemUsedPct            text  Use of the memory that the process may take.
	CpuUsedPct            text  Use of all its processors by the process lately, NULL when it has not said.
	Location              text  Where it stands, as ALTER SYSTEM MODIFY BACKEND has said; empty when nobody has.
	SilentPeers           text  Ids of the BEs that it does not reach although FEs do, separated by commas. New replicas are kept clear of that.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "show_backends", Table: "backends", Like: "IP",
	Syntax:  "SHOW BACKENDS [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:     "One row per BE: addresses, whether it answers, and how full it is. Ordered by host and port; LIKE looks at the host.",
	Columns: BackendColumns,
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		return BackendRows(e), nil
	},
	Examples: []string{"SHOW BACKENDS", "SHOW BACKENDS LIKE '10.0.%'", "SHOW BACKENDS WHERE Alive = 'false'"},
})

// SortedBEs returns the BEs by host and port.
func SortedBEs(e *stmt.Env) []*catalog.BE {
	bes := slices.Collect(e.Catalog.BEs())
	slices.SortFunc(bes, func(a, b *catalog.BE) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port)) })
	return bes
}

// BackendRows are the rows of SHOW BACKENDS and /backends.
func BackendRows(e *stmt.Env) []stmt.Row {
	bes := SortedBEs(e)
	rows := make([]stmt.Row, len(bes))
	for i, be := range bes {
		rows[i] = backendRow(e, be)
	}
	return rows
}

func backendRow(e *stmt.Env, be *catalog.BE) stmt.Row {
	m := e.Member(be.ID)
	s := stmt.SpaceOf(m.Disks)
	httpPort := be.HTTPPort
	if m.HTTPPort != 0 {
		httpPort = m.HTTPPort
	}
	status, err := json.Marshal(map[string]string{"lastSuccessReportTabletsTime": e.Stamp(m.LastReport)})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return stmt.Row{be.ID, be.Host, be.Port, be.Port, httpPort, be.Port, e.Stamp(m.LastStart), e.Stamp(m.LastHeartbeat), m.Alive,
		be.Decommission, false, e.Catalog.ReplicasOn(be.ID), stmt.Capacity(s.Data), stmt.Capacity(s.Avail), stmt.Capacity(s.Total), stmt.Percent(s.Total-s.Avail, s.Total),
		s.Fullest, cmp.Or(m.Err, diskTroubles(&m)), m.Version, string(status), stmt.Capacity(s.Data + s.Avail), stmt.Percent(s.Data, s.Data+s.Avail), m.CPUCores,
		m.RunningScans, stmt.Percent(m.MemUsed, m.MemLimit), cpuUsed(&m), be.Location, silentPeers(&m)}
}

// silentPeers lists the BEs that a BE gives up on.
func silentPeers(m *cluster.BE) string {
	if !m.Alive {
		return ""
	}
	ids := make([]string, len(m.Unreached))
	for i, id := range m.Unreached {
		ids[i] = fmt.Sprint(id)
	}
	return strings.Join(ids, ",")
}

// cpuUsed prints the use of processors, one decimal.
func cpuUsed(m *cluster.BE) any {
	if m.CPUUsed < 0 || !m.Alive {
		return nil
	}
	return fmt.Sprintf("%.1f %%", m.CPUUsed*100)
}

// DiskColumns are those of the disks of one BE.
var DiskColumns = stmt.Cols(`
	RootPath          text  Folder of the disk.
	DataUsedCapacity  text  Bytes of its replicas.
	OtherUsedCapacity text  Bytes that others use.
	AvailCapacity     text  Bytes free.
	TotalCapacity     text  Bytes in all.
	TotalUsedPct      text  Use, whoever uses it.
	State             text  ` + diskStates + `
	PathHash          int   Id of the disk, kept on it.
	StorageMedium     text  HDD or SSD.
	TabletNum         int   Replicas on it, as it says; those of dropped tables until it has removed them.
	DataTotalCapacity text  Bytes that replicas have and could have.
	DataUsedPct       text  Share of that which is used.
`)

// DiskRows are the rows of /backends/<id>.
func DiskRows(e *stmt.Env, be *catalog.BE) []stmt.Row {
	var rows []stmt.Row
	for _, d := range e.Disks(be.ID) {
		rows = append(rows, stmt.Row{d.Path, stmt.Capacity(d.DataUsed), stmt.Capacity(max(d.Total-d.Available-d.DataUsed, 0)), stmt.Capacity(d.Available),
			stmt.Capacity(d.Total), stmt.Percent(d.Total-d.Available, d.Total), shownState(&d), d.ID, d.Medium.String(), d.Tablets,
			stmt.Capacity(d.DataUsed + d.Available), stmt.Percent(d.DataUsed, d.DataUsed+d.Available)})
	}
	return rows
}
