package conf

import (
	"encoding/base64"
	"fmt"
	"time"
)

// FE is the registry of the items of a frontend, read from fe.conf.
var FE = newRegistry("fe", "frontend (FE)")

const (
	mib = 1 << 20
	gib = 1 << 30
)

var portRange = Range(1, 65535)

// Addresses of an FE.
var (
	feNetwork = FE.group("Addresses")

	FEHost = feNetwork.String("host", "127.0.0.1",
		"Address under which every other node and every client reaches this FE. Set it to the machine's own address when the cluster has more than one machine.")
	QueryPort = feNetwork.Int("query_port", 9030,
		"MySQL protocol: clients and drivers connect here.", portRange)
	FEHTTPPort = feNetwork.Int("http_port", 8030,
		"HTTP: a page that shows the cluster, system tables as JSON below /api/tables, /metrics for Prometheus, /health for probes, profiles below /debug/pprof/.", portRange)
	FERPCPort = feNetwork.Int("rpc_port", 9020,
		"gRPC from other FEs and from BEs: forwarded statements, reports.", portRange)
	EditLogPort = feNetwork.Int("edit_log_port", 9010,
		"Raft between FEs; ALTER SYSTEM ADD FOLLOWER names this port.", portRange)
	FEGossipPort = feNetwork.Int("gossip_port", 9011,
		"Gossip between all nodes, TCP and UDP.", portRange)
	FESeeds = feNetwork.StringList("seeds", "",
		"host:gossip_port of some other nodes, separated by commas. A new node finds the cluster through them; the first FE needs none.")
	FEHelpers = feNetwork.StringList("fe_helpers", "",
		"host:rpc_port of some FEs of the cluster, separated by commas. An FE with an empty meta_dir asks them to let it join; ALTER SYSTEM ADD FOLLOWER allows it.")
	FELocalSockets = feNetwork.Bool("local_sockets", true, localSocketsHelp)
	Bootstrap      = feNetwork.Bool("bootstrap", false,
		"Start a new cluster when meta_dir is empty. Set it on exactly one FE, the first; it has no effect once meta_dir holds a catalog.")
)

// Folders, logs and keys of an FE.
var (
	feFiles = FE.group("Folders, logs and keys")

	MetaDir = feFiles.Path("meta_dir", "meta",
		"Folder of the catalog: Raft log and snapshots. Put it on a disk with fast fsync, each commit waits for it.")
	FELogDir = feFiles.Path("log_dir", "log",
		"Folder of the log files.", Alias("sys_log_dir"))
	FETmpDir = feFiles.Path("tmp_dir", "",
		"Folder for what queries and loads do not hold in memory. Empty: the system's folder for temporary files. Keep it off the disk of meta_dir: a query that fills that one stops commits.",
		Alias("tmpdir"))
	FELogLevel = feFiles.String("log_level", "info",
		"Least severe level that is logged.", OneOf("debug", "info", "warn", "error"), Alias("sys_log_level"), Mutable)
	MySQLTLSCert = feFiles.Path("mysql_tls_cert", "",
		"PEM certificate shown to MySQL clients. Empty: a self-signed one is made in meta_dir at the first start.")
	MySQLTLSKey = feFiles.Path("mysql_tls_key", "",
		"PEM private key of mysql_tls_cert.")
	FETLSCert    = feFiles.Path("tls_cert", "", tlsCertHelp)
	FETLSKey     = feFiles.Path("tls_key", "", "PEM private key of tls_cert.")
	FETLSCA      = feFiles.Path("tls_ca", "", tlsCAHelp)
	FEGossipKeys = feFiles.StringList("gossip_keys", "", gossipKeysHelp)
)

// Help of items that FEs and BEs share.
const (
	localSocketsHelp = "Processes of the same machine and user reach rpc_port by a Unix socket beside it, which costs less than TCP (Linux). " +
		"false: they come by TCP like all others, as a packet filter or a capture may want it."
	tlsCertHelp = "PEM certificate of this node, signed by tls_ca. With it, RPC and Raft are encrypted, and only nodes with such a certificate are talked to. " +
		"Set it on every node of a cluster, or on none. The files are read again when they change; tls_ca may hold an old and a new CA meanwhile."
	tlsCAHelp      = "PEM certificate of the cluster's own CA: whoever it has signed is a member."
	gossipKeysHelp = "Keys of the gossip between nodes, base64 of 16, 24 or 32 bytes each, separated by commas; the first encrypts, all decrypt. " +
		"Empty: gossip is not encrypted."
)

