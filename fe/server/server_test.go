package server

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"stele/meta/types"
	"stele/sql/vec"
)

func mkTemp() (string, error) { return os.MkdirTemp("", "stele-server-test-*") }

func TestLogin(t *testing.T) {
	srv, e, addr := startServer(t, nil)
	good := []struct{ user, opts string }{
		{"root", ""},
		{"native:secret", ""},
		{"native:secret", "?tls=skip-verify"},
		{"sha2:secret", ""}, // RSA
		{"sha2:secret", ""}, // fast path
		{"sha2:secret", "?tls=skip-verify"},
		{"root", "db1?compress=true"},
		{"secure", "?tls=skip-verify"},
	}
	for _, g := range good {
		db := dial(t, addr, g.user, g.opts)
		if err := db.Ping(); err != nil {
			t.Errorf("login %s %s: %v", g.user, g.opts, err)
		}
		db.Close()
	}
	bad := []struct {
		user, opts, state string
		code              uint16
	}{
		{"nobody:x", "", "28000", 1045},
		{"nobody", "", "28000", 1045},
		{"root:x", "", "28000", 1045},
		{"native:wrong", "", "28000", 1045},
		{"native", "", "28000", 1045},
		{"sha2:wrong", "", "28000", 1045},
		{"sha2:wrong", "?tls=skip-verify", "28000", 1045},
		{"sha2", "", "28000", 1045},
		{"locked", "", "HY000", 3118},
		{"secure", "", "HY000", 3159},
		{"root", "missing", "42000", 1049},
	}
	for _, b := range bad {
		err := dial(t, addr, b.user, b.opts).Ping()
		t.Run(b.user+b.opts, func(t *testing.T) { wantCode(t, err, b.code, b.state) })
	}
	err := dial(t, addr, "native:wrong", "").Ping()
	if want := "Access denied for user 'native'@'127.0.0.1' (using password: YES)"; !strings.Contains(err.Error(), want) {
		t.Errorf("text of a refusal: %v", err)
	}
	if info := e.opened[0]; info.Attrs["_client_name"] == "" || info.User != "root" || info.Host != "127.0.0.1" {
		t.Errorf("session opened with %+v", info)
	}
	if info := e.opened[4]; info.Attrs["_client_name"] == "" {
		t.Error("attributes lost by the plugin switch")
	}
	st := srv.Stats()
	if st.TLSLogins != 3 || st.LoginFailures < uint64(len(bad)) || st.Panics != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestSHA2FastPathSkipsTheKey(t *testing.T) {
	srv, _, addr := startServer(t, nil)
	if err := dial(t, addr, "sha2:secret", "?tls=skip-verify").Ping(); err != nil {
		t.Fatal(err)
	}
	srv.auth.key = nil // from now on only the fast path works without TLS
	if err := dial(t, addr, "sha2:secret", "").Ping(); err != nil {
		t.Fatalf("fast path: %v", err)
	}
}

// modes are the ways to talk to the server that change how results travel.
var modes = []string{"", "?compress=true", "?tls=skip-verify", "?tls=skip-verify&compress=true"}

func TestTextAndBinaryRows(t *testing.T) {
	_, _, addr := startServer(t, nil)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			db := dial(t, addr, "root", mode)
			rows, err := db.Query("TYPES")
			if err != nil {
				t.Fatal(err)
			}
			checkSamples(t, rows, false)
			st, err := db.Prepare("TYPES")
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			for range 2 {
				if rows, err = st.Query(); err != nil {
					t.Fatal(err)
				}
				checkSamples(t, rows, true)
			}
		})
	}
}

func checkSamples(t *testing.T, rows *sql.Rows, binaryRows bool) {
	t.Helper()
	defer rows.Close()
	got := make([]sql.NullString, len(samples))
	dest := make([]any, len(samples))
	for i := range dest {
		dest[i] = &got[i]
	}
	if !rows.Next() {
		t.Fatalf("no row: %v", rows.Err())
	}
	if err := rows.Scan(dest...); err != nil {
		t.Fatal(err)
	}
	for i, s := range samples {
		if got[i].String != s.text {
			t.Errorf("column %d (%+v, binary %v): got %q, want %q", i, s.t, binaryRows, got[i].String, s.text)
		}
	}
	if !rows.Next() {
		t.Fatalf("no second row: %v", rows.Err())
	}
	if err := rows.Scan(dest...); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Valid {
			t.Errorf("column %d: got %q, want NULL", i, got[i].String)
		}
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("more rows, or an error: %v", rows.Err())
	}
}

