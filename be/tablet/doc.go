// Package tablet keeps the replicas of tablets on the disks of a BE.
//
// A Store is one disk. It owns two Badger instances (package kv), shared by all its tablets: meta, with manifests, delete
// vectors and the payloads of small writes, and data, with row groups (package rowset) and large payloads. A Tablet is one
// replica. The package never talks to another process: who leads, which version comes next and what a pending
// transaction became is told to it. It never decides whether a row may be written: key checks and row locks are the
// caller's (Exists, LastChange).
//
// How a row lives: Prepare makes the payload of a transaction durable as pending; PrepareLight keeps it in memory, for whoever can bring
// it again. Publish gives it the next version: its
// rows go to the memtable, each marked with the version that created it, and the rows that it replaces or deletes, in
// memtables or rowsets, are marked with the version that ended them. Flush writes the memtables as a rowset with a version
// column, compaction merges rowsets. So every layout can show every version from the horizon on (readFrom): a row is seen
// by version v when created <= v < ended. A Snapshot is a set of immutable views and stays readable until it is released.
//
// Invariants (I1–I6 are those of ARCHITECTURE.md):
//
//	B1  A value counts only if its checksum, which covers its key, matches. Empty is bad.
//	B2  A bad value is looked up three times, then the replica is bad, for good: stored, reported, never partial rows.
//	B3  What exists is what the manifest names; versions after it chain without a gap or are not there.
//	B4  After a crash the version is what the records prove; the rest is pending again and the FE tells what became of it.
//	B5  Scrub verifies all bytes; Digest is equal on all replicas of a version, whatever their layout (I3).
//	B6  Below the reserve the disk takes no rows, only what gives room back, and that down to a part of it: a full disk would kill the process.
//
// Goroutines: the committer of each instance and one maintenance worker for each Store; Close waits for them.
// Below it are packages of one idea each: kv (a Badger instance and its segments), wire (payloads and change sets), memtable (rows that
// are in no rowset yet), deletes (which rows of a rowset ended, and when), recent (which version last changed a key), sought (what the
// predicates of a scan leave), rowhash (rows as numbers that replicas compare), space (how much
// room there is, and what may take it).
// See DESIGN.md for what a crash between any two steps leaves.
package tablet
