// Package recent remembers which version of a tablet last changed a key, for write-conflict detection.
//
// It holds hashes of keys and is bounded: what it has forgotten it knows that it has forgotten (KnownFrom). It locks nothing; a Changes
// is guarded by whoever owns it. It is in memory alone, and a restart begins it anew.
package recent
