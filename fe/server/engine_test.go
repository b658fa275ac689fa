package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeEngine answers statements by simple rules (see fakeSession.Query), so that tests need no SQL.
type fakeEngine struct {
	accounts map[string]Account

	mu      sync.Mutex
	srv     *Server
	opened  []ConnInfo
	params  []Param // of the last execution
	batches int     // taken by writers in "stream"
	ended   chan error
	open    int

	idle   time.Duration // limits of new sessions' clients
	packet int
}

func (e *fakeEngine) Account(user, _ string) (Account, bool) {
	a, ok := e.accounts[user]
	return a, ok
}

func (e *fakeEngine) Open(_ context.Context, info ConnInfo) (Session, error) {
	if info.DB == "missing" {
		return nil, sqltypes.Errorf(1049, "Unknown database 'missing'")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened = append(e.opened, info)
	e.open++
	return &fakeSession{e: e, db: info.DB}, nil
}

func (e *fakeEngine) Kill(_ context.Context, _ ConnInfo, id uint64, queryOnly bool) error {
	if !e.srv.Kill(id, queryOnly) {
		return sqltypes.Errorf(1094, "Unknown thread id: %d", id)
	}
	return nil
}

func (e *fakeEngine) sessions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open
}

func (e *fakeEngine) lastOpened() ConnInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opened[len(e.opened)-1]
}

type fakeSession struct {
	e  *fakeEngine
	db string
}

func (s *fakeSession) Limits() (time.Duration, int) { return s.e.idle, s.e.packet }

func (s *fakeSession) Status() uint16     { return StatusAutocommit }
func (s *fakeSession) Statistics() string { return "Uptime: 1  Threads: 1" }

func (s *fakeSession) Close() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.e.open--
}

func (s *fakeSession) UseDB(_ context.Context, db string) error {
	if db == "missing" {
		return sqltypes.Errorf(1049, "Unknown database 'missing'")
	}
	s.db = db
	return nil
}

func (s *fakeSession) Reset(context.Context) error { s.db = ""; return nil }

var bigint = types.ColumnType{Kind: types.KindBigInt}

func varchar(n int32) types.ColumnType { return types.ColumnType{Kind: types.KindVarChar, Length: n} }

// one sends a result of a single string.
func one(w ResultWriter, name, value string, more bool) error {
	if err := w.Columns([]Column{{Name: name, Type: varchar(100)}}); err != nil {
		return err
	}
	b := vec.NewBuilder([]types.ColumnType{varchar(100)}, 1)
	b.Cols[0].AppendString(value)
	if err := w.Batch(b.Finish()); err != nil {
		return err
	}
	return w.Done(Result{More: more})
}

