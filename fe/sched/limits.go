package sched

// Limits are the settings of one Step, as numbers. Times are in milliseconds.
type Limits struct {
	RepairSlots        int     // clones for repair that a disk takes part in
	BalanceSlots       int     // clones for balance that a disk takes part in
	MaxScheduling      int     // tasks pending, and running for repair
	MaxBalancing       int     // tablets moved for balance at a time
	StallMs            int64   // a clone that gets nothing for so long is given up, 0 = never
	MinTimeoutMs       int64   // of a clone
	MaxTimeoutMs       int64   // of a clone
	ToleranceMs        int64   // how long a BE may be dead before its replicas are missed
	DelayFactorMs      int64   // unit of the delay of repairs that are not urgent
	FullCloneDelayMs   int64   // between full clones to a replica that cannot keep up
	MaxNotScheduledMs  int64   // a task that waits for so long gets a higher priority
	ScanMs             int64   // between two full scans
	BalanceThreshold   float64 // distance from the average score that makes a BE high or low
	HighWater          float64 // use of a BE from which only its fill level counts
	SoftLimitPercent   int     // a disk used more than this, with less left than the reserve, gets nothing new
	SoftLimitReserve   int64   // bytes
	DisableBalance     bool
	AutoFailover       bool // move leaders away from dead BEs, repair and balance without being told
	BalanceNow         bool // an operator has asked for it: even out replicas whatever DisableBalance and AutoFailover say
	StrictMedium       bool // a replica that only moves waits for a disk of its medium
	DropDecommissioned bool // drop a decommissioned BE that holds nothing any more
}

// DefaultLimits returns the defaults of the configuration.
func DefaultLimits() Limits {
	return Limits{RepairSlots: 2, BalanceSlots: 2, MaxScheduling: 10000, MaxBalancing: 500, StallMs: 15_000, MinTimeoutMs: 180_000,
		MaxTimeoutMs: 7_200_000, ToleranceMs: 900_000, DelayFactorMs: 60_000, FullCloneDelayMs: 180_000,
		MaxNotScheduledMs: 900_000, ScanMs: 20_000, BalanceThreshold: 0.1, HighWater: 0.75, SoftLimitPercent: 90,
		SoftLimitReserve: 8 << 30, AutoFailover: true, DropDecommissioned: true}
}

// withFloor keeps settings from stopping the machinery: one slot and one task there must be.
func (l Limits) withFloor() Limits {
	l.RepairSlots, l.BalanceSlots = max(l.RepairSlots, 1), max(l.BalanceSlots, 1)
	l.MaxScheduling, l.ScanMs = max(l.MaxScheduling, 1), max(l.ScanMs, 1000)
	l.MaxTimeoutMs = max(l.MaxTimeoutMs, l.MinTimeoutMs, 1000)
	return l
}

// delayMs is how long after a death a repair of the priority starts at the earliest.
func (l *Limits) delayMs(p Priority) int64 {
	switch p {
	case PriorityNormal:
		return l.DelayFactorMs
	case PriorityLow:
		return 2 * l.DelayFactorMs
	default:
		return 0
	}
}

// cloneRate is the rate that the timeout of a clone allows for, in bytes per millisecond (5 MB/s).
const cloneRate = 5 << 20 / 1000

// timeoutMs is how long a clone of so many bytes may take.
func (l *Limits) timeoutMs(bytes int64) int64 {
	return min(max(bytes/cloneRate, l.MinTimeoutMs), l.MaxTimeoutMs)
}
