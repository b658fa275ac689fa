package server

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/meta/types"
	"stele/sql/errno"
)

// rawCaps are what the hand-made client asks for.
const rawCaps = mysql.CLIENT_PROTOCOL_41 | mysql.CLIENT_SECURE_CONNECTION | mysql.CLIENT_PLUGIN_AUTH |
	mysql.CLIENT_CONNECT_WITH_DB | mysql.CLIENT_CONNECT_ATTRS | mysql.CLIENT_SESSION_TRACK

// helloPacket is a login packet of root without a password.
func helloPacket(caps uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, caps)
	b = binary.LittleEndian.AppendUint32(b, 1<<24)
	b = append(b, 45)
	b = append(b, make([]byte, 23)...)
	b = append(b, "root\x00"...)
	b = append(b, 0)
	b = append(b, "db1\x00mysql_native_password\x00"...)
	attrs := appendLenBytes(appendLenBytes(nil, "k"), "v")
	return appendLenBytes(b, attrs)
}

func sendRaw(t *testing.T, nc net.Conn, seq uint8, payload []byte) {
	t.Helper()
	b := append(make([]byte, 4), payload...)
	putHeader(b, len(payload), seq)
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

func readRaw(t *testing.T, nc net.Conn) []byte {
	t.Helper()
	var h [4]byte
	if _, err := io.ReadFull(nc, h[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
	if _, err := io.ReadFull(nc, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func rawLoginAs(t *testing.T, addr string, caps uint32) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	readRaw(t, nc)
	sendRaw(t, nc, 1, helloPacket(caps))
	if ok := readRaw(t, nc); ok[0] != mysql.OK_HEADER {
		t.Fatalf("login: %q", ok)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

func rawLogin(t *testing.T, addr string) net.Conn { return rawLoginAs(t, addr, rawCaps) }

// command sends a command and returns its first answer packet.
func command(t *testing.T, nc net.Conn, cmd byte, arg ...byte) []byte {
	t.Helper()
	sendRaw(t, nc, 0, append([]byte{cmd}, arg...))
	return readRaw(t, nc)
}

func wantErrorPacket(t *testing.T, b []byte, code uint16) {
	t.Helper()
	if len(b) < 9 || b[0] != mysql.ERR_HEADER || binary.LittleEndian.Uint16(b[1:]) != code {
		t.Fatalf("got packet %q, want error %d", b, code)
	}
}

func wantOK(t *testing.T, b []byte) {
	t.Helper()
	if len(b) < 7 || b[0] != mysql.OK_HEADER {
		t.Fatalf("got packet %q, want OK", b)
	}
}

// TestFilePackets: a file ends with an empty packet; one whose packets are not in order is refused by MySQL's number for that.
func TestFilePackets(t *testing.T) {
	_, _, addr := startServer(t, nil)
	nc := rawLoginAs(t, addr, rawCaps|mysql.CLIENT_LOCAL_FILES)
	for range 2 {
		if b := command(t, nc, mysql.COM_QUERY, []byte("FILE f")...); string(b) != "\xfbf" {
			t.Fatalf("got %q", b)
		}
		sendRaw(t, nc, 2, []byte("row"))
		sendRaw(t, nc, 3, nil)
		wantOK(t, readRaw(t, nc))
	}
	command(t, nc, mysql.COM_QUERY, []byte("FILE f")...)
	sendRaw(t, nc, 7, []byte("row"))
	wantErrorPacket(t, readRaw(t, nc), uint16(errno.PacketsOutOfOrder))
}

func TestRareCommands(t *testing.T) {
	srv, e, addr := startServer(t, nil)
	nc := rawLogin(t, addr)
	if info := e.lastOpened(); info.DB != "db1" || info.Attrs["k"] != "v" || info.Collation != 45 {
		t.Errorf("opened with %+v", info)
	}
	wantOK(t, command(t, nc, mysql.COM_PING))
	if got := command(t, nc, mysql.COM_STATISTICS); string(got) != "Uptime: 1  Threads: 1" {
		t.Errorf("statistics: %q", got)
	}
	ok := command(t, nc, mysql.COM_INIT_DB, []byte("db2")...)
	wantOK(t, ok)
	if !bytes.HasSuffix(ok, append([]byte{sessionTrackSchema, 4, 3}, "db2"...)) {
		t.Errorf("schema change not told: %q", ok)
	}
	ok = command(t, nc, mysql.COM_QUERY, []byte("USE db3\x00")...) // as mysqlslap ends it
	if !bytes.HasSuffix(ok, []byte("db3")) || srv.Connections()[0].Info.DB != "db3" {
		t.Errorf("schema change not told: %q", ok)
	}
	wantErrorPacket(t, command(t, nc, mysql.COM_INIT_DB, []byte("missing")...), 1049)
	wantErrorPacket(t, command(t, nc, mysql.COM_SHUTDOWN), 1047)
	wantOK(t, command(t, nc, mysql.COM_REFRESH, 2))                   // mysqldump --flush-logs
	wantErrorPacket(t, command(t, nc, mysql.COM_REFRESH, 1<<7), 1047) // --delete-master-logs
	wantErrorPacket(t, command(t, nc, 200), 1047)
	wantErrorPacket(t, command(t, nc, mysql.COM_PROCESS_KILL, 9, 9, 9, 9), 1094)
	wantErrorPacket(t, command(t, nc, mysql.COM_STMT_EXECUTE, 1), 1835)
	wantErrorPacket(t, command(t, nc, mysql.COM_STMT_RESET, 1, 0, 0, 0), 1243)
	wantErrorPacket(t, command(t, nc, mysql.COM_SET_OPTION, 7, 0), 1047)
	if eof := command(t, nc, mysql.COM_SET_OPTION, 0, 0); eof[0] != mysql.EOF_HEADER || len(eof) != 5 {
		t.Errorf("set option: %q", eof)
	}
	wantOK(t, command(t, nc, mysql.COM_RESET_CONNECTION))
	sendRaw(t, nc, 0, nil) // an empty packet
	wantErrorPacket(t, readRaw(t, nc), 1835)
	sendRaw(t, nc, 3, []byte{mysql.COM_PING})
	wantErrorPacket(t, readRaw(t, nc), 1156)
}

func TestFieldList(t *testing.T) {
	_, _, addr := startServer(t, nil)
	nc := rawLogin(t, addr)
	col := command(t, nc, mysql.COM_FIELD_LIST, []byte("t\x00na%")...)
	if !bytes.Contains(col, []byte("\x04name")) || col[len(col)-1] != 0xfb {
		t.Errorf("definition: %q", col)
	}
	if eof := readRaw(t, nc); eof[0] != mysql.EOF_HEADER {
		t.Errorf("end: %q", eof)
	}
	for _, c := range []struct {
		s, pattern string
		want       bool
	}{{"name", "", false}, {"name", "%", true}, {"name", "n_me", true}, {"name", "n_", false}, {"name", "%e", true}, {"", "_", false}} {
		if like(c.s, c.pattern) != c.want {
			t.Errorf("like(%q, %q)", c.s, c.pattern)
		}
	}
}

// prepareRaw prepares a statement without parameters and columns.
func prepareRaw(t *testing.T, nc net.Conn, q string) uint32 {
	t.Helper()
	ok := command(t, nc, mysql.COM_STMT_PREPARE, []byte(q)...)
	wantOK(t, ok)
	return binary.LittleEndian.Uint32(ok[1:])
}

func executeArg(id uint32, flags byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, id), flags, 1, 0, 0, 0)
}

func fetchArg(id, n uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, id), n)
}

// readHead reads column count, definitions and EOF, and returns the status in it.
func readHead(t *testing.T, nc net.Conn, first []byte) uint16 {
	t.Helper()
	for range first[0] {
		readRaw(t, nc)
	}
	eof := readRaw(t, nc)
	if eof[0] != mysql.EOF_HEADER || len(eof) != 5 {
		t.Fatalf("no EOF behind the columns: %q", eof)
	}
	return binary.LittleEndian.Uint16(eof[3:])
}

// readRows counts rows up to the EOF and returns its status.
func readRows(t *testing.T, nc net.Conn, first []byte) (n int, status uint16) {
	t.Helper()
	for b := first; ; b = readRaw(t, nc) {
		if b[0] == mysql.EOF_HEADER {
			return n, binary.LittleEndian.Uint16(b[3:])
		}
		n++
	}
}

func TestCursor(t *testing.T) {
	_, _, addr := startServer(t, nil)
	nc := rawLogin(t, addr)
	id := prepareRaw(t, nc, "STREAM 10")
	st := readHead(t, nc, command(t, nc, mysql.COM_STMT_EXECUTE, executeArg(id, mysql.CURSOR_TYPE_READ_ONLY)...))
	if st&mysql.SERVER_STATUS_CURSOR_EXISTS == 0 {
		t.Fatalf("no cursor: status %#x", st)
	}
	wantOK(t, command(t, nc, mysql.COM_PING)) // other commands may run between fetches
	for _, want := range []struct {
		n    int
		last bool
	}{{4, false}, {4, false}, {2, true}} {
		n, st := readRows(t, nc, command(t, nc, mysql.COM_STMT_FETCH, fetchArg(id, 4)...))
		if n != want.n || (st&mysql.SERVER_STATUS_LAST_ROW_SEND != 0) != want.last {
			t.Errorf("fetch: %d rows, status %#x, want %+v", n, st, want)
		}
	}
	wantErrorPacket(t, command(t, nc, mysql.COM_STMT_FETCH, fetchArg(id, 4)...), 1421)
}

func TestCursorThatDoesNotFitIsStreamed(t *testing.T) {
	_, _, addr := startServer(t, func(c *Config) { c.CursorBytes = 10_000 })
	nc := rawLogin(t, addr)
	id := prepareRaw(t, nc, "STREAM 5000")
	st := readHead(t, nc, command(t, nc, mysql.COM_STMT_EXECUTE, executeArg(id, mysql.CURSOR_TYPE_READ_ONLY)...))
	if st&mysql.SERVER_STATUS_CURSOR_EXISTS != 0 {
		t.Fatal("cursor announced")
	}
	if n, _ := readRows(t, nc, readRaw(t, nc)); n != 5000 {
		t.Errorf("%d rows", n)
	}
}

func TestChangeUser(t *testing.T) {
	_, e, addr := startServer(t, nil)
	change := func(nc net.Conn, user, plugin, password string) []byte {
		arg := append([]byte(user), 0, 0)
		arg = append(append(arg, "db9\x00\x2d\x00"...), plugin+"\x00"...)
		sw := command(t, nc, mysql.COM_CHANGE_USER, appendLenBytes(arg, []byte{})...)
		if sw[0] != mysql.EOF_HEADER {
			t.Fatalf("no switch: %q", sw)
		}
		name, salt, _ := bytes.Cut(sw[1:], []byte{0})
		salt = salt[:saltLen]
		switch string(name) {
		case PluginNative:
			sendRaw(t, nc, 2, mysql.CalcNativePassword(salt, []byte(password)))
		case PluginSHA2:
			sendRaw(t, nc, 2, mysql.CalcCachingSha2Password(salt, []byte(password)))
		}
		return readRaw(t, nc)
	}
	nc := rawLogin(t, addr)
	wantOK(t, change(nc, "native", PluginNative, "secret"))
	if info := e.lastOpened(); info.User != "native" || info.DB != "db9" {
		t.Errorf("opened %+v", info)
	}
	wantOK(t, change(nc, "root", PluginNative, ""))
	if n := e.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	wantErrorPacket(t, change(nc, "native", PluginNative, "wrong"), 1045)
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("connection survived a failed change of user")
	}
	nc = rawLogin(t, addr)
	if full := change(nc, "sha2", PluginSHA2, "secret"); !bytes.Equal(full, []byte{moreData, sha2FullAuth}) {
		t.Fatalf("got %q", full)
	}
	sendRaw(t, nc, 4, []byte{sha2WantsKey})
	if key := readRaw(t, nc); !bytes.Contains(key, []byte("PUBLIC KEY")) {
		t.Errorf("key: %q", key)
	}
}

func TestGuessedPluginIsAskedAgain(t *testing.T) {
	_, _, addr := startServer(t, nil)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	readRaw(t, nc)
	hello := bytes.Replace(helloPacket(rawCaps), []byte("root"), []byte("native"), 1) // empty answer
	sendRaw(t, nc, 1, hello)
	sw := readRaw(t, nc)
	if sw[0] != mysql.EOF_HEADER {
		t.Fatalf("no switch: %q", sw)
	}
	salt := sw[1+len(PluginNative)+1:][:saltLen]
	sendRaw(t, nc, 3, mysql.CalcNativePassword(salt, []byte("secret")))
	wantOK(t, readRaw(t, nc))
}

// TestHostileHandshakes sends mutated login packets: none may end the server or leave a connection behind.
func TestHostileHandshakes(t *testing.T) {
	srv, _, addr := startServer(t, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	seed := append(make([]byte, 4), helloPacket(rawCaps)...)
	putHeader(seed, len(seed)-4, 1)
	for range 3000 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write(mutate(rng, seed)) // a refusal may come before everything is sent
		nc.Close()
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
	wantOK(t, command(t, rawLogin(t, addr), mysql.COM_PING))
	if n := srv.Stats().Panics; n != 0 {
		t.Errorf("%d panics: the packet should have been refused before", n)
	}
}

func mutate(rng *rand.Rand, seed []byte) []byte {
	b := bytes.Clone(seed)
	for range 1 + rng.IntN(4) {
		switch rng.IntN(5) {
		case 0:
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		case 1:
			b = b[:1+rng.IntN(len(b))]
		case 2:
			b = append(b, make([]byte, rng.IntN(300))...)
		case 3: // keep the header's length right after cutting
			b = b[:1+rng.IntN(len(b))]
			if len(b) > 4 {
				putHeader(b, len(b)-4, 1)
			}
		case 4:
			if i := rng.IntN(len(b)); i > 4 {
				b[i] ^= 1 << rng.IntN(8)
			}
		}
	}
	return b
}

func FuzzParseHello(f *testing.F) {
	f.Add(helloPacket(rawCaps), uint32(advertised))
	f.Add(helloPacket(rawCaps | mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)[:40], uint32(advertised))
	f.Fuzz(func(t *testing.T, b []byte, caps uint32) {
		h, err := parseHello(b, caps)
		if err == nil && h.caps&^caps != 0 {
			t.Errorf("capabilities %#x beyond %#x", h.caps, caps)
		}
	})
}

func FuzzBind(f *testing.F) {
	f.Add([]byte{0, 1, 8, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0xe8, 7, 2, 30})
	f.Add([]byte{3, 1, 254, 0, 10, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		st := &stmt{params: 2}
		args, err := st.bind(&cursor{b: b})
		if err == nil && len(args) != 2 {
			t.Errorf("%d arguments", len(args))
		}
	})
}

func TestBind(t *testing.T) {
	le := binary.LittleEndian
	dateTime := append([]byte{11}, le.AppendUint16(nil, 2024)...)
	dateTime = le.AppendUint32(append(dateTime, 2, 29, 23, 59, 58), 7)
	cases := []struct {
		code, flag byte
		value      []byte
		want       Param
	}{
		{mysql.MYSQL_TYPE_TINY, 0, []byte{0xff}, Param{Type: types.ColumnType{Kind: types.KindTinyInt}, Int: -1}},
		{mysql.MYSQL_TYPE_TINY, 0x80, []byte{0xff}, Param{Type: types.ColumnType{Kind: types.KindTinyInt, Unsigned: true}, Int: 255}},
		{mysql.MYSQL_TYPE_SHORT, 0, []byte{0, 0x80}, Param{Type: types.ColumnType{Kind: types.KindSmallInt}, Int: -32768}},
		{mysql.MYSQL_TYPE_LONG, 0, []byte{0xfe, 0xff, 0xff, 0xff}, Param{Type: types.ColumnType{Kind: types.KindInt}, Int: -2}},
		{mysql.MYSQL_TYPE_FLOAT, 0, []byte{0, 0, 0xc0, 0x3f}, Param{Type: types.ColumnType{Kind: types.KindFloat}, Float: 1.5}},
		{mysql.MYSQL_TYPE_NEWDECIMAL, 0, []byte("\x041.25"), Param{Type: types.ColumnType{Kind: types.KindDecimal}, Bytes: []byte("1.25")}},
		{mysql.MYSQL_TYPE_DATE, 0, []byte{4, 0xb2, 7, 1, 2}, Param{Type: types.ColumnType{Kind: types.KindDate}, Int: 1}},
		{mysql.MYSQL_TYPE_DATE, 0, []byte{0}, Param{Type: types.ColumnType{Kind: types.KindVarChar}, Bytes: []byte("0000-00-00")}},
		{mysql.MYSQL_TYPE_DATETIME, 0, []byte{7, 0xe8, 7, 2, 30, 1, 2, 3},
			Param{Type: types.ColumnType{Kind: types.KindVarChar}, Bytes: []byte("2024-02-30 01:02:03")}},
		{mysql.MYSQL_TYPE_DATETIME, 0, dateTime,
			Param{Type: types.ColumnType{Kind: types.KindDateTime, Scale: 6}, Int: 1709251198_000007}},
		{mysql.MYSQL_TYPE_TIME, 0, []byte{8, 1, 1, 0, 0, 0, 2, 0, 1}, Param{Type: types.ColumnType{Kind: types.KindTime}, Int: -(26*3600 + 1) * 1_000_000}},
		{mysql.MYSQL_TYPE_BLOB, 0, []byte{1, 0xff}, Param{Type: types.ColumnType{Kind: types.KindVarBinary}, Bytes: []byte{0xff}}},
		{mysql.MYSQL_TYPE_NULL, 0, nil, Param{Null: true}},
	}
	for _, c := range cases {
		st := &stmt{params: 1}
		args, err := st.bind(&cursor{b: append([]byte{0, 1, c.code, c.flag}, c.value...)})
		if err != nil {
			t.Errorf("type %d: %v", c.code, err)
			continue
		}
		got := args[0]
		if got.Type != c.want.Type || got.Null != c.want.Null || got.Int != c.want.Int || got.Float != c.want.Float || !bytes.Equal(got.Bytes, c.want.Bytes) {
			t.Errorf("type %d: got %+v, want %+v", c.code, got, c.want)
		}
		again, err := st.bind(&cursor{b: append([]byte{0, 0}, c.value...)}) // types bound before
		if err != nil || again[0].Int != got.Int {
			t.Errorf("type %d, second execution: %+v, %v", c.code, again, err)
		}
	}
	if _, err := (&stmt{params: 1}).bind(&cursor{b: []byte{0, 0, 1}}); err == nil {
		t.Error("values without types accepted")
	}
}

func TestLongDataIsBoundedPerConnection(t *testing.T) {
	_, e, addr := startServer(t, func(c *Config) { c.MaxPacket = 1000 })
	nc := rawLogin(t, addr)
	ids := [2]uint32{}
	for i := range ids {
		ok := command(t, nc, mysql.COM_STMT_PREPARE, []byte("ARGS ?")...)
		wantOK(t, ok)
		ids[i] = binary.LittleEndian.Uint32(ok[1:])
		readRaw(t, nc) // the parameter
		readRaw(t, nc) // EOF
	}
	long := func(id uint32, n int) {
		arg := append([]byte{mysql.COM_STMT_SEND_LONG_DATA}, binary.LittleEndian.AppendUint32(nil, id)...)
		sendRaw(t, nc, 0, append(append(arg, 0, 0), make([]byte, n)...))
	}
	bound := func(id uint32) []byte {
		return append(executeArg(id, 0), 0, 1, mysql.MYSQL_TYPE_BLOB, 0)
	}
	long(ids[0], 600)
	long(ids[1], 600) // together too much
	wantErrorPacket(t, command(t, nc, mysql.COM_STMT_EXECUTE, bound(ids[1])...), 1153)
	long(ids[0], 300)
	wantOK(t, command(t, nc, mysql.COM_STMT_EXECUTE, bound(ids[0])...))
	if n := len(e.params[0].Bytes); n != 900 {
		t.Errorf("%d bytes of long data", n)
	}
	long(ids[1], 900) // freed by the execution
	wantOK(t, command(t, nc, mysql.COM_STMT_RESET, binary.LittleEndian.AppendUint32(nil, ids[1])...))
	long(ids[0], 900)
	wantOK(t, command(t, nc, mysql.COM_STMT_EXECUTE, bound(ids[0])...))
}
