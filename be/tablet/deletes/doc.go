// Package deletes is the delete vector of a rowset: which of its rows ended, and at which version.
//
// Rows never change, so a replica that replaces or deletes a row marks the old one. A Vector answers for every version from the horizon
// on: a log of what ended, in the order of versions, with a bitmap every so many entries. The log only grows and bitmaps are never
// changed, so a copy of a Vector is a snapshot of it. Its owner guards the original and stores it.
package deletes
