package stmt

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var backendColumns = cols(`
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
	ErrMsg                text  Why the last heartbeat failed, or which disks refuse writes.
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

var _ = register(Statement{
	Name: "show_backends", Table: "backends", Like: "IP",
	Syntax:  "SHOW BACKENDS [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:     "One row per BE: addresses, whether it answers, and how full it is. Ordered by host and port; LIKE looks at the host.",
	Columns: backendColumns,
	Rows: func(_ context.Context, e *Env, _ syntax.Args) ([]Row, error) {
		return backendRows(e), nil
	},
	Examples: []string{"SHOW BACKENDS", "SHOW BACKENDS LIKE '10.0.%'", "SHOW BACKENDS WHERE Alive = 'false'"},
})

// sortedBEs returns the BEs by host and port.
func sortedBEs(e *Env) []*catalog.BE {
	bes := slices.Collect(e.Catalog.BEs())
	slices.SortFunc(bes, func(a, b *catalog.BE) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port)) })
	return bes
}

// backendRows are the rows of SHOW BACKENDS and /backends.
func backendRows(e *Env) []Row {
	bes := sortedBEs(e)
	rows := make([]Row, len(bes))
	for i, be := range bes {
		rows[i] = backendRow(e, be)
	}
	return rows
}

func backendRow(e *Env, be *catalog.BE) Row {
	m := e.member(be.ID)
	s := spaceOf(m.Disks)
	httpPort := be.HTTPPort
	if m.HTTPPort != 0 {
		httpPort = m.HTTPPort
	}
	status, err := json.Marshal(map[string]string{"lastSuccessReportTabletsTime": e.stamp(m.LastReport)})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return Row{be.ID, be.Host, be.Port, be.Port, httpPort, be.Port, e.stamp(m.LastStart), e.stamp(m.LastHeartbeat), m.Alive,
		be.Decommission, false, e.Catalog.ReplicasOn(be.ID), capacity(s.data), capacity(s.avail), capacity(s.total), percent(s.total-s.avail, s.total),
		s.fullest, cmp.Or(m.Err, refusingDisks(&m)), m.Version, string(status), capacity(s.data + s.avail), percent(s.data, s.data+s.avail), m.CPUCores,
		m.RunningScans, percent(m.MemUsed, m.MemLimit), cpuUsed(&m), be.Location, silentPeers(&m)}
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

var diskColumns = cols(`
	RootPath          text  Folder of the disk.
	DataUsedCapacity  text  Bytes of its replicas.
	OtherUsedCapacity text  Bytes that others use.
	AvailCapacity     text  Bytes free.
	TotalCapacity     text  Bytes in all.
	TotalUsedPct      text  Use, whoever uses it.
	State             text  ` + diskStates + `
	PathHash          int   Id of the disk, kept on it.
	StorageMedium     text  HDD or SSD.
	TabletNum         int   Replicas on it.
	DataTotalCapacity text  Bytes that replicas have and could have.
	DataUsedPct       text  Share of that which is used.
`)

// diskRows are the rows of /backends/<id>.
func diskRows(e *Env, be *catalog.BE) []Row {
	var rows []Row
	for _, d := range e.disks(be.ID) {
		rows = append(rows, Row{d.Path, capacity(d.DataUsed), capacity(max(d.Total-d.Available-d.DataUsed, 0)), capacity(d.Available),
			capacity(d.Total), percent(d.Total-d.Available, d.Total), shownState(&d), d.ID, d.Medium.String(), d.Tablets,
			capacity(d.DataUsed + d.Available), percent(d.DataUsed, d.DataUsed+d.Available)})
	}
	return rows
}