func TestColumnTypes(t *testing.T) {
	_, _, addr := startServer(t, nil)
	rows, err := dial(t, addr, "root", "").Query("TYPES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cts, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"TINYINT", "UNSIGNED TINYINT", "SMALLINT", "UNSIGNED MEDIUMINT", "MEDIUMINT", "INT", "UNSIGNED INT",
		"BIGINT", "UNSIGNED BIGINT", "TINYINT", "YEAR", "FLOAT", "DOUBLE", "DECIMAL", "DECIMAL", "CHAR", "VARCHAR", "TEXT",
		"BLOB", "VARBINARY", "JSON", "DATE", "DATETIME", "DATETIME", "TIMESTAMP", "TIME", "TIME", "TIME"}
	for i, ct := range cts {
		if ct.DatabaseTypeName() != want[i] {
			t.Errorf("column %d: %s, want %s", i, ct.DatabaseTypeName(), want[i])
		}
	}
	if p, s, ok := cts[13].DecimalSize(); !ok || p != 10 || s != 2 {
		t.Errorf("decimal(10,2) is announced as (%d,%d)", p, s)
	}
}

func TestOKPacket(t *testing.T) {
	_, e, addr := startServer(t, nil)
	db := dial(t, addr, "root", "?clientFoundRows=true")
	res, err := db.Exec("UPDATE")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := res.RowsAffected()
	id, _ := res.LastInsertId()
	if n != 3 || id != 42 {
		t.Errorf("affected %d, id %d", n, id)
	}
	if !e.lastOpened().FoundRows {
		t.Error("found-rows flag lost")
	}
}

func TestErrors(t *testing.T) {
	_, _, addr := startServer(t, nil)
	db := dial(t, addr, "root", "")
	db.SetMaxOpenConns(1)
	for _, c := range []struct {
		q, state string
		code     uint16
	}{
		{"FAIL", "23000", 1062}, {"PLAIN", "HY000", 1105}, {"HALF", "HY000", 1105},
	} {
		rows, err := db.Query(c.q)
		if err == nil { // the error may follow the column definitions
			for rows.Next() {
			}
			err = rows.Err()
			rows.Close()
		}
		wantCode(t, err, c.code, c.state)
	}
	_, err := db.Prepare("FAIL ?")
	wantCode(t, err, 1064, "42000")
	st, err := db.Prepare("FAIL")
	if err == nil {
		_, err = st.Exec()
	}
	wantCode(t, err, 1064, "42000")
	if err := db.Ping(); err != nil {
		t.Errorf("connection unusable after errors: %v", err)
	}
}

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	srv, _, addr := startServer(t, nil)
	db := dial(t, addr, "root", "")
	_, err := db.Exec("PANIC")
	wantCode(t, err, 1105, "HY000")
	if err := dial(t, addr, "root", "").Ping(); err != nil {
		t.Fatal(err)
	}
	if srv.Stats().Panics != 1 {
		t.Errorf("stats %+v", srv.Stats())
	}
}

func TestLargeStream(t *testing.T) {
	srv, _, addr := startServer(t, nil)
	for _, mode := range modes {
		for _, prepared := range []bool{false, true} {
			db := dial(t, addr, "root", mode)
			if n := countRows(t, db, "STREAM 200000", prepared); n != 200_000 {
				t.Errorf("mode %q prepared %v: %d rows", mode, prepared, n)
			}
			db.Close()
		}
	}
	if got := srv.Stats().RowsSent; got != 8*200_000 {
		t.Errorf("%d rows counted", got)
	}
}

func countRows(t *testing.T, db *sql.DB, q string, prepared bool) int {
	t.Helper()
	query := db.Query
	if prepared {
		st, err := db.Prepare(q)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		query = func(_ string, args ...any) (*sql.Rows, error) { return st.Query(args...) }
	}
	rows, err := query(q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	var id int64
	var pad sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&id, &pad); err != nil || id != int64(n) || len(pad) != 100 {
			t.Fatalf("row %d: id %d, %d bytes, %v", n, id, len(pad), err)
		}
		n++
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return n
}

