package session

import (
	"context"
	"errors"
	"strings"

	"stele/fe/txn"
	"stele/sql/errno"
	"stele/sql/parse"
)

// savepoint is a point of the open transaction to which it can go back.
type savepoint struct {
	name string
	mark txn.Mark // the zero mark when nothing was written before
}

// setSavepoint runs SAVEPOINT. Outside a transaction it does nothing, as in MySQL.
func (s *Session) setSavepoint(n *parse.SavepointStmt, out *output) error {
	s.implicit()
	if !s.inTx {
		return out.ok()
	}
	if i := s.findSavepoint(n.Name); i >= 0 {
		s.marks = append(s.marks[:i], s.marks[i+1:]...)
	}
	p := savepoint{name: n.Name}
	if s.tx != nil {
		p.mark = s.tx.Mark()
	}
	s.marks = append(s.marks, p)
	return out.ok()
}

func (s *Session) findSavepoint(name string) int {
	for i := range s.marks {
		if strings.EqualFold(s.marks[i].name, name) {
			return i
		}
	}
	return -1
}

// rollbackTo undoes what was written after a savepoint. Its own row locks and those of later savepoints go with it.
func (s *Session) rollbackTo(ctx context.Context, name string, out *output) error {
	i := s.findSavepoint(name)
	if i < 0 {
		return sqlErr(errno.UnknownFunction, "SAVEPOINT %s does not exist", name)
	}
	if s.tx != nil {
		if err := s.tx.RollbackTo(ctx, s.marks[i].mark); err != nil {
			return errors.Join(s.lostTransaction(err), s.rollback(ctx))
		}
	}
	s.marks = s.marks[:i+1]
	return out.ok()
}

// release forgets a savepoint and those after it.
func (s *Session) release(name string, out *output) error {
	i := s.findSavepoint(name)
	if i < 0 {
		return sqlErr(errno.UnknownFunction, "SAVEPOINT %s does not exist", name)
	}
	s.marks = s.marks[:i]
	return out.ok()
}
