// Package account says who may do what: it finds the account that a client comes in under, works out what the grants of an
// account allow, which privileges a statement needs, and how grants are written. It is pure: accounts and statements in,
// answers out; nothing here is kept, logged or sent.
//
// The levels are MySQL's: *.*, a database (a pattern) and a table. What is granted at one level holds below it. Of the
// patterns that match a database the most specific one counts alone, as in MySQL.
//
// Any account may be the role of others. What a role was granted counts for those that have it while it is active in their session;
// a role that was granted to a role is active with it.
package account