func TestParams(t *testing.T) {
	_, e, addr := startServer(t, nil)
	db := dial(t, addr, "root", "")
	big := bytes.Repeat([]byte("0123456789"), 400_000) // sent as long data
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	noon := time.Date(2024, 2, 29, 12, 30, 15, 123456000, time.UTC)
	st, err := db.Prepare("ARGS ? ? ? ? ? ? ? ? ?")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for range 2 {
		if _, err := st.Exec(int64(-5), uint64(1<<63), 2.5, "text", []byte{0, 1}, nil, big, day, noon); err != nil {
			t.Fatal(err)
		}
		p := e.params
		if p[0].Int != -5 || p[0].Type.Kind != types.KindBigInt || p[0].Type.Unsigned {
			t.Errorf("int: %+v", p[0])
		}
		if uint64(p[1].Int) != 1<<63 || !p[1].Type.Unsigned {
			t.Errorf("uint: %+v", p[1])
		}
		if p[2].Float != 2.5 || p[2].Type.Kind != types.KindDouble {
			t.Errorf("double: %+v", p[2])
		}
		if string(p[3].Bytes) != "text" || !bytes.Equal(p[4].Bytes, []byte{0, 1}) || !p[5].Null {
			t.Errorf("strings and NULL: %+v %+v %+v", p[3], p[4], p[5])
		}
		if !bytes.Equal(p[6].Bytes, big) {
			t.Errorf("long data: %d bytes", len(p[6].Bytes))
		}
		if string(p[8].Bytes) != "2024-02-29 12:30:15.123456" { // this driver sends times as text
			t.Errorf("time: %q", p[8].Bytes)
		}
	}
}

func TestMultiStatements(t *testing.T) {
	_, _, addr := startServer(t, nil)
	for _, mode := range modes {
		sep := "?"
		if mode != "" {
			sep = "&"
		}
		db := dial(t, addr, "root", mode+sep+"multiStatements=true")
		rows, err := db.Query("ECHO a; ECHO b; ECHO c")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			for rows.Next() {
				var s string
				if err := rows.Scan(&s); err != nil {
					t.Fatal(err)
				}
				got = append(got, s)
			}
			if !rows.NextResultSet() {
				break
			}
		}
		if err := rows.Err(); err != nil || strings.Join(got, "") != "abc" {
			t.Errorf("mode %q: got %v, %v", mode, got, err)
		}
		rows.Close()
		_, err = db.Exec("UPDATE; FAIL")
		wantCode(t, err, 1062, "23000")
	}
	var s string
	if err := dial(t, addr, "root", "").QueryRow("ECHO a; ECHO b").Scan(&s); err != nil || s != "a; ECHO b" {
		t.Errorf("multi-statements off: %q, %v", s, err)
	}
}

func TestKillQueryAndConnection(t *testing.T) {
	srv, e, addr := startServer(t, func(c *Config) { c.NodeID = 5 })
	db := dial(t, addr, "root", "")
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id := e.lastOpened().ID
	if ConnNode(id) != 5 {
		t.Errorf("connection id %d names FE %d", id, ConnNode(id))
	}
	for _, queryOnly := range []bool{true, false} {
		result := make(chan error, 1)
		go func() {
			_, err := conn.ExecContext(context.Background(), "BLOCK")
			result <- err
		}()
		waitFor(t, func() bool {
			for _, c := range srv.Connections() {
				if c.Info.ID == id && c.Command == "Query" && c.SQL == "BLOCK" {
					return true
				}
			}
			return false
		})
		if !srv.Kill(id, queryOnly) {
			t.Fatal("connection unknown")
		}
		wantCode(t, <-result, 1317, "70100")
		<-e.ended
		if alive := conn.PingContext(context.Background()) == nil; alive != queryOnly {
			t.Errorf("queryOnly %v: alive %v", queryOnly, alive)
		}
	}
	waitFor(t, func() bool { return !srv.Kill(id, true) })
}

// waitFor polls until cond holds; it is for states that no event announces.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("condition never came true")
		}
		<-time.After(time.Millisecond)
	}
}

func TestVanishedClientCancelsItsStatement(t *testing.T) {
	for _, opts := range []string{"", "?tls=skip-verify", "?compress=true"} {
		srv, e, addr := startServer(t, nil)
		db := dial(t, addr, "root", opts)
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(ctx, "BLOCK")
			result <- err
		}()
		waitFor(t, func() bool { return srv.Stats().Running == 1 })
		cancel() // the driver closes the socket
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("client got %v", err)
		}
		if cause := <-e.ended; !errors.Is(cause, errClientGone) {
			t.Errorf("statement ended by %v", cause)
		}
	}
}

