package admin

import (
	"context"
	"errors"
	"slices"
	"strings"

	"stele/conf"
	"stele/fe/stmt"
	"stele/meta/command"
	"stele/sql/errno"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

var _ = stmt.Register(stmt.Statement{
	Name: "admin_show_frontend_config", Table: "frontend_config", Local: true,
	Syntax: "ADMIN SHOW FRONTEND CONFIG [LIKE <pattern:string>]",
	Doc:    "The configuration of this FE. LIKE looks at aliases, too: an item that is found by an alias is shown under its name.",
	Columns: stmt.Cols(`
		Key        text  Name of the item.
		AliasNames text  Other names for it.
		Value      text  Its value now.
		Type       text  int, long, double, boolean, String or String[].
		IsMutable  text  Whether ADMIN SET FRONTEND CONFIG takes it.
		Comment    text  What it does and when to change it.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		values := e.Conf.Load()
		var rows []stmt.Row
		for _, s := range conf.FE.All() {
			if a.Has("pattern") && !configMatches(s, a.String("pattern")) {
				continue
			}
			rows = append(rows, stmt.Row{s.Key, s.AliasNames(), values.Shown(s), string(s.Type), s.IsMutable(), s.Comment()})
		}
		return rows, nil
	},
	Examples: []string{"ADMIN SHOW FRONTEND CONFIG", "ADMIN SHOW FRONTEND CONFIG LIKE 'tablet_sched%'"},
})

func configMatches(s *conf.Spec, pattern string) bool {
	return stmt.MatchLike(pattern, s.Key) || slices.ContainsFunc(s.Aliases, func(alias string) bool { return stmt.MatchLike(pattern, alias) })
}

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_set_frontend_config",
	Local:  true,
	Syntax: "ADMIN SET {node: FRONTEND|BACKEND} CONFIG <props:props> [WITH PERSISTENT]",
	Doc: "Change one item of the configuration at once: of this FE until its next start, or WITH PERSISTENT of all FEs and for good. " +
		"The value \"DEFAULT\" WITH PERSISTENT takes that back: every FE follows its fe.conf again. ADMIN SHOW FRONTEND CONFIG says which items are mutable. With BACKEND it is an item of be.conf, always of all BEs and for good; the value " +
		"\"DEFAULT\" takes that back. ADMIN SHOW BACKEND CONFIG shows them.",
	Do: setFrontendConfig,
	Examples: []string{`ADMIN SET FRONTEND CONFIG ("tablet_sched_slot_num_per_path" = "4")`, `ADMIN SET FRONTEND CONFIG ("max_connections" = "100") WITH PERSISTENT`,
		`ADMIN SET BACKEND CONFIG ("clone_bandwidth_limit_mb_per_disk" = "200")`},
})

func setFrontendConfig(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
	props := a.Props("props")
	if len(props) != 1 {
		return stmt.Result{}, stmt.Refusal("Only one config can be set in one statement")
	}
	key, value := props[0].Key, props[0].Value
	if a.Choice("node") == "BACKEND" {
		return SetBackendConfig(ctx, e, key, value)
	}
	spec, ok := conf.FE.Lookup(key)
	if !ok || !spec.Mutable {
		return stmt.Result{}, noSuchConfig(conf.FE, key)
	}
	if a.Has("PERSISTENT") && strings.EqualFold(value, "DEFAULT") {
		return unsetFrontendConfig(ctx, e, spec.Key)
	}
	if _, err := e.Conf.Load().With(spec.Key, value); err != nil {
		return stmt.Result{}, ConfigError(key, err)
	}
	if a.Has("PERSISTENT") {
		if err := PersistConfig(ctx, e, spec.Key, value); err != nil {
			return stmt.Result{}, err
		}
	}
	before := e.Conf.Load().Text(spec)
	if _, err := e.Conf.Set(spec.Key, value); err != nil {
		return stmt.Result{}, ConfigError(key, err)
	}
	after := e.Conf.Load().Text(spec)
	switch {
	case spec.Key == conf.RecoverWithEmptyTablet.Key && after == "true":
		return stmt.Result{Notes: []string{"tablets of which no replica is left go on as empty ones from now on, without being asked; their rows are given up for good"}}, nil
	case before == after && !a.Has("PERSISTENT"):
		return stmt.Nothing("its value is " + after + " already"), nil
	}
	return stmt.Result{}, nil
}

// unsetFrontendConfig has every FE follow its own fe.conf again.
func unsetFrontendConfig(ctx context.Context, e *stmt.Env, key string) (stmt.Result, error) {
	if _, set := e.Catalog.Config(key); !set {
		return stmt.Nothing("every frontend follows its own fe.conf already"), nil
	}
	_, err := e.Propose(ctx, &command.SetConfig{Key: key, Unset: true})
	return stmt.Result{}, err
}

// noSuchConfig refuses an item that is not there or cannot change, and says what to do instead where that is known.
func noSuchConfig(r *conf.Registry, key string) error {
	hint := r.Hint(key)
	if _, fixed := r.Lookup(key); fixed {
		hint = ": set it in " + r.Name() + ".conf and restart"
	}
	return sqltypes.Errorf(errno.BadConfig, "Config '%s' does not exist or is not mutable%s", key, hint)
}

// ConfigError says why a value was refused.
func ConfigError(key string, err error) error {
	var faults conf.Faults
	if errors.As(err, &faults) && len(faults) == 1 {
		return sqltypes.Errorf(errno.BadConfig, "Failed to set config '%s'. err: %s", key, faults[0].String())
	}
	return sqltypes.Errorf(errno.BadConfig, "Failed to set config '%s'. err: %s", key, err.Error())
}

// PersistConfig has every FE keep a value of fe.conf, a restart included.
func PersistConfig(ctx context.Context, e *stmt.Env, key, value string) error {
	if e.SetConfig != nil {
		return e.SetConfig(ctx, key, value)
	}
	_, err := e.Propose(ctx, &command.SetConfig{Key: key, Value: value})
	return err
}