// Client connections.
var (
	feClients = FE.group("Client connections")

	MaxConnections = feClients.Int("max_connections", 4096,
		"Client connections that one FE serves at the same time; further ones get error 1040.",
		Range(1, 100000), Alias("qe_max_connection"), Mutable)
	SkipGrantTables = feClients.Bool("skip_grant_tables", false,
		"To set a lost password: clients of this machine come in without one, under an account that may do everything; all others are turned away. "+
			"Needs a restart; take it out again afterwards.")
	ConnectTimeout = feClients.Duration("connect_timeout_s", 10*time.Second,
		"How long a client may take from connecting to the end of its login.", Range(1, 3600), Mutable)
	WaitTimeout = feClients.Duration("wait_timeout_s", 28800*time.Second,
		"Idle connections are closed after this time; a session may set its own.", Range(1, 31536000), Mutable)
	MaxAllowedPacket = feClients.Bytes("max_allowed_packet", 64*mib,
		"Longest statement and longest row that a client may send. Raise it for bulk loads with very long INSERT statements.",
		Range(1024, gib), Mutable)
)

// Liveness of backends and frontends.
var (
	feLiveness = FE.group("Liveness")

	HeartbeatInterval = feLiveness.Duration("heartbeat_interval_ms", 500*time.Millisecond,
		"Time between two heartbeats to one BE.", Range(50, 60000), Mutable, Cluster)
	HeartbeatTimeout = feLiveness.Duration("heartbeat_timeout_ms", 700*time.Millisecond,
		"How long one heartbeat may take before it counts as missed.", Range(50, 60000), Mutable, Cluster)
	HeartbeatRetryTimes = feLiveness.Int("heartbeat_retry_times", 3,
		"Heartbeats missed in a row before a BE counts as dead. A refused connection on a machine that answers is missed at once.",
		Range(1, 100), Mutable, Cluster)
	AutoFailover = feLiveness.Bool("auto_failover", true,
		"Move tablet leadership away from a dead BE by itself. Switch it off only during planned work, writes to the affected tablets then wait for you.",
		Mutable, Cluster)
)

// Operations that operators order.
var (
	feOps = FE.group("Operations")

	OpConcurrency = feOps.Int("op_concurrency", 2,
		"Operations of one statement that run at the same time, if the statement does not say.",
		Range(1, 8), Alias("name_server_task_concurrency"), Mutable, Cluster)
	OpTimeout = feOps.Duration("op_timeout_s", 7200*time.Second,
		"An operation that takes longer than this fails, and what it has begun is taken back.", Range(1, 604800), Mutable, Cluster)
)

// Raft between FEs. The timings were measured: 500/500/250 ms elect in 0.6 to 1.2 s, 200/200/100 in 0.4 to 0.6 s.
var (
	feRaft = FE.group("Raft between FEs")

	RaftHeartbeatTimeout = feRaft.Duration("raft_heartbeat_timeout_ms", 300*time.Millisecond,
		"An FE follower without a word from the FE leader for this long starts an election.", Range(20, 60000))
	RaftElectionTimeout = feRaft.Duration("raft_election_timeout_ms", 300*time.Millisecond,
		"A candidate without a majority for this long starts over.", Range(20, 60000))
	RaftLeaderLease = feRaft.Duration("raft_leader_lease_timeout_ms", 200*time.Millisecond,
		"The FE leader steps down when it has not reached a majority for this long.", Range(10, 60000))
	RaftSnapshotInterval = feRaft.Duration("raft_snapshot_interval_s", 120*time.Second,
		"How often the FE looks whether a snapshot of the catalog is due.", Range(1, 86400))
	RaftSnapshotThreshold = feRaft.Int("raft_snapshot_threshold", 8192,
		"Log entries since the last snapshot that make the next one due.", Range(16, 10000000))
	RaftTrailingLogs = feRaft.Int("raft_trailing_logs", 10240,
		"Log entries kept behind a snapshot, so that a follower that was away briefly needs no snapshot.", Range(0, 10000000))
	LeaderWaitTimeout = feRaft.Duration("leader_wait_timeout_ms", 10*time.Second,
		"How long a statement that needs the FE leader waits for one to be elected before error 1205.", Range(100, 600000), Mutable)
)

