// Package transcript runs written conversations with a server: commands and the
// replies they must get, in one file that a person can read.
//
//	# INCR keeps the expiry and refuses what is not an integer.
//	> SET n 10 EX 100
//	OK
//	> INCR n
//	(integer) 11
//	> TTL n
//	(integer) ~100
//	> INCR
//	(error) ERR wrong number of arguments for 'incr' command
//
// It is a test harness. It is not a client library, and nothing outside of tests
// imports it.
//
// # Commands
//
// A line "> words" sends a command from client 1, "2> words" from client 2, up to
// 9; a client connects when it is first named. Words are split as redis-cli
// splits them: "double quotes" know \n \r \t \a \b \xHH \\ and \", 'single quotes'
// know \'. A line `! "bytes"` or `2! "bytes"` sends one quoted word as it is, for
// inline commands and malformed input. What follows, up to the next command,
// comment or blank line, is the reply.
//
//	2> BLPOP q 0     no reply is given here, because of the next line
//	2 parks          client 2 is listed as blocked and has got nothing
//	2:               the next thing client 2 receives: a late reply or a message
//	2 silent         client 2 has received nothing but what was shown
//	2 closes         the server closes client 2's connection
//	(no reply)       stands for the reply of a command that has none
//
// In RESP3 pushes do not stand for replies: they are kept until "2:" asks for
// them. Only (P|S)(UN)SUBSCRIBE are answered by pushes.
//
// # Replies
//
// A reply is written as redis-cli prints it on a terminal, with these additions:
// the null array of RESP2 is (nil array), so that *-1 and $-1 are not the same; a
// verbatim string is one line, (verbatim txt) "..."; a big number is (big) 1; an
// attribute precedes its reply as a map numbered with |; no line ends in a space.
//
// What may differ from run to run is written with these:
//
//	(integer) ~100   within 2 % or 2, whichever is more; also inside of arrays
//	text*            a line that begins with text
//	*                any line
//	**               any number of lines
//	~ a*b*c          a line with anything where the stars are
//	(any order)      as first line: elements, at every level, may come in any order
//	(any order by 2) the same, where the elements of the outermost level stay in pairs
//
// # Files
//
// A file runs on an emptied server. At its head may stand
//
//	#! resp3                  clients send HELLO 3 first
//	#! ours                   is not run against an oracle
//	#! debug                  is skipped where DEBUG is not allowed
//	#! config name value      is set before and set back after
//
// With -update the replies that do not match are written anew from the server's.
// With FERRIC_ORACLE=host:port, or the name of a server binary to start, RunOracle
// runs the same files against another server.
package transcript
