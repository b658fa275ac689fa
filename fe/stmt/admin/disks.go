package admin

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/syntax"
)

// diskStates are the states that shownState has a word for.
const diskStates = "ONLINE, READ_ONLY (it refuses writes: below its reserve, or failed), OFFLINE, DISABLED or DECOMMISSIONED."

// shownState is the state of a disk as an operator sees it.
func shownState(d *cluster.Disk) string {
	if d.State == types.DiskOnline && d.Refuses {
		return "READ_ONLY"
	}
	return d.State.String()
}

// diskTroubles says which disks of a BE are OFFLINE or refuse writes, and why.
func diskTroubles(m *cluster.BE) string {
	var out []string
	for i := range m.Disks {
		d := &m.Disks[i]
		switch {
		case d.State == types.DiskOffline:
			out = append(out, strings.TrimSuffix(fmt.Sprintf("disk %s is OFFLINE: %s", d.Path, d.Error), ": "))
		case d.Refuses:
			out = append(out, strings.TrimSuffix(fmt.Sprintf("disk %s refuses writes: %s", d.Path, d.Error), ": "))
		}
	}
	return strings.Join(out, "; ")
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_disk",
	Syntax: "ALTER SYSTEM {verb: DECOMMISSION|DISABLE|CANCEL DECOMMISSION|CANCEL DISABLE} DISK <paths:strings> ON BACKEND {<host:hostport>|<text:string>}",
	Doc: "DECOMMISSION moves the replicas on disks to other disks of the same BE; they serve until they have moved. DISABLE gives the replicas up at once: " +
		"they are made anew on other BEs. Neither disk gets new replicas. CANCEL takes it back. A disk is known by its own id: a new one " +
		"under the same path is ONLINE. SHOW PROC '/backends/<id>' and stele.disks show states.",
	Do: alterDisks,
	Examples: []string{
		`ALTER SYSTEM DECOMMISSION DISK "/data1", "/data2" ON BACKEND "10.0.0.1:9060"`,
		`ALTER SYSTEM DISABLE DISK "/data1" ON BACKEND "10.0.0.1:9060"`,
		`ALTER SYSTEM CANCEL DECOMMISSION DISK "/data1" ON BACKEND "10.0.0.1:9060"`,
	},
})

func alterDisks(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
	be, err := backendAt(e, a)
	if err != nil {
		return stmt.Result{}, err
	}
	disks, err := disksAt(e, be, a.Names("paths"))
	if err != nil {
		return stmt.Result{}, err
	}
	verb := a.Choice("verb")
	want := types.DiskDecommissioned
	if strings.HasSuffix(verb, "DISABLE") {
		want = types.DiskDisabled
	}
	cancel := strings.HasPrefix(verb, "CANCEL")
	disks, err = disksToChange(disks, want, cancel)
	if err != nil {
		return stmt.Result{}, err
	}
	if len(disks) == 0 {
		return stmt.Nothing("the disks are in that state already"), nil
	}
	if !cancel {
		if err := checkDisks(e, be, disks, want); err != nil {
			return stmt.Result{}, err
		}
	}
	cmd := &command.SetDiskState{BE: be.ID}
	paths := make([]string, len(disks))
	for i, d := range disks {
		state := want
		if cancel {
			state = types.DiskOnline
		}
		cmd.Disks = append(cmd.Disks, catalog.BEDisk{ID: d.ID, Path: d.Path, State: state})
		paths[i] = d.Path
	}
	kind := "alter_system_" + strings.ToLower(strings.ReplaceAll(verb, " ", "_")) + "_disk"
	target := strings.Join(paths, ", ") + " on " + stmt.HostList([]*catalog.BE{be})
	return stmt.Result{Affected: uint64(len(disks))}, stmt.Act(ctx, e, kind, target, cmd)
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_open_disk",
	Syntax: "ALTER SYSTEM OPEN DISK <paths:strings> ON BACKEND {<host:hostport>|<text:string>}",
	Doc: "Has a BE open disks that are OFFLINE now, with the replicas on them, and those anew that have failed and take writes again. It tries by itself, " +
		"with pauses that grow from a second to two minutes, but does not make a new disk of a path that has lost its disk or is empty: this statement does. " +
		"SHOW BACKENDS says what is wrong with a disk.",
	Do: openDisks,
	Examples: []string{
		`ALTER SYSTEM OPEN DISK "/data1" ON BACKEND "10.0.0.1:9060"`,
		`ALTER SYSTEM OPEN DISK "/data1", "/data2" ON BACKEND "10.0.0.1:9060"`,
	},
})

// openTimeout bounds how long a statement waits for a disk that reads much before it is open; the BE goes on.
const openTimeout = 5 * time.Minute

