package conf

import "time"

// BE is the registry of the items of a backend, read from be.conf.
var BE = newRegistry("be", "backend (BE)")

// Addresses of a BE.
var (
	beNetwork = BE.group("Addresses")

	BEHost = beNetwork.String("host", "127.0.0.1",
		"Address under which every other node reaches this BE. Set it to the machine's own address when the cluster has more than one machine.")
	BERPCPort = beNetwork.Int("rpc_port", 9060,
		"gRPC: writes, scans, clones and heartbeats. ALTER SYSTEM ADD BACKEND names this port.",
		portRange, Alias("be_port", "heartbeat_service_port"))
	BEHTTPPort = beNetwork.Int("http_port", 8040,
		"HTTP: /metrics for Prometheus, /health for probes, the pages whose addresses SHOW TABLET prints, profiles below /debug/pprof/.", portRange, Alias("be_http_port"))
	BEGossipPort = beNetwork.Int("gossip_port", 9061,
		"Gossip between all nodes, TCP and UDP.", portRange)
	BELocalSockets = beNetwork.Bool("local_sockets", true, localSocketsHelp)
	BESeeds        = beNetwork.StringList("seeds", "",
		"host:gossip_port of some FEs, separated by commas.")
)

// Disks and logs of a BE.
var (
	beFiles = BE.group("Disks and logs")

	StorageRootPath = beFiles.storageRoots("storage_root_path", "storage",
		"Disks of the BE as path[,medium:ssd|hdd][,capacity:bytes], joined by semicolons; the medium is hdd unless given or hinted at by a path that ends in .SSD, the capacity is that of the file system unless less is given (50GB; a bare number is GB). One path for each physical disk. The word none makes a BE that holds no replicas and keeps nothing: a query node.")
	BELogDir = beFiles.Path("log_dir", "log",
		"Folder of the log files.", Alias("sys_log_dir"))
	BETmpDir = beFiles.Path("tmp_dir", "",
		"Folder for what queries do not hold in memory. Empty: the folder spill on the first disk.", Alias("tmpdir"))
	BELogLevel = beFiles.String("log_level", "info",
		"Least severe level that is logged.", OneOf("debug", "info", "warn", "error"), Alias("sys_log_level"))
	BETLSCert    = beFiles.Path("tls_cert", "", tlsCertHelp)
	BETLSKey     = beFiles.Path("tls_key", "", "PEM private key of tls_cert.")
	BETLSCA      = beFiles.Path("tls_ca", "", tlsCAHelp)
	BEGossipKeys = beFiles.StringList("gossip_keys", "", gossipKeysHelp)

	FloodStageUsagePercent = beFiles.Int("storage_flood_stage_usage_percent", 95,
		"A disk used more than this, and with less left than storage_flood_stage_left_capacity_bytes, refuses loads and clones; it takes what only deletes rows while half of that is left.",
		Range(1, 100))
	FloodStageLeftCapacity = beFiles.Bytes("storage_flood_stage_left_capacity_bytes", 4*gib,
		"See storage_flood_stage_usage_percent.", Range(0, 1<<50))
)

// Memory and threads of a BE.
var (
	beResources = BE.group("Memory and threads")

	BEMemLimit = beResources.Bytes("be_mem_limit_bytes", 2*gib,
		"Memory of the process, file mappings not counted; of `stele node` that is both of its roles. On a machine of its own give a BE about 60 percent of the memory; "+
			"it never takes more than that of what the machine or its container (cgroup) has, whatever is said here.",
		Range(128*mib, 1<<50))
	BEGCPercent = beResources.Int("gc_percent", 400, gcPercentHelp+" be_mem_limit_bytes holds all the same.", Range(20, 10_000))
)

// Reports to the FE leader.
var (
	beReports = BE.group("Reports")

	ReportTabletInterval = beReports.Duration("report_tablet_interval_ms", 5*time.Second,
		"Time between two full reports of all replicas. Changes are reported at once; the full report is the safety net.",
		Range(100, 3600000))
)

