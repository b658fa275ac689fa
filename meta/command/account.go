package command

import "stele/meta/model"

// AccountVerb says what is done to an account.
type AccountVerb uint8

// The verbs of ChangeAccounts.
const (
	AccountCreate AccountVerb = 1
	AccountAlter  AccountVerb = 2
	AccountDrop   AccountVerb = 3
	AccountRename AccountVerb = 4
)

// ChangeAccounts makes, changes, renames and drops accounts: all of them or, if one cannot be, none.
type ChangeAccounts struct {
	Changes []AccountChange `cbor:"1,keyasint"`
}

// AccountChange is one change of one account.
type AccountChange struct {
	Verb    AccountVerb       `cbor:"1,keyasint"`
	Account model.AccountName `cbor:"2,keyasint"`
	// To is the new name, for AccountRename.
	To *model.AccountName `cbor:"3,keyasint,omitempty"`
	// The rest is for AccountCreate and AccountAlter; nil = as it was, or as a new account has it.
	Login      *Login `cbor:"4,keyasint,omitempty"`
	Locked     *bool  `cbor:"5,keyasint,omitempty"`
	RequireTLS *bool  `cbor:"6,keyasint,omitempty"`
	// TakeRoles and GiveRoles change which roles the account has, in this order.
	TakeRoles []model.AccountName `cbor:"7,keyasint,omitempty"`
	GiveRoles []model.RoleGrant   `cbor:"8,keyasint,omitempty"`
	// DefaultRoles are those that are active in a new session, all of which the account must have by then.
	DefaultRoles *[]model.AccountName `cbor:"9,keyasint,omitempty"`
}

// Login is how an account proves who it is.
type Login struct {
	Plugin string `cbor:"1,keyasint"`
	Auth   []byte `cbor:"2,keyasint,omitempty"` // the plugin's verifier; empty = no password
}

// ChangeGrants takes privileges from accounts and gives them some, in this order: from all of them or, if one is not
// there, from none.
type ChangeGrants struct {
	Accounts []model.AccountName `cbor:"1,keyasint"`
	// TakeAll takes whatever they have, at every level.
	TakeAll bool          `cbor:"2,keyasint,omitempty"`
	Take    []model.Grant `cbor:"3,keyasint,omitempty"`
	Give    []model.Grant `cbor:"4,keyasint,omitempty"`
}

// Type returns TypeChangeAccounts.
func (*ChangeAccounts) Type() Type { return TypeChangeAccounts }

// Type returns TypeChangeGrants.
func (*ChangeGrants) Type() Type { return TypeChangeGrants }
