// Package fulltext answers MATCH … AGAINST over the texts of one row at a time, with InnoDB's rules: what a word is, which words do not
// count, the grammar of boolean mode, and the rank. There is no index: who asks reads all rows. Pure.
package fulltext
