package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// webTable is a table as the HTTP port gives it.
type webTable struct {
	Columns   []struct{ Name, Type string }
	Rows      [][]any
	Truncated bool
	Error     string
	Code      int
}

// web asks the HTTP port of the first FE. user is "" for nobody, else user:password; host is what the request calls the FE, "" for its address.
func web(ctx context.Context, t *testing.T, base, path, user, host string) (status int, header http.Header, out webTable) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	must(t, err)
	if name, password, ok := strings.Cut(user, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		must(t, json.Unmarshal(body, &out))
	}
	return resp.StatusCode, resp.Header, out
}

// The HTTP port gives every system table with the columns that SQL gives, to whom SQL gives it.
func TestWeb(t *testing.T) {
	ctx := t.Context()
	c := cluster.Start(t, cluster.Options{Nodes: 1})
	db := c.DB()
	frontends, err := cluster.ReadTable(ctx, db, "SHOW FRONTENDS")
	must(t, err)
	base := "http://127.0.0.1:" + frontends.Column("HttpPort")[0]

	status, _, list := web(ctx, t, base, "/api/tables", "", "")
	if status != http.StatusOK || len(list.Rows) < 50 {
		t.Fatalf("%d: %d tables: %s", status, len(list.Rows), list.Error)
	}
	for _, row := range list.Rows {
		schema, name := fmt.Sprint(row[0]), fmt.Sprint(row[1])
		status, _, got := web(ctx, t, base, "/api/tables/"+schema+"/"+name+"?limit=0", "", "")
		want, err := cluster.ReadTable(ctx, db, "SELECT * FROM `"+schema+"`.`"+name+"` LIMIT 0")
		must(t, err)
		var columns []string
		for _, c := range got.Columns {
			columns = append(columns, c.Name)
		}
		if status != http.StatusOK || fmt.Sprint(columns) != fmt.Sprint(want.Columns) {
			t.Errorf("%s.%s: %d, %s: columns %v, want %v", schema, name, status, got.Error, columns, want.Columns)
		}
	}
	if _, _, got := web(ctx, t, base, "/api/tables/stele/backends", "", ""); len(got.Rows) != 1 || got.Truncated {
		t.Errorf("one BE is %d rows, more: %v", len(got.Rows), got.Truncated)
	}
	if _, _, got := web(ctx, t, base, "/api/tables/information_schema/collations?limit=2", "", ""); len(got.Rows) != 2 || !got.Truncated {
		t.Errorf("two collations of many are %d rows, more: %v", len(got.Rows), got.Truncated)
	}
	for _, page := range []string{"/", "/console/", "/console/console.js", "/console/console.css"} {
		if status, header, _ := web(ctx, t, base, page, "", ""); status != http.StatusOK || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %d, %v", page, status, header)
		}
	}

	for _, q := range []string{"CREATE DATABASE private", "CREATE TABLE private.t (id INT PRIMARY KEY)", "CREATE USER 'limited'@'127.0.0.1' IDENTIFIED BY 'word'",
		"CREATE USER 'elsewhere'@'10.0.0.1' IDENTIFIED BY 'word'"} {
		must(t, execute(ctx, db, q))
	}
	for _, c := range []struct {
		path, user, host string
		want             int
	}{
		{"/api/tables/stele/nothing", "", "", http.StatusNotFound},
		{"/api/tables/private/t", "", "", http.StatusNotFound}, // rows of users are for SQL
		{"/api/tables/stele/cluster?limit=many", "", "", http.StatusBadRequest},
		{"/api/tables/stele/cluster", "", "pages.example", http.StatusUnauthorized}, // another site's page, whose name leads here
		{"/api/tables/stele/cluster", "root:", "pages.example", http.StatusOK},
		{"/api/tables/stele/cluster", "root:wrong", "", http.StatusUnauthorized},
		{"/api/tables/information_schema/tables", "limited:word", "", http.StatusOK},
		{"/api/tables/stele/cluster", "elsewhere:word", "", http.StatusUnauthorized}, // an account of another host
		{"/api/tables/stele/frontend_config", "limited:word", "", http.StatusForbidden},
	} {
		status, header, got := web(ctx, t, base, c.path, c.user, c.host)
		if status != c.want || (status == http.StatusUnauthorized) != (header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s of %q at %q: %d %v %s, want %d", c.path, c.user, c.host, status, header, got.Error, c.want)
		}
	}
	if _, _, got := web(ctx, t, base, "/api/tables/information_schema/tables?limit=100000", "limited:word", ""); strings.Contains(fmt.Sprint(got.Rows), "private") {
		t.Error("somebody without rights sees a table")
	}
	must(t, execute(ctx, db, "SET PASSWORD FOR root = PASSWORD('secret')"))
	if status, _, _ := web(ctx, t, base, "/api/tables/stele/cluster", "", ""); status != http.StatusUnauthorized {
		t.Errorf("root has a password, and nobody is let in without: %d", status)
	}
	if status, _, got := web(ctx, t, base, "/api/tables/stele/cluster", "root:secret", ""); status != http.StatusOK {
		t.Errorf("root with his password: %d %s", status, got.Error)
	}
}
