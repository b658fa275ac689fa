package admin

import (
	"context"
	"strings"

	"stele/fe/stmt"
	"stele/sql/syntax"
)

// absent are statements of StarRocks about things that Stele does not have. Each is refused by name, with what
// to do instead.
var absent = []struct{ name, syntax, example, instead string }{
	{"alter_system_compute_node", "ALTER SYSTEM {verb: ADD|DROP} COMPUTE NODE {<hosts:hostports>|<texts:strings>}",
		`ALTER SYSTEM ADD COMPUTE NODE "10.0.0.1:9060"`, "there are no compute nodes: ALTER SYSTEM ADD BACKEND adds nodes that store and compute"},
	{"alter_system_modify_frontend_host", "ALTER SYSTEM MODIFY FRONTEND HOST <from:string> TO <to:string>",
		`ALTER SYSTEM MODIFY FRONTEND HOST "10.0.0.1" TO "10.0.0.2"`,
		"a frontend keeps its address: ALTER SYSTEM ADD FOLLOWER takes one in under its new address, then ALTER SYSTEM DROP FOLLOWER the old one"},
	{"admin_set_table_version", "ADMIN SET TABLE <table:table> [{PARTITION|PARTITIONS} <partitions:names>] VERSION TO <version:int>",
		"ADMIN SET TABLE db1.t1 PARTITION (p1) VERSION TO 5", "versions are decided by commits and cannot be set: ADMIN SET REPLICA STATUS gives up a damaged replica"},
	{"split_vgroup", "SPLIT VGROUP <id:int> [FORCE]", "SPLIT VGROUP 10003",
		"a tablet is not split: a table, and each new partition of it, gets its number of buckets when it is created"},
	{"merge_vgroup", "MERGE VGROUP <a:int> <b:int>", "MERGE VGROUP 10003 10004", "tablets are not merged: a table gets its number of buckets when it is created"},
	{"assign_leader_force", "ASSIGN LEADER FORCE", "ASSIGN LEADER FORCE",
		"a leader is chosen by what the replicas have: RECOVER DATA says what is in its way, and with ACCEPT LOSS goes on with what is left"},
	{"compact", "{COMPACT DATABASE <db:name>|COMPACT [<db:name>.] VGROUPS IN <ids:ints>|KILL COMPACT <id:int>}", "COMPACT DATABASE db1",
		"backends compact by themselves as far as reads need it: SHOW PROC '/statistic' and ADMIN SHOW REPLICA STATUS have the number of versions"},
	{"snodes", "{verb: CREATE|DROP} {SNODE|BNODE} ON DNODE <id:int>", "CREATE SNODE ON DNODE 10001", "there are no stream nodes and no bnodes"},
	{"sdkendpoint", "{SHOWSDKENDPOINT|SETSDKENDPOINT <name:value> <ep:hostport>}", "showsdkendpoint",
		"clients are told no other addresses: they reach the FEs under those that they are given"},
	{"tablepartition", "{GETTABLEPARTITION <table:table> <pid:int>|SETTABLEPARTITION <table:table> <file:string>}", "gettablepartition t1 0",
		"metadata is not edited by hand: SHOW PROC '/dbs' shows it, ADMIN BACKUP METADATA writes it out, RECOVER DATA repairs it"},
}

func init() {
	for _, s := range absent {
		stmt.Register(stmt.Statement{Name: s.name, Syntax: s.syntax, Doc: "Refused: " + s.instead + ".", Examples: []string{s.example},
			Do: func(context.Context, *stmt.Env, syntax.Args) (stmt.Result, error) {
				return stmt.Result{}, stmt.Refusal("Not supported: %s", s.instead)
			}})
	}
}

// What Stele never has is listed by its columns alone.
func init() {
	for _, s := range []struct{ name, table, columns string }{
		{"show_snodes", "snodes", "id int Never a row.\nendpoint text host:port.\ncreate_time text When it was made."},
		{"show_bnodes", "bnodes", "id int Never a row.\nendpoint text host:port.\nprotocol text Its protocol.\ncreate_time text When it was made."},
		{"show_compacts", "compacts", "compact_id int Never a row.\ndb_name text Database.\nstart_time text When it began."},
		{"show_arbgroups", "arbgroups", "db_name text Never a row.\nvgroup_id int The tablet.\nv1_dnode int First BE.\nv2_dnode int Second BE.\n" +
			"is_sync text Whether both have everything.\ncheck_sync_code text Why not.\nassigned_dnode int BE that leads alone.\n" +
			"assigned_token text Its token.\nassigned_acked text Whether it knows."},
	} {
		text := "SHOW " + strings.ToUpper(s.table)
		stmt.Register(stmt.Statement{Name: s.name, Table: s.table, Syntax: text, Columns: stmt.Cols(s.columns), Examples: []string{text},
			Doc:  "No rows: Stele has nothing of the kind.",
			Rows: func(context.Context, *stmt.Env, syntax.Args) ([]stmt.Row, error) { return nil, nil }})
	}
}

// ComputeNodeColumns are those of SHOW COMPUTE NODES.
var ComputeNodeColumns = stmt.Cols(`
	ComputeNodeId         int  None: every BE stores and computes.
	IP                    text -
	HeartbeatPort         int  -
	BePort                int  -
	HttpPort              int  -
	BrpcPort              int  -
	LastStartTime         text -
	LastHeartbeat         text -
	Alive                 text -
	SystemDecommissioned  text -
	ClusterDecommissioned text -
	ErrMsg                text -
	Version               text -
	CpuCores              int  -
	MemLimit              text -
	NumRunningQueries     int  -
	MemUsedPct            text -
	CpuUsedPct            text -
	DataCacheMetrics      text -
	HasStoragePath        text -
	StatusCode            text -
`)