func openDisks(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
	be, err := backendAt(e, a)
	if err != nil {
		return stmt.Result{}, err
	}
	if e.Backend == nil || !e.Alive(be.ID) {
		return stmt.Result{}, stmt.Refusal("Backend %s does not answer", stmt.HostList([]*catalog.BE{be}))
	}
	client, err := e.Backend(be.ID)
	if err != nil {
		return stmt.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return openEach(ctx, e, a.Names("paths"), stmt.HostList([]*catalog.BE{be}), func(path string) (*bepb.OpenDiskResponse, error) {
		return client.OpenDisk(ctx, &bepb.OpenDiskRequest{Path: path})
	})
}

// openEach opens disks of a host, up to one that cannot be opened, and notes which were.
func openEach(ctx context.Context, e *stmt.Env, paths []string, host string, open func(path string) (*bepb.OpenDiskResponse, error)) (stmt.Result, error) {
	opened, tablets := 0, uint64(0)
	for _, path := range paths {
		resp, err := open(path)
		if err != nil {
			return stmt.Result{}, stmt.Refusal("Disk: %s cannot be opened: %s", path, beclient.Reason(err))
		}
		if !resp.Opened {
			continue
		}
		opened, tablets = opened+1, tablets+resp.Tablets
		if err := stmt.Note(ctx, e, "alter_system_open_disk", path+" on "+host); err != nil {
			return stmt.Result{}, err
		}
	}
	if opened == 0 {
		return stmt.Nothing("the disks are open already"), nil
	}
	return stmt.Result{Affected: uint64(opened), Info: fmt.Sprintf("Opened with %d replicas", tablets)}, nil
}

// backendAt finds the BE that a statement names by host and port, quoted or bare.
func backendAt(e *stmt.Env, a syntax.Args) (*catalog.BE, error) {
	hp := syntax.HostPort{}
	if a.Has("host") {
		hp = a.HostPort("host")
	} else if parsed, err := stmt.ParseAddress(a.String("text")); err == nil {
		hp = parsed
	} else {
		return nil, err
	}
	be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
	if !ok {
		return nil, stmt.Refusal("Backend does not exist[%s]", net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port))))
	}
	return be, nil
}

// disksAt finds disks by path.
func disksAt(e *stmt.Env, be *catalog.BE, paths []string) ([]cluster.Disk, error) {
	known := e.Disks(be.ID)
	var out []cluster.Disk
	for _, path := range paths {
		at := slices.IndexFunc(known, func(d cluster.Disk) bool { return strings.TrimRight(d.Path, "/") == strings.TrimRight(path, "/") })
		if at < 0 {
			return nil, stmt.Refusal("Disk: %s does not exist", path)
		}
		if known[at].ID == 0 {
			return nil, stmt.Refusal("Disk: %s has never been opened: %s. ALTER SYSTEM OPEN DISK tries it again", path, known[at].Error)
		}
		if !slices.ContainsFunc(out, func(d cluster.Disk) bool { return d.ID == known[at].ID }) {
			out = append(out, known[at])
		}
	}
	return out, nil
}

// disksToChange leaves those out that are as they should be. The two states exclude one another.
func disksToChange(disks []cluster.Disk, want types.DiskState, cancel bool) ([]cluster.Disk, error) {
	var out []cluster.Disk
	for _, d := range disks {
		switch {
		case d.State == want && cancel, d.State == types.DiskOnline && !cancel:
			out = append(out, d)
		case d.State == types.DiskOffline && !cancel:
			return nil, stmt.Refusal("Disk: %s is OFFLINE: %s", d.Path, d.Error)
		case d.State != want && d.State != types.DiskOnline && !cancel:
			return nil, stmt.Refusal("Disk: %s is %s already, cancel that first", d.Path, d.State)
		}
	}
	return out, nil
}

// checkDisks refuses what would lose data or could never end.
func checkDisks(e *stmt.Env, be *catalog.BE, going []cluster.Disk, want types.DiskState) error {
	gone := map[types.DiskID]bool{}
	var need, free int64
	for _, d := range going {
		gone[d.ID] = true
		need += d.DataUsed
	}
	if want == types.DiskDisabled {
		return InTheWay("These disks cannot be disabled", LastCopies(e, func(_ *catalog.Tablet, r *catalog.Replica) bool {
			return r.BE == be.ID && gone[r.Disk]
		}))
	}
	others := 0
	for _, d := range e.Disks(be.ID) {
		if d.State == types.DiskOnline && !gone[d.ID] {
			others++
			free += d.Available
		}
	}
	switch {
	case others == 0:
		return stmt.Refusal("These disks cannot be decommissioned: the backend has no other ONLINE disk to move %d replicas to. ALTER SYSTEM DECOMMISSION BACKEND moves them to other backends",
			replicasOn(e, be, gone))
	case need > free:
		return stmt.Refusal("It will cause insufficient disk space if these disks are decommissioned: %d bytes are on them, %d are free on the other disks of the backend", need, free)
	}
	return nil
}

func replicasOn(e *stmt.Env, be *catalog.BE, disks map[types.DiskID]bool) int {
	n := 0
	for tab := range e.Catalog.TabletsOn(be.ID) {
		if disks[tab.Replica(be.ID).Disk] {
			n++
		}
	}
	return n
}

// LastCopies names the tablets that would have no complete, readable replica left without those that go.
func LastCopies(e *stmt.Env, goes func(*catalog.Tablet, *catalog.Replica) bool) []string {
	var out []string
	for tab := range e.Catalog.Tablets() {
		hit, left := false, false
		for i := range tab.Replicas {
			r := &tab.Replicas[i]
			if goes(tab, r) {
				hit = true
			} else if r.Complete() && stays(e, tab, r) {
				left = true
			}
		}
		if !hit || left {
			continue
		}
		if p, ok := stmt.PlaceOf(e.Catalog, tab); ok {
			out = append(out, fmt.Sprintf("tablet %d of %s.%s (replication_num %d) has no other complete replica that can be read",
				tab.ID, p.DB.Name, e.Owner(p.Table).Name, p.Part.Replicas))
		}
	}
	return out
}

// obstaclesShown bounds the list in a refusal.
const obstaclesShown = 20

// InTheWay refuses with the list of what stands in the way; nil when that is nothing.
func InTheWay(what string, obstacles []string) error {
	if len(obstacles) == 0 {
		return nil
	}
	text := strings.Join(obstacles[:min(len(obstacles), obstaclesShown)], "; ")
	if more := len(obstacles) - obstaclesShown; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if strings.HasSuffix(what, " because") {
		return stmt.Refusal("%s %s", what, text)
	}
	return stmt.Refusal("%s: %s", what, text)
}
