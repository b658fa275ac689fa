package server

import (
	"sync/atomic"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Stats are counters since the start, and gauges.
type Stats struct {
	Connections    int64  // gauge: open connections, those logging in included
	Running        int64  // gauge: connections that run a statement
	Prepared       int64  // gauge: open prepared statements
	Accepted       uint64 // connections taken
	Refused        uint64 // connections turned away because there were too many
	LoginFailures  uint64 // wrong password, bad handshake, timeouts
	TLSLogins      uint64
	Aborted        uint64 // connections that ended by an error or without COM_QUIT
	Queries        uint64 // COM_QUERY
	Executes       uint64 // COM_STMT_EXECUTE
	OtherCommands  uint64
	Errors         uint64 // error packets sent in answer to commands
	Killed         uint64 // statements and connections killed
	Panics         uint64 // contained panics: each is a bug
	RowsSent       uint64
	BytesReceived  uint64 // on the wire, after the login
	BytesSent      uint64
	PacketsTooLong uint64
}

// counters are Stats while they are counted.
type counters struct {
	connections, running, prepared                    atomic.Int64
	accepted, refused, loginFailures, tls, aborted    atomic.Uint64
	queries, executes, others, errors, killed, panics atomic.Uint64
	rows, bytesReceived, bytesSent, packetsTooLong    atomic.Uint64
}

func (c *counters) command(cmd byte) {
	switch cmd {
	case mysql.COM_QUERY:
		c.queries.Add(1)
	case mysql.COM_STMT_EXECUTE:
		c.executes.Add(1)
	default:
		c.others.Add(1)
	}
}

// Stats returns the counters as of now.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Connections: c.connections.Load(), Running: c.running.Load(), Prepared: c.prepared.Load(),
		Accepted: c.accepted.Load(), Refused: c.refused.Load(), LoginFailures: c.loginFailures.Load(),
		TLSLogins: c.tls.Load(), Aborted: c.aborted.Load(), Queries: c.queries.Load(), Executes: c.executes.Load(),
		OtherCommands: c.others.Load(), Errors: c.errors.Load(), Killed: c.killed.Load(), Panics: c.panics.Load(),
		RowsSent: c.rows.Load(), BytesReceived: c.bytesReceived.Load(), BytesSent: c.bytesSent.Load(),
		PacketsTooLong: c.packetsTooLong.Load(),
	}
}