// Tables, writes and queries.
var (
	feWork = FE.group("Tables, writes and queries")

	DefaultReplicationNum = feWork.Int("default_replication_num", 3,
		"Replicas of a table whose CREATE TABLE names no replication_num.", Range(1, 31), Mutable, Cluster)
	DefaultBuckets = feWork.Int("default_buckets", 3,
		"Buckets of a partition whose CREATE TABLE names none.", Range(1, 1024), Mutable, Cluster)
	WriteTimeout = feWork.Duration("write_timeout_ms", 30*time.Second,
		"How long the BEs of one write may take before it is aborted.", Range(100, 3600000), Mutable)
	LockWaitTimeout = feWork.Duration("lock_wait_timeout_s", 50*time.Second,
		"How long a statement waits for a row lock before error 1205; a session may set its own.",
		Range(1, 1073741824), Alias("innodb_lock_wait_timeout"), Mutable)
	SnapshotKeepMax = feWork.Duration("snapshot_keep_max_s", 12*time.Hour,
		"For how long backends keep rows readable that have changed since, for a statement or transaction that reads an older state, a dump with "+
			"--single-transaction, say. One that lasts longer may hear 1412. Below read_age_s of the backends nothing is kept longer because of it.",
		Range(0, 31536000), Mutable, Cluster)
	TemporaryTableKeep = feWork.Duration("temporary_table_keep_s", 3600*time.Second,
		"Temporary tables of the sessions of a frontend that has been silent for so long are dropped. A frontend that is only cut off ends such sessions after 5 minutes.",
		Range(600, 31536000), Mutable)
	PublishWaitTimeout = feWork.Duration("publish_wait_timeout_ms", 5*time.Second,
		"How long a committed write waits, when a backend does not keep up with committed versions, until a quorum can serve it.",
		Range(10, 600000), Alias("quorum_publish_wait_time_ms"), Mutable)
	RedoMaxBytes = feWork.Bytes("redo_max_bytes", 16<<10,
		"How many bytes of rows a transaction may carry in its commit: they are in the metadata log, on a majority of the frontends, until its replicas have "+
			"them on disk a moment later, so that it waits for one disk instead of two. 0 = rows are on the disks of a quorum before the commit.",
		Range(0, mib), Mutable, Cluster)
	QueryMemLimit = feWork.Bytes("query_mem_limit_bytes", gib,
		"Memory that one query may take on one node, beyond which it goes on in temporary files. All queries together have a quarter of what the process may take.", Range(mib, 1<<50), Alias("exec_mem_limit"), Mutable)
)

