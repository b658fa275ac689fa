package session

import (
	"math"

	"stele/fe/stmt"
	"stele/sql/errno"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// diagnostics are the warnings of a statement: the first of them, and how many there were.
type diagnostics struct {
	list  []stmt.Warning
	count int
}

// errors counts those of the list that are errors.
func (d *diagnostics) errors() int {
	n := 0
	for _, w := range d.list {
		if w.Level == "Error" {
			n++
		}
	}
	return n
}

// warn adds a row to SHOW WARNINGS.
func (s *Session) warn(level string, code uint16, msg string) {
	if s.warnings.count++; len(s.warnings.list) < plan.MaxWarnings {
		s.warnings.list = append(s.warnings.list, stmt.Warning{Level: level, Code: code, Message: msg})
	}
}

// warningCount is what the client hears of the number of warnings.
func (s *Session) warningCount() uint16 { return uint16(min(s.warnings.count, math.MaxUint16)) }

// warnPlanned adds the warnings of a plan: the divisions by zero that it has worked out, and what was done otherwise than the
// statement says.
func (s *Session) warnPlanned(pctx *plan.Context) {
	for range pctx.ZeroDivisions {
		s.warn("Warning", errno.DivisionByZero, sqltypes.ErrDivisionByZero().Msg)
	}
	s.warnRows(&pctx.Warnings)
}

// warnRows adds warnings about rows.
func (s *Session) warnRows(w *plan.Warnings) {
	kept := w.Kept()
	for _, e := range kept {
		s.warn("Warning", e.Code, e.Msg)
	}
	s.warnings.count += w.Count - len(kept)
}
