package resp

// splitInline splits a line, as typed by hand, into words and appends them to
// args. It reports false for unbalanced quotes.
func splitInline(line []byte, args [][]byte) ([][]byte, bool) {
	for {
		for len(line) > 0 && isSpace(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return args, true
		}
		word, rest, ok := nextWord(line)
		if !ok {
			return args, false
		}
		args, line = append(args, word), rest
	}
}

// nextWord takes the word that line begins with. A word without quotes points
// into the line, others are copies. A quote may begin within a word, and ends
// it: only a space may follow.
func nextWord(line []byte) (word, rest []byte, ok bool) {
	for i, c := range line {
		switch c {
		case ' ', '\t', '\r', '\n':
			return line[:i:i], line[i:], true
		case '"', '\'':
			word, rest, ok = unquote(line[:i:i], line[i:])
			return word, rest, ok && (len(rest) == 0 || isSpace(rest[0]))
		}
	}
	return line, nil, true
}

// unquote appends the quoted text that s begins with. In double quotes there
// are \n \r \t \b \a, \xHH and a backslash before any other character; in
// single quotes there is \' only.
func unquote(word, s []byte) (_, rest []byte, ok bool) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		c := s[i]
		if c == quote {
			return word, s[i+1:], true
		}
		if c == '\\' && i+1 < len(s) {
			switch {
			case quote == '"' && s[i+1] == 'x' && i+3 < len(s) && isHex(s[i+2]) && isHex(s[i+3]):
				c = unhex(s[i+2])<<4 | unhex(s[i+3])
				i += 3
			case quote == '"':
				i++
				c = unescape(s[i])
			case s[i+1] == '\'':
				i++
				c = '\''
			}
		}
		word = append(word, c)
	}
	return nil, nil, false
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isHex(c byte) bool { return c-'0' < 10 || c|0x20-'a' < 6 }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