// Clones.
var (
	beClone = BE.group("Clones")

	CloneBandwidth = beClone.Int("clone_bandwidth_limit_mb_per_disk", 100,
		"MB per second that clones and other background work may read or write on one disk. Measured: 100 keeps commits fast, 200 makes them wait.",
		Range(1, 100000), Mutable)
	CloneSlotsPerDisk = beClone.Int("clone_slots_per_disk", 8,
		"Ceiling of repair clones on one disk, in plus out; what the FE plans (tablet_sched_slot_num_per_path) stays below it.",
		Range(1, 64), Alias("parallel_clone_task_per_path"))
	CloneBalanceSlotsPerDisk = beClone.Int("clone_balance_slots_per_disk", 4,
		"Ceiling of balance clones on one disk, in plus out.", Range(1, 64))
)

// Deltas and the history kept for incremental clones.
var (
	beHistory = BE.group("Deltas and history")

	DeltaFlushRows = beHistory.Int("delta_flush_rows", 32768,
		"Rows in the deltas of a tablet that make them one rowset.", Range(1, 10000000), Mutable)
	DeltaFlushBytes = beHistory.Bytes("delta_flush_bytes", 8*mib,
		"Bytes in the deltas of a tablet that make them one rowset.", Range(1024, gib), Mutable)
	DeltaFlushAge = beHistory.Duration("delta_flush_age_s", 600*time.Second,
		"Age of the oldest write in the deltas of a tablet that makes them one rowset, so that a restart has little to replay.",
		Range(1, 31536000), Mutable)
	RetentionVersions = beHistory.Int("retention_versions", 1000,
		"Versions whose change sets a replica keeps for incremental clones. A replica that missed more needs a full clone.",
		Range(1, 1000000), Mutable)
	RetentionTime = beHistory.Duration("retention_s", 1800*time.Second,
		"Age up to which change sets are kept although there are more than retention_versions.",
		Range(0, 31536000), Alias("inc_rowset_expired_sec"), Mutable)
	ReadAge = beHistory.Duration("read_age_s", 300*time.Second,
		"How long a replica can be read at a version after the next one has come, whoever asks. For statements and transactions that frontends know to read "+
			"an older state it is longer, see snapshot_keep_max_s; on a disk that is nearly full it is this.",
		Range(1, 31536000), Mutable)
	RetentionBytes = beHistory.Bytes("retention_bytes", 256*mib,
		"Bytes of change sets that one replica keeps at most, whatever their number and age.", Range(mib, 1<<44), Mutable)
)

// Compaction, scrub and other work in the background.
var (
	beBackground = BE.group("Background work")

	BackgroundBytesPerSecond = beBackground.Bytes("be_background_bytes_per_second", 100*mib,
		"Bytes a second that compaction, reclaim and scrub of one disk together read and write. Nothing of it waits while deltas fill the memory.",
		Range(mib, 1<<40), Mutable)
	ScrubBytesPerSecond = beBackground.Bytes("scrub_bytes_per_second", 10*mib,
		"Bytes a second of them that the scrubber reads, which verifies every replica of a disk again and again.",
		Range(1024, 1<<40), Mutable)
	ScrubInterval = beBackground.Duration("scrub_interval_s", 86400*time.Second,
		"Time between the starts of two rounds of the scrubber.", Range(1, 31536000), Mutable)
	CompactionFanIn = beBackground.Int("compaction_fan_in", 6,
		"Rowsets of similar size that are worth merging. More make fewer writes and more rowsets to read.", Range(2, 100), Mutable)
	CompactionMaxRowsets = beBackground.Int("compaction_max_rowsets", 20,
		"Rowsets of a tablet beyond which the smallest are merged whatever their sizes.", Range(2, 1000), Mutable)
	CompactionDeadPercent = beBackground.Int("compaction_dead_percent", 20,
		"Share of deleted rows that makes a rowset be rewritten.", Range(1, 100), Mutable)
)

var _ = BE.check(func(v *Values) (faults []Fault) {
	faults = append(faults, namedHost(v, BEHost)...)
	faults = append(faults, distinctPorts(v, BERPCPort, BEHTTPPort, BEGossipPort)...)
	faults = append(faults, nodeAddresses(v, BESeeds)...)
	faults = append(faults, namedFolders(v, BELogDir)...)
	faults = append(faults, disksApart(v)...)
	faults = append(faults, together(v, BETLSCert, BETLSKey, BETLSCA)...)
	faults = append(faults, usableKeys(v, BEGossipKeys)...)
	return faults
})