func (s *fakeSession) Query(ctx context.Context, q string, w ResultWriter) error {
	parts := []string{q}
	if w.MultiStatements() {
		parts = strings.Split(q, ";")
	}
	for i, p := range parts {
		if err := s.statement(ctx, strings.TrimSpace(p), i < len(parts)-1, w); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeSession) statement(ctx context.Context, q string, more bool, w ResultWriter) error {
	word, rest, _ := strings.Cut(q, " ")
	switch strings.ToUpper(word) {
	case "TYPES":
		return sendAllTypes(w)
	case "STREAM":
		var rows int
		if _, err := fmt.Sscan(rest, &rows); err != nil {
			return err
		}
		return s.stream(rows, w)
	case "BLOCK":
		<-ctx.Done()
		s.e.ended <- context.Cause(ctx)
		return fmt.Errorf("scan tablet 7: %w", ctx.Err())
	case "FAIL":
		return sqltypes.Errorf(1062, "Duplicate entry '1' for key 'PRIMARY'")
	case "PLAIN":
		return errors.New("something broke")
	case "PANIC":
		panic("BUG: the fake panics")
	case "HALF":
		return w.Columns([]Column{{Name: "a", Type: bigint}})
	case "FILE":
		if err := w.(FileReceiver).ReceiveFile(rest, func([]byte) error { return nil }); err != nil {
			return err
		}
		return w.Done(Result{More: more})
	case "FLUSH":
		return w.Done(Result{More: more})
	case "USE":
		s.db = rest
		return w.Done(Result{Schema: rest, More: more})
	case "DB":
		return one(w, "db", s.db, more)
	case "ECHO":
		return one(w, "echo", rest, more)
	case "LENGTH":
		return one(w, "length", fmt.Sprint(len(q)), more)
	case "SELECT":
		if strings.Contains(rest, "@@") {
			return variables(rest, more, w)
		}
		return one(w, "v", "1", more)
	}
	return w.Done(Result{AffectedRows: 3, LastInsertID: 42, Warnings: 1, Info: "Rows matched: 3", More: more})
}

// variables answers the SELECT @@a, @@b… by which connectors begin.
func variables(list string, more bool, w ResultWriter) error {
	var cols []Column
	var ts []types.ColumnType
	var values []string
	for _, name := range strings.Split(list, ",") {
		cols, ts = append(cols, Column{Name: strings.TrimSpace(name), Type: varchar(100)}), append(ts, varchar(100))
		value := "1048576"
		if strings.Contains(name, "zone") {
			value = "UTC"
		}
		values = append(values, value)
	}
	if err := w.Columns(cols); err != nil {
		return err
	}
	b := vec.NewBuilder(ts, 1)
	for i, v := range values {
		b.Cols[i].AppendString(v)
	}
	if err := w.Batch(b.Finish()); err != nil {
		return err
	}
	return w.Done(Result{More: more})
}

func (s *fakeSession) stream(rows int, w ResultWriter) error {
	ts := []types.ColumnType{bigint, varchar(100)}
	if err := w.Columns([]Column{{Name: "id", Type: ts[0]}, {Name: "pad", Type: ts[1]}}); err != nil {
		return err
	}
	pad := strings.Repeat("x", 100)
	b := vec.NewBuilder(ts, vec.MaxRows)
	for i := range rows {
		b.Cols[0].AppendInt(int64(i))
		b.Cols[1].AppendString(pad)
		if b.Len() == vec.MaxRows || i == rows-1 {
			if err := w.Batch(b.Cut()); err != nil {
				s.e.ended <- err
				return err
			}
			s.e.mu.Lock()
			s.e.batches++
			s.e.mu.Unlock()
		}
	}
	return w.Done(Result{})
}

func (s *fakeSession) Prepare(_ context.Context, q string) (Prepared, error) {
	if strings.HasPrefix(q, "FAIL") {
		return nil, sqltypes.Errorf(1064, "You have an error in your SQL syntax")
	}
	return &fakePrepared{s: s, q: q}, nil
}

type fakePrepared struct {
	s *fakeSession
	q string
}

func (p *fakePrepared) Params() int { return strings.Count(p.q, "?") }
func (p *fakePrepared) Close()      {}

func (p *fakePrepared) Columns() []Column {
	if strings.HasPrefix(p.q, "SELECT * FROM") {
		return []Column{{Name: "id", Type: bigint}, {Name: "name", Type: varchar(10)}}
	}
	return nil
}

// Execute runs the statement, except for ARGS: its result is what the parameters look like.
func (p *fakePrepared) Execute(ctx context.Context, args []Param, w ResultWriter) error {
	p.s.e.mu.Lock()
	p.s.e.params = nil
	for _, a := range args {
		a.Bytes = append([]byte(nil), a.Bytes...)
		p.s.e.params = append(p.s.e.params, a)
	}
	p.s.e.mu.Unlock()
	if strings.HasPrefix(p.q, "ARGS") {
		return w.Done(Result{AffectedRows: uint64(len(args))})
	}
	return p.s.statement(ctx, p.q, false, w)
}

// sample is a value of a type with the text that MySQL prints for it.
type sample struct {
	t     types.ColumnType
	value vec.Value
	text  string
}

var samples = []sample{
	{types.ColumnType{Kind: types.KindTinyInt}, vec.Int(-128), "-128"},
	{types.ColumnType{Kind: types.KindTinyInt, Unsigned: true}, vec.Int(255), "255"},
	{types.ColumnType{Kind: types.KindSmallInt}, vec.Int(-32768), "-32768"},
	{types.ColumnType{Kind: types.KindMediumInt, Unsigned: true}, vec.Int(1<<24 - 1), "16777215"},
	{types.ColumnType{Kind: types.KindMediumInt}, vec.Int(-8388608), "-8388608"},
	{types.ColumnType{Kind: types.KindInt}, vec.Int(-2147483648), "-2147483648"},
	{types.ColumnType{Kind: types.KindInt, Unsigned: true}, vec.Int(4294967295), "4294967295"},
	{bigint, vec.Int(-9223372036854775808), "-9223372036854775808"},
	{types.ColumnType{Kind: types.KindBigInt, Unsigned: true}, vec.Int(-1), "18446744073709551615"},
	{types.ColumnType{Kind: types.KindBool}, vec.Int(1), "1"},
	{types.ColumnType{Kind: types.KindYear}, vec.Int(2024), "2024"},
	{types.ColumnType{Kind: types.KindFloat}, vec.Float(1.5), "1.5"},
	{types.ColumnType{Kind: types.KindDouble}, vec.Float(0.1), "0.1"},
	{types.ColumnType{Kind: types.KindDecimal, Length: 10, Scale: 2}, vec.Int(-12345), "-123.45"},
	{types.ColumnType{Kind: types.KindDecimal, Length: 38, Scale: 5}, vec.Dec(vec.Int128{Hi: 1}), "184467440737095.51616"},
	{types.ColumnType{Kind: types.KindChar, Length: 4}, vec.Str([]byte("aé")), "aé"},
	{varchar(300), vec.Str([]byte(strings.Repeat("z", 260))), strings.Repeat("z", 260)},
	{types.ColumnType{Kind: types.KindText}, vec.Str([]byte("text")), "text"},
	{types.ColumnType{Kind: types.KindBlob}, vec.Str([]byte{0, 1, 255}), "\x00\x01\xff"},
	{types.ColumnType{Kind: types.KindVarBinary, Length: 3}, vec.Str([]byte{0xfe, 0}), "\xfe\x00"},
	{types.ColumnType{Kind: types.KindJSON}, vec.Str([]byte(`{"a": 1}`)), `{"a": 1}`},
	{types.ColumnType{Kind: types.KindDate}, vec.Int(sqltypes.DaysOf(2024, 2, 29)), "2024-02-29"},
	{types.ColumnType{Kind: types.KindDateTime}, vec.Int(0), "1970-01-01 00:00:00"},
	{types.ColumnType{Kind: types.KindDateTime, Scale: 3}, vec.Int(-1000), "1969-12-31 23:59:59.999"},
	{types.ColumnType{Kind: types.KindTimestamp, Scale: 6}, vec.Int(1_700_000_000_123_456), "2023-11-14 22:13:20.123456"},
	{types.ColumnType{Kind: types.KindTime}, vec.Int(-(838*3600 + 59*60 + 59) * sqltypes.Second), "-838:59:59"},
	{types.ColumnType{Kind: types.KindTime, Scale: 6}, vec.Int(1_500_000), "00:00:01.500000"},
	{types.ColumnType{Kind: types.KindTime}, vec.Int(0), "00:00:00"},
}

// sendAllTypes sends the samples as a row, then a row of NULLs, with a selection vector between them.
func sendAllTypes(w ResultWriter) error {
	cols := make([]Column, len(samples))
	ts := make([]types.ColumnType, len(samples))
	for i, s := range samples {
		cols[i] = Column{Name: fmt.Sprintf("c%d", i), OrgName: "o", Table: "t", OrgTable: "ot", DB: "d", Type: s.t}
		ts[i] = s.t
	}
	if err := w.Columns(cols); err != nil {
		return err
	}
	b := vec.NewBuilder(ts, 3)
	for i, s := range samples {
		b.Cols[i].AppendValue(s.value)
		b.Cols[i].AppendValue(s.value)
		b.Cols[i].AppendNull()
	}
	batch := b.Finish()
	batch.Sel = []int32{0, 2}
	if err := w.Batch(batch); err != nil {
		return err
	}
	return w.Done(Result{})
}

// testKey is shared: generating a key takes a second.
var testCert = sync.OnceValue(func() (c struct {
	cfg Config
	err error
}) {
	dir, err := os.MkdirTemp("", "stele-server-test-*")
	if err != nil {
		c.err = err
		return c
	}
	defer os.RemoveAll(dir)
	c.cfg.TLS, c.cfg.Key, c.err = EnsureCertificate(dir, []string{"127.0.0.1", "localhost"}, time.Now())
	return c
})

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// startServer runs a server with a fake engine; change may adapt the configuration.
func startServer(t *testing.T, change func(*Config)) (*Server, *fakeEngine, string) {
	t.Helper()
	cert := testCert()
	if cert.err != nil {
		t.Fatal(cert.err)
	}
	cfg := cert.cfg
	cfg.Log = quiet()
	if change != nil {
		change(&cfg)
	}
	e := &fakeEngine{ended: make(chan error, 100), accounts: map[string]Account{"root": {Plugin: PluginNative}}}
	for _, u := range []struct{ name, plugin string }{{"native", PluginNative}, {"sha2", PluginSHA2}} {
		hash, err := HashPassword(u.plugin, "secret")
		if err != nil {
			t.Fatal(err)
		}
		e.accounts[u.name] = Account{Plugin: u.plugin, AuthString: hash}
	}
	e.accounts["locked"] = Account{Plugin: PluginNative, Locked: true}
	e.accounts["secure"] = Account{Plugin: PluginNative, RequireTLS: true}
	srv, err := New(cfg, e)
	if err != nil {
		t.Fatal(err)
	}
	e.srv = srv
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
		if n := e.sessions(); n != 0 {
			t.Errorf("%d sessions left open", n)
		}
	})
	return srv, e, l.Addr().String()
}

// dial opens a client pool; opts is the query part of a DSN.
func dial(t *testing.T, addr, user, opts string) *sql.DB {
	t.Helper()
	cfg, err := driver.ParseDSN(user + "@tcp(" + addr + ")/" + opts)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = noLog{}
	con, err := driver.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(con)
	t.Cleanup(func() { db.Close() })
	return db
}

type noLog struct{}

func (noLog) Print(...any) {}

func wantCode(t *testing.T, err error, code uint16, state string) {
	t.Helper()
	var me *driver.MySQLError
	if !errors.As(err, &me) {
		t.Fatalf("got %v, want a MySQL error %d", err, code)
	}
	if me.Number != code || string(me.SQLState[:]) != state {
		t.Fatalf("got error %d (%s) %q, want %d (%s)", me.Number, me.SQLState, me.Message, code, state)
	}
}
