package server

import (
	"bytes"
	"database/sql"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/meta/types"
	"stele/sql/vec"
)

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

// TestShapes holds column definitions against what MySQL and MariaDB were seen to send.
func TestShapes(t *testing.T) {
	want := map[types.ColumnType]shape{
		{Kind: types.KindTinyInt}:                            {1, 63, 4, 0, 0},
		{Kind: types.KindInt, Unsigned: true, NotNull: true}: {3, 63, 10, 33, 0},
		{Kind: types.KindBool}:                               {1, 63, 1, 0, 0},
		{Kind: types.KindYear}:                               {13, 63, 4, 96, 0},
		{Kind: types.KindFloat}:                              {4, 63, 12, 0, 31},
		{Kind: types.KindDecimal, Length: 10, Scale: 2}:      {246, 63, 12, 0, 2},
		{Kind: types.KindDecimal, Length: 10}:                {246, 63, 11, 0, 0},
		{Kind: types.KindChar, Length: 4}:                    {254, 46, 16, 0, 0},
		{Kind: types.KindVarChar, Length: 300}:               {253, 46, 1200, 0, 0},
		{Kind: types.KindText}:                               {252, 46, 262140, 16, 0},
		{Kind: types.KindText, Length: math.MaxInt32}:        {252, 46, math.MaxUint32, 16, 0},
		{Kind: types.KindBlob}:                               {252, 63, 65535, 144, 0},
		{Kind: types.KindVarBinary, Length: 3}:               {253, 63, 3, 128, 0},
		{Kind: types.KindDate}:                               {10, 63, 10, 128, 0},
		{Kind: types.KindDateTime, Scale: 3}:                 {12, 63, 23, 128, 3},
		{Kind: types.KindTimestamp, Scale: 6}:                {7, 63, 26, 128, 6},
		{Kind: types.KindTime, Scale: 6}:                     {11, 63, 17, 128, 6},
		{Kind: types.KindJSON}:                               {245, 63, math.MaxUint32, 144, 0},
		{Kind: types.KindNull}:                               {6, 63, 0, 0, 0},
	}
	for ct, w := range want {
		if got := shapeOf(ct); got != w {
			t.Errorf("%+v: got %+v, want %+v", ct, got, w)
		}
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

func TestZoneOfTimestamps(t *testing.T) {
	ts := types.ColumnType{Kind: types.KindTimestamp}
	b := vec.NewBuilder([]types.ColumnType{ts}, 1)
	b.Cols[0].AppendInt(0)
	cols := b.Finish().Cols
	enc := appendEncoders(nil, []Column{{Type: ts, Zone: time.FixedZone("x", 3600)}}, true)
	got := appendBinaryRow(nil, enc, cols, 0)
	if want := []byte{0, 0, 7, 0xb2, 7, 1, 1, 1, 0, 0}; !bytes.Equal(got, want) {
		t.Errorf("binary: got %v, want %v", got, want)
	}
	if got := appendTextRow(nil, enc, cols, 0); string(got[1:]) != "1970-01-01 01:00:00" {
		t.Errorf("text: got %q", got)
	}
}

// TestZerofillIsFilledUp: numbers that are longer, and NULL, are as they are.
func TestZerofillIsFilledUp(t *testing.T) {
	typ := types.ColumnType{Kind: types.KindInt, Unsigned: true}
	enc := appendEncoders(nil, []Column{{Type: typ, Flags: FlagZerofill, Bits: 6}, {Type: typ, Bits: 6}}, false)
	v := vec.New(typ, 2)
	v.I64 = []int64{42, 1234567}
	var got []string
	for i := range 2 {
		for k := range enc {
			got = append(got, string(appendText(nil, &enc[k], v, i)[1:]))
		}
	}
	if want := []string{"000042", "42", "1234567", "1234567"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
