// Package router takes a client's command to its keys, chooses the path it
// runs on, and tells the rest of the server when it is done.
//
//	batch of commands
//	   │  look up, admit (arity, login, pause, memory), find the keys
//	   ▼
//	 Local   touches no key                        run
//	 Read    one key, reads only                   run without a latch, look whether it held
//	 Claim   writes, or reads several keys         rmw.Run: inline if the claim wins, else in line
//	 Walk    every shard                           run without latches
//	 Alone   FLUSHALL, SWAPDB                      run with the gate closed
//	   │
//	   ▼  record appended → published → watchers, notifications → latch released
//	 reply
//
// It owns the clients' sessions, the active expiry cycle and eviction, which
// delete through the same door as everyone else. It knows neither sockets nor
// files: the first are package resp's, the second is whoever implements Sink.
package router
