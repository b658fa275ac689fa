// Package keyset holds sets of 64-bit keys in a form that is sent as it is and asked a vector at a time: what a join has read on one side,
// for the scans of its other side.
//
// It owns two forms, of which the one that fits is chosen: a bit for each value between the least and the greatest, where they are dense,
// and a Bloom filter, where they are not. A Bloom filter says yes to a few that are not in the set, never no to one that is.
//
// Invariant: a set is its bytes. Bytes that are no set are an error, and asking them can neither panic nor read beyond them.
package keyset
