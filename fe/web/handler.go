// Package web is the HTTP face of the system tables: JSON for programs, and a page on which a browser shows the cluster at a glance.
//
// It owns no data and decides nothing. It is a MySQL client of its own FE over a connection within the process, which has the address of
// the HTTP client: so accounts with their hosts, privileges, limits and the way to the leading FE are those of every client, and what a
// table holds is said in one place. It only reads, and only tables of the schemas stele and information_schema.
//
//	GET /console/                    the page
//	GET /api/tables                  the system tables, each with its schema, name and what it is
//	GET /api/tables/SCHEMA/NAME      columns and rows, ?limit=N of them (1,000 unless told)
//
// HTTP Basic authentication carries user and password; without it the user is root without a password, as long as root has none and the
// request names this FE by an address: a page of another site can have its own name lead here, but no address.
package web

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/sql/errno"
)

const (
	timeout      = 10 * time.Second
	defaultLimit = 1000
	mostRows     = 100_000
)

//go:embed console
var console embed.FS

// Handler answers requests. Server.Serve has to be called with its Listener.
type Handler struct {
	within *pipes
	log    *slog.Logger
}

// New makes a handler.
func New(log *slog.Logger) *Handler { return &Handler{newPipes(), log} }

// Mount adds the page and the tables to mux.
func (h *Handler) Mount(mux *http.ServeMux) {
	page, err := fs.Sub(console, "console")
	if err != nil {
		panic("BUG: the page is not embedded: " + err.Error())
	}
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusFound))
	mux.Handle("GET /console/", guarded(http.StripPrefix("/console/", http.FileServerFS(page))))
	mux.Handle("GET /api/tables", guarded(http.HandlerFunc(h.list)))
	mux.Handle("GET /api/tables/{schema}/{name}", guarded(http.HandlerFunc(h.table)))
}

// guarded has browsers keep the page to itself: no script but its own, in no frame of others.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// list answers which tables there are.
func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	h.answer(w, r, "SELECT table_schema AS `schema`, table_name AS name, table_comment AS comment FROM information_schema.tables "+
		"WHERE table_schema IN ('stele', 'information_schema') ORDER BY 1 DESC, 2", mostRows)
}

// table answers with the rows of one.
func (h *Handler) table(w http.ResponseWriter, r *http.Request) {
	schema, name := strings.ToLower(r.PathValue("schema")), r.PathValue("name")
	if schema != "stele" && schema != "information_schema" {
		fail(w, http.StatusNotFound, errno.UnknownDatabase, "only tables of stele and information_schema are here; others are read by SQL")
		return
	}
	limit := defaultLimit
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > mostRows {
			fail(w, http.StatusBadRequest, errno.Syntax, "limit is a number from 0 to "+strconv.Itoa(mostRows))
			return
		}
		limit = n
	}
	h.answer(w, r, "SELECT * FROM `"+schema+"`.`"+strings.ReplaceAll(name, "`", "``")+"` LIMIT "+strconv.Itoa(limit+1), limit)
}

// answer runs a query as whoever asks, and answers with its rows, or with why there are none.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, query string, limit int) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	if _, _, named := r.BasicAuth(); !named && !byAddress(r.Host) {
		ask(w)
		fail(w, http.StatusUnauthorized, errno.AccessDenied, "a MySQL user and password are needed where the FE is called by a name")
		return
	}
	db, err := h.open(r)
	if err != nil {
		fail(w, http.StatusBadRequest, 0, err.Error())
		return
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		h.refuse(w, err)
		return
	}
	defer rows.Close()
	out, err := read(rows, limit)
	if err != nil {
		h.refuse(w, err)
		return
	}
	write(w, http.StatusOK, out)
}

// open makes a client of this FE that has the address and the name of whoever asks.
func (h *Handler) open(r *http.Request) (*sql.DB, error) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.User = "root"
	if user, password, ok := r.BasicAuth(); ok {
		cfg.User, cfg.Passwd = user, password
	}
	cfg.Net, cfg.Addr, cfg.Logger = "within", "this fe", &mysql.NopLogger{}
	cfg.DialFunc = h.within.dialer(from)
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// byAddress reports whether a request was sent to an address, or to this machine.
func byAddress(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil || strings.EqualFold(name, "localhost")
}

// ask has a browser ask for user and password.
func ask(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Stele: a MySQL account", charset="UTF-8"`)
}

// refuse turns a MySQL error into an HTTP one.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	var known *mysql.MySQLError
	if !errors.As(err, &known) {
		h.log.Warn("a table was not read for the web", "err", err)
		fail(w, http.StatusServiceUnavailable, 0, err.Error())
		return
	}
	status := http.StatusInternalServerError
	switch known.Number {
	case errno.AccessDenied, errno.AccessDeniedNoPassword, errno.PasswordExpired: // who are you
		ask(w)
		status = http.StatusUnauthorized
	case errno.DatabaseAccessDenied, errno.TableAccessDenied, errno.PrivilegeNeeded, errno.RoutineAccessDenied:
		status = http.StatusForbidden
	case errno.UnknownDatabase, errno.NoSuchTable:
		status = http.StatusNotFound
	case errno.TooManyConnections, errno.LockWaitTimeout:
		status = http.StatusServiceUnavailable
	}
	fail(w, status, known.Number, known.Message)
}

// problem is what goes wrong, with MySQL's number for it, 0 if there is none.
type problem struct {
	Error string `json:"error"`
	Code  uint16 `json:"code,omitempty"`
}

func fail(w http.ResponseWriter, status int, code uint16, message string) {
	write(w, status, problem{message, code})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
