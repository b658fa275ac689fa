package define

import "stele/sql/plan"

// Context is everything that a definition depends on, apart from its text.
type Context struct {
	*plan.Context
	// ForeignKeys says what becomes of those that the statement declares.
	ForeignKeys ForeignKeys
}

// definer is what every definition is worked out with.
type definer struct {
	ctx *Context
	// notes are what the definition asks for and does not get.
	notes []string
}
