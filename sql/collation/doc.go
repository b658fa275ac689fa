// Package collation says which texts are equal and how they sort under the collations that do not compare bytes.
//
// A text has a key: keys compare by their bytes as the texts do by the collation. What a collation knows of a character is one or
// more weights; the tables of them were measured from what MariaDB's WEIGHT_STRING answers for every character, so that it is MariaDB's
// answers that come out. A weight of zero width is ignored. Contractions (several characters with weights of their own, in scripts of
// South-East Asia) are not known: their characters have the weights that each has alone.
//
// The collations 0900 have the weights of UCA 14.0.0, as MariaDB gives to these names.
//
// The package is pure. Tables are unpacked when they are first used and never change: keys are stored in unique keys.
package collation
