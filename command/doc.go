// Package command holds the command table and the handlers.
//
// Nothing about a command is written anywhere but in its Spec, which stands at
// the foot of the file of its handler; dispatch, routing, COMMAND, ACL
// categories and docs/commands.md are derived from it.
//
// To add a command:
//
//  1. write the handler, func(c *Context) error, in the file of its group;
//  2. add its Spec to the slice at the foot of that file;
//  3. write its transcript, testdata/<group>/<name>.txt;
//  4. run go test ./command -update and read the difference in docs/commands.md;
//  5. run make oracle, which compares with redis-server.
//
// A handler sees only its Context: the arguments, the keys that its Spec
// declares (through c.Tx), the reply and the client. It checks everything
// before its first change, returns an error to refuse (the router writes it to
// the client), and passes on unchanged what the Tx returns. It may be run more
// than once for one call when it changes nothing (a reader that has to look
// again), so its only effects are c.Tx, c.Reply and the c.Notify and c.Effect
// calls. What a command needs of the process it asks through Server.
package command
