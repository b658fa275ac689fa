package stmt

import (
	"context"
	"time"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Log proposes commands.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

// Members is what the leading FE knows of the BEs.
type Members interface {
	Get(types.BEID) (cluster.BE, bool)
	Alive(types.BEID) bool
	Address(types.BEID) string
	Replica(types.BEID, types.TabletID) (cluster.Replica, bool)
	Lost(types.BEID, types.TabletID) bool
	Clone(types.TaskID) *bepb.CloneStatus
}

// Frontend is an FE as SHOW FRONTENDS prints it.
type Frontend struct {
	Name      string
	Role      string // LEADER, FOLLOWER, OBSERVER
	Join      bool
	Alive     bool
	Journal   uint64
	Heartbeat time.Time
	Self      bool
	Err       string
	Started   time.Time
	Version   string
}

// Process is one session of SHOW PROCESSLIST.
type Process struct {
	ID      uint64
	User    string
	Host    string
	DB      string
	Command string
	Since   time.Time
	Text    string
}

// Warning is one row of SHOW WARNINGS.
type Warning struct {
	Level   string
	Code    uint16
	Message string
}

// Variable is one row of SHOW VARIABLES.
type Variable struct{ Name, Value string }

// Env is what a handler may use.
type Env struct {
	Catalog   *catalog.Catalog // one snapshot for the whole statement
	DB        string           // the session's default database, "" = none
	User      string
	Now       time.Time
	Log       Log
	Members   Members
	Control   *tabletctl.Controller
	Conf      *conf.Live
	Frontends func() []Frontend
	Processes func() []Process
	Warnings  []Warning
	Variables []Variable
	Status    func() []Variable // SHOW STATUS
	// SetConfig makes a configuration change that other FEs and a restart keep.
	SetConfig func(ctx context.Context, key, value string) error
}
