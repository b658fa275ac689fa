package session

import (
	"strconv"
	"time"

	"stele/fe/stmt"
)

// status is what SHOW STATUS prints: what MySQL's clients and monitors look for and this FE counts, under MySQL's names.
func (s *Session) status() []stmt.Variable {
	sh, questions := s.sh, s.sh.queries.Load()
	out := []stmt.Variable{
		{Name: "Questions", Value: itoa(questions)},
		{Name: "Queries", Value: itoa(questions)}, // no procedure has statements of its own
		{Name: "Threads_connected", Value: itoa(int64(len(sh.Processes())))},
		{Name: "Uptime", Value: itoa(int64(time.Since(sh.Started).Seconds()))},
		{Name: "Ssl_cipher", Value: s.info.Cipher},
		{Name: "Ssl_version", Value: s.info.TLSVersion},
	}
	if sh.Traffic == nil {
		return out
	}
	t := sh.Traffic()
	for _, v := range []struct {
		name  string
		value uint64
	}{
		{"Aborted_clients", t.Aborted},
		{"Aborted_connects", t.LoginFailures},
		{"Bytes_received", t.BytesReceived},
		{"Bytes_sent", t.BytesSent},
		{"Com_stmt_execute", t.Executes},
		{"Connection_errors_max_connections", t.Refused},
		{"Connections", t.Accepted},
		{"Prepared_stmt_count", uint64(max(t.Prepared, 0))},
		{"Rows_sent", t.RowsSent}, // MariaDB's name
		{"Ssl_finished_accepts", t.TLSLogins},
		{"Threads_running", uint64(max(t.Running, 0))},
	} {
		out = append(out, stmt.Variable{Name: v.name, Value: utoa(v.value)})
	}
	return out
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
