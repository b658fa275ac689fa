package fulltext

import (
	"iter"
	"unicode"
	"unicode/utf8"

	"stele/meta/types"
	"stele/sql/collation"
)

// Words of fewer or more characters are in no index, so they are never found (innodb_ft_min_token_size, innodb_ft_max_token_size).
const (
	MinWord = 3
	MaxWord = 84
)

// stopwords are InnoDB's.
var stopwords = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range []string{"a", "about", "an", "are", "as", "at", "be", "by", "com", "de", "en", "for", "from", "how", "i", "in", "is", "it",
		"la", "of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "who", "will", "with", "und", "www"} {
		out[w] = true
	}
	return out
}()

// wordChar reports whether a character is part of a word.
func wordChar(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// tokens yields the words of a text as they stand there, those that do not count as well, each with its number of characters.
func tokens(text []byte) iter.Seq2[[]byte, int] {
	return func(yield func([]byte, int) bool) {
		start, chars := -1, 0
		for i := 0; i < len(text); {
			r, n := utf8.DecodeRune(text[i:])
			in := wordChar(r) && (r != utf8.RuneError || n > 1)
			switch {
			case in && start < 0:
				start, chars = i, 1
			case in:
				chars++
			case start >= 0:
				if !yield(text[start:i], chars) {
					return
				}
				start = -1
			}
			i += n
		}
		if start >= 0 {
			yield(text[start:], chars)
		}
	}
}

// comparer tells which words are equal: by the collation of the columns. It is only read once it is made.
type comparer struct {
	by    types.Collation
	stops map[string]bool // by their keys
}

func newComparer(by types.Collation) comparer {
	c := comparer{by: by, stops: stopwords}
	if by != types.CollationBinary {
		c.stops = make(map[string]bool, len(stopwords))
		for w := range stopwords {
			c.stops[string(c.key(nil, []byte(w)))] = true
		}
	}
	return c
}

// key is the same for equal words: the word itself, or what is written over buf.
func (c comparer) key(buf, word []byte) []byte {
	if c.by == types.CollationBinary {
		return word
	}
	return collation.AppendKey(buf[:0], c.by, word)
}

// counts reports whether a word is one that an index would have.
func (c comparer) counts(key []byte, chars int) bool {
	return chars >= MinWord && chars <= MaxWord && !c.stops[string(key)]
}

// head is the first characters of a word.
func head(word []byte, chars int) []byte {
	at := 0
	for ; chars > 0 && at < len(word); chars-- {
		_, n := utf8.DecodeRune(word[at:])
		at += n
	}
	return word[:at]
}
