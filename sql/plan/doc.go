// Package plan turns a parsed statement into something that can be run: a physical plan for a query, a checked plan for
// a write. What a table is and what it will be is package define's. It owns name resolution, typing, rewriting, join order, pruning of
// partitions, buckets and columns, and the routing of rows to tablets.
//
// A view is a query that is bound where its name is used; see view.go.
//
// It is pure: it reads no clock (the statement's time is in Context), does no I/O and starts no goroutine; the same
// statement over the same Context gives the same plan. It never changes the catalog and never runs a plan. Nothing in it
// outlives a call, so a crash loses nothing.
//
// The way of a query: bind (names to column ids, subqueries to joins as they are met) gives a logical tree of rels over
// column ids that are unique in the statement; rewrites push predicates down, turn outer joins into inner ones, order
// inner joins; lowering replaces column ids by positions, gives scans their fragments and splits aggregations in two.
package plan
