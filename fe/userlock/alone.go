package userlock

import (
	"context"
	"log/slog"
)

// Alone returns a keeper that is its own leader, for an FE that is no part of a cluster.
func Alone(fe string) *Keeper {
	table := NewTable(func(context.Context) (Lead, error) { return Lead{Term: 1, Members: []Member{{Name: fe}}}, nil })
	return NewKeeper(Options{FE: fe, Call: table.Do, Term: func() uint64 { return 1 }, End: func(uint64) {}, Logger: slog.New(slog.DiscardHandler)})
}
