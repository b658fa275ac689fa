// Package server speaks the MySQL protocol to clients: it listens, logs clients in, runs the command loop of each
// connection and encodes results straight from column vectors. What SQL means is the business of the Engine that
// the caller hands in; this package never parses SQL, never touches the catalog and never imports an executor.
//
// Login (greeting, capability exchange, account lookup, plugin switch) is driven by go-mysql's server package over
// a framing connection of ours (loginConn), which terminates TLS, bounds and validates every packet before the
// library sees it, and shows us the salt. The stored authentication strings are checked by our own provider. After
// the login the library's connection is dropped and the command loop is ours.
//
// Invariants:
//
//  1. A connection has one goroutine, plus at most one watcher that notices a vanished client while a statement runs
//     and that is gone before the connection reads its next command.
//  2. A panic, a malformed packet or a stalled peer ends its own connection only.
//  3. Memory per connection is bounded: packets by MaxPacket (loginPacketMax before the login), output by
//     flushBytes plus one row, cursors by CursorBytes, parameters sent ahead by MaxPacket; rows are produced no faster than the client takes them.
//  4. Everything encoded is flushed before the connection waits for the client.
//     One that is alone with the server waits for its next command in a system call for a moment (linger.go).
//  5. The status flags and capabilities used are those that both sides named: client flags are masked with ours.
//
// Locks: Server.mu guards the registry; conn.mu guards a connection's state. Server.mu is never taken while conn.mu
// is held.
//
// Nothing here is durable: after a crash clients reconnect, and their sessions start anew.
package server