// Checker and scheduler of tablet repair.
var (
	feRepair = FE.group("Repair: checker and scheduler")

	CheckerInterval = feRepair.Duration("tablet_sched_checker_interval_seconds", 20*time.Second,
		"Time between two full scans for unhealthy tablets. Failures are reacted to at once; the scan is the safety net.",
		Range(1, 86400), Cluster)
	SlotNumPerPath = feRepair.Int("tablet_sched_slot_num_per_path", 2,
		"Repair clones that one disk takes part in at the same time, as source or destination. Raise it on fast disks.",
		Range(1, 64), Alias("schedule_slot_num_per_path"), Mutable, Cluster)
	MaxSchedulingTablets = feRepair.Int("tablet_sched_max_scheduling_tablets", 10000,
		"Tablets that wait for or undergo repair at the same time; further ones are found again by a later scan.",
		Range(1, 10000000), Alias("max_scheduling_tablets"), Mutable, Cluster)
	BEDownTolerateTime = feRepair.Duration("tablet_sched_be_down_tolerate_time_s", 900*time.Second,
		"How long a BE may be dead before its replicas are rebuilt elsewhere. Longer than a reboot, shorter than you dare to live with one copy less.",
		Range(0, 31536000), Mutable, Cluster)
	RepairDelayFactor = feRepair.Duration("tablet_sched_repair_delay_factor_second", 60*time.Second,
		"Unit of the delay before a repair that is not urgent starts, so that a replica gets the chance to come back by itself.",
		Range(0, 86400), Alias("tablet_repair_delay_factor_second"), Mutable, Cluster)
	MinCloneTaskTimeout = feRepair.Duration("tablet_sched_min_clone_task_timeout_sec", 180*time.Second,
		"Shortest time that a clone task is given, however small the tablet.",
		Range(1, 86400), Alias("min_clone_task_timeout_sec"), Mutable, Cluster)
	MaxCloneTaskTimeout = feRepair.Duration("tablet_sched_max_clone_task_timeout_sec", 7200*time.Second,
		"Longest time that a clone task is given, however large the tablet.",
		Range(1, 604800), Alias("max_clone_task_timeout_sec"), Mutable, Cluster)
	TaskStallTimeout = feRepair.Duration("tablet_sched_clone_stall_timeout_sec", 15*time.Second,
		"A clone whose source sends nothing for this long, or cannot be reached, is given up and tried from another source, long before its timeout. The BE that copies is told; the FE sees to it as well. 0 = only the timeout counts.",
		Range(0, 86400), Mutable, Cluster)
	ConsecutiveFullCloneDelay = feRepair.Duration("tablet_sched_consecutive_full_clone_delay_sec", 180*time.Second,
		"Time between two full clones to the same replica, so that a replica that cannot keep up does not fill the network.",
		Range(0, 86400), Mutable, Cluster)
	MaxNotScheduledInterval = feRepair.Duration("tablet_sched_max_not_being_scheduled_interval_ms", 900*time.Second,
		"A waiting tablet that was not looked at for this long gets a higher priority.",
		Range(1000, 86400000), Mutable, Cluster)
	CheckConsistencyTimeout = feRepair.Duration("check_consistency_default_timeout_second", 600*time.Second,
		"How long comparing the replicas of one tablet may take (ADMIN CHECK).", Range(1, 86400), Mutable, Cluster)
	ReportDropTabletDelay = feRepair.Duration("tablet_report_drop_tablet_delay_sec", 120*time.Second,
		"How long a replica that only the BE knows is kept before the BE is told to drop it.",
		Range(0, 86400), Mutable, Cluster)
	DropBackendAfterDecommission = feRepair.Bool("drop_backend_after_decommission", true,
		"Drop a BE by itself once decommissioning has emptied it.", Mutable, Cluster)
	RecoverWithEmptyTablet = feRepair.Bool("recover_with_empty_tablet", false,
		"DANGER: tablets of which no replica is left (each is damaged, lost by its disk, or on a dropped BE) go on as empty ones, without being asked. Queries then answer without the rows that are gone, and a disk or BE that comes back later is not believed any more. RECOVER DATA … ACCEPT LOSS does the same once, table by table, and says first what is given up. Switch it on for a cluster whose tables can be loaded anew, and off again afterwards; stele.operations lists each tablet that was emptied.",
		Mutable, Cluster)
	StrictStorageMedium = feRepair.Bool("enable_strict_storage_medium_check", false,
		"Keep replicas on disks of their medium: CREATE TABLE is refused where too few BEs have one, and a replica that only moves (decommission, spread over hosts) waits for a disk of its medium. A replica that is missing is still made on whatever disk there is.",
		Mutable, Cluster)
)

// Balance between backends and disks.
var (
	feBalance = FE.group("Balance and space")

	DisableBalance = feBalance.Bool("tablet_sched_disable_balance", false,
		"Stop starting moves that only even out load. Repair goes on.", Alias("disable_balance"), Mutable, Cluster)
	BalanceSlotNumPerPath = feBalance.Int("tablet_sched_balance_slot_num_per_path", 2,
		"Balance clones that one disk takes part in at the same time; counted apart from repair.",
		Range(1, 64), Mutable, Cluster)
	MaxBalancingTablets = feBalance.Int("tablet_sched_max_balancing_tablets", 500,
		"Tablets that are moved for balance at the same time.",
		Range(1, 1000000), Alias("max_balancing_tablets"), Mutable, Cluster)
	BalanceLoadScoreThreshold = feBalance.Float("tablet_sched_balance_load_score_threshold", 0.1,
		"How far the load of a BE or disk may be from the average before it counts as high or low; 0.1 is ten percent.",
		Range(0.001, 1), Alias("balance_load_score_threshold"), Mutable, Cluster)
	CapacityUsedHighWater = feBalance.Float("capacity_used_percent_high_water", 0.75,
		"Use of a BE from which its fill level alone decides where replicas go (0.75 is 75 percent).",
		Range(0.01, 1), Mutable, Cluster)
	StorageSoftLimitPercent = feBalance.Int("storage_usage_soft_limit_percent", 90,
		"A disk used more than this, and with less left than the soft reserve, gets no new replicas.",
		Range(1, 100), Alias("storage_high_watermark_usage_percent"), Mutable, Cluster)
	StorageSoftLimitReserve = feBalance.Bytes("storage_usage_soft_limit_reserve_bytes", 8*gib,
		"The soft reserve: see storage_usage_soft_limit_percent.",
		Range(0, 1<<50), Alias("storage_min_left_capacity_bytes"), Mutable, Cluster)
)

