// Package wire encodes what travels of writes: between FE and BE, between replicas, and onto their disks.
//
// A payload is the rows of one part of a transaction: operations and columns (Encode), or row groups that were encoded once (Grouped). A
// change set is all parts of one version. Each carries its checksum, and the ids and types of its columns, so that replicas with another
// schema version read it; what is malformed is groups.ErrPayload, and of a newer schema ErrSchema.
//
// It is pure: no state, no I/O. Whatever bytes come, it returns rows of the schema or an error, and never decodes to more than a bound.
package wire
