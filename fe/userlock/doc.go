// Package userlock keeps the locks of GET_LOCK, which a client connection of any FE holds by name. The FE that leads has a
// Table of all of them; every FE has a Keeper of those of its own connections, which asks that table.
//
// Nothing of it is stored. A lock ends with its connection, with the process of its FE, or when the FE cannot prove for a
// lease's time that some leader knows of it; then the FE ends the connection, because nothing else would tell its client. A new
// leader gives nothing away before every FE has said what its connections hold (DESIGN.md).
//
// At most one connection takes a lock for its own at any time, whatever is lost, late or paused, if clocks run about alike.
package userlock