func TestSlowClientHoldsBackTheRows(t *testing.T) {
	srv, e, addr := startServer(t, func(c *Config) { c.WriteTimeout = 500 * time.Millisecond })
	nc := rawLogin(t, addr)
	defer nc.Close()
	const rows = 5_000_000 // 500 MB
	sendRaw(t, nc, 0, append([]byte{3}, fmt.Sprintf("STREAM %d", rows)...))
	err := <-e.ended // nothing is read: the write times out
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("stream ended with %v", err)
	}
	e.mu.Lock()
	took := e.batches
	e.mu.Unlock()
	if took > rows/2048/4 {
		t.Errorf("writer took %d batches that nobody read", took)
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
}

func TestPacketBeyondLimit(t *testing.T) {
	srv, _, addr := startServer(t, func(c *Config) { c.MaxPacket = 1 << 20 })
	for _, mode := range modes {
		db := dial(t, addr, "root", mode)
		var n string
		if err := db.QueryRow("LENGTH " + strings.Repeat("x", 1<<20-100)).Scan(&n); err != nil {
			t.Errorf("mode %q, below the limit: %v", mode, err)
		}
		_, err := db.Exec("LENGTH " + strings.Repeat("x", 1<<20))
		wantCode(t, err, 1153, "08S01")
		if err := db.Ping(); err != nil { // by a new connection
			t.Error(err)
		}
	}
	if srv.Stats().PacketsTooLong != uint64(len(modes)) {
		t.Errorf("stats %+v", srv.Stats())
	}
}

func TestPacketsOfSixteenMegabytes(t *testing.T) {
	_, _, addr := startServer(t, nil)
	for _, mode := range []string{"", "?compress=true"} {
		db := dial(t, addr, "root", mode)
		for _, n := range []int{payloadMax - 7, payloadMax - 6, payloadMax - 5, payloadMax + 100} {
			arg := strings.Repeat("x", n)
			var got string
			if err := db.QueryRow("ECHO " + arg).Scan(&got); err != nil || len(got) != n {
				t.Errorf("mode %q, %d bytes: got %d, %v", mode, n, len(got), err)
			}
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	srv, _, addr := startServer(t, func(c *Config) { c.MaxConnections = 1 })
	if err := dial(t, addr, "root", "").Ping(); err != nil {
		t.Fatal(err)
	}
	err := dial(t, addr, "root", "").Ping()
	if err == nil || !strings.Contains(err.Error(), "1040") {
		t.Errorf("got %v, want 1040", err)
	}
	srv.SetMaxConnections(2)
	if err := dial(t, addr, "root", "").Ping(); err != nil {
		t.Error(err)
	}
}

func TestStalledLoginIsCutOff(t *testing.T) {
	srv, _, addr := startServer(t, func(c *Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	waitFor(t, func() bool { return srv.Stats().LoginFailures == 1 && srv.Stats().Connections == 0 })
}

func TestCloseLetsStatementsFinish(t *testing.T) {
	srv, e, addr := startServer(t, nil)
	db := dial(t, addr, "root", "")
	result := make(chan error, 1)
	go func() {
		_, err := db.Exec("BLOCK")
		result <- err
	}()
	waitFor(t, func() bool { return srv.Stats().Running == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Error(err)
	}
	wantCode(t, <-result, 1053, "08S01")
	<-e.ended
}

func TestZoneOfTimestamps(t *testing.T) {
	ts := types.ColumnType{Kind: types.KindTimestamp}
	b := vec.NewBuilder([]types.ColumnType{ts}, 1)
	b.Cols[0].AppendInt(0)
	cols := b.Finish().Cols
	enc := encoders([]Column{{Type: ts, Zone: time.FixedZone("x", 3600)}}, true)
	got := appendBinaryRow(nil, enc, cols, 0)
	if want := []byte{0, 0, 7, 0xb2, 7, 1, 1, 1, 0, 0}; !bytes.Equal(got, want) {
		t.Errorf("binary: got %v, want %v", got, want)
	}
	if got := appendTextRow(nil, enc, cols, 0); string(got[1:]) != "1970-01-01 01:00:00" {
		t.Errorf("text: got %q", got)
	}
}