var _ = FE.check(func(v *Values) (faults []Fault) {
	faults = append(faults, namedHost(v, FEHost)...)
	faults = append(faults, distinctPorts(v, QueryPort, FEHTTPPort, FERPCPort, EditLogPort, FEGossipPort)...)
	faults = append(faults, nodeAddresses(v, FESeeds, FEHelpers)...)
	faults = append(faults, namedFolders(v, MetaDir, FELogDir)...)
	if (MySQLTLSCert.Get(v) == "") != (MySQLTLSKey.Get(v) == "") {
		faults = append(faults, crossFault(v, MySQLTLSCert.Spec, "needs mysql_tls_key, and the other way round"))
	}
	faults = append(faults, together(v, FETLSCert, FETLSKey, FETLSCA)...)
	faults = append(faults, usableKeys(v, FEGossipKeys)...)
	if MinCloneTaskTimeout.Get(v) > MaxCloneTaskTimeout.Get(v) {
		faults = append(faults, crossFault(v, MinCloneTaskTimeout.Spec, "is above "+MaxCloneTaskTimeout.Key))
	}
	if RaftElectionTimeout.Get(v) < RaftHeartbeatTimeout.Get(v) {
		faults = append(faults, crossFault(v, RaftElectionTimeout.Spec, "is below "+RaftHeartbeatTimeout.Key))
	}
	if RaftLeaderLease.Get(v) > RaftHeartbeatTimeout.Get(v) {
		faults = append(faults, crossFault(v, RaftLeaderLease.Spec, "is above "+RaftHeartbeatTimeout.Key+
			": two FEs could believe to lead at the same time"))
	}
	return faults
})

// together faults items that are needed together when only some are set.
func together(v *Values, items ...*Item[string]) (faults []Fault) {
	set := 0
	for _, it := range items {
		if it.Get(v) != "" {
			set++
		}
	}
	if set != 0 && set != len(items) {
		faults = append(faults, crossFault(v, items[0].Spec, "is needed together with tls_key and tls_ca, or none of them"))
	}
	return faults
}

// usableKeys faults keys that gossip cannot use. They are secret: no fault shows them.
func usableKeys(v *Values, it *Item[[]string]) (faults []Fault) {
	for i, text := range it.Get(v) {
		key, err := base64.StdEncoding.DecodeString(text)
		problem := fmt.Sprintf("has a key (number %d) of %d bytes; 16, 24 or 32 are needed", i+1, len(key))
		switch {
		case err != nil:
			problem = fmt.Sprintf("has a key (number %d) that is no base64", i+1)
		case len(key) == 16 || len(key) == 24 || len(key) == 32:
			continue
		}
		faults = append(faults, Fault{Where: v.Origin(it.Spec).Detail, Key: it.Key, Value: "…", Problem: problem})
	}
	return faults
}

func crossFault(v *Values, s *Spec, problem string) Fault {
	return Fault{Where: v.Origin(s).Detail, Key: s.Key, Value: v.Text(s), Problem: problem}
}

// distinctPorts faults the later of two items that claim the same port.
func distinctPorts(v *Values, ports ...*Item[int]) (faults []Fault) {
	owner := map[int]string{}
	for _, p := range ports {
		port := p.Get(v)
		if first, taken := owner[port]; taken {
			faults = append(faults, crossFault(v, p.Spec, fmt.Sprintf("is the port of %s already", first)))
		}
		owner[port] = p.Key
	}
	return faults
}

// The collector of an FE.
var (
	feResources = FE.group("Memory and threads")

	FEGCPercent = feResources.Int("gc_percent", 300, gcPercentHelp, Range(20, 10_000))
)

const gcPercentHelp = "Growth of the heap, in percent of what lives, after which the garbage collector runs (GOGC). More costs memory and saves CPU."
