package store

import "errors"

// What can be wrong with a value. The wire texts are in package command.
var (
	ErrWrongType  = errors.New("store: value has another type")
	ErrNotInteger = errors.New("store: value is not an integer or out of range")
	ErrNotFloat   = errors.New("store: value is not a valid float")
	ErrTooLong    = errors.New("store: string exceeds the maximum allowed size")
	ErrDamaged    = errors.New("store: object was damaged by a failed call")
)

// What a handler passes on, unseen, to whoever runs it.
var (
	// ErrLocked: a short call met an object that a long reader holds; nothing
	// has been changed, and its own goroutine must run it.
	ErrLocked = errors.New("store: object is held by a reader")
	// ErrRetry: a reader without a latch met a closed slot; it must look again
	// or claim the key.
	ErrRetry = errors.New("store: slot is closed")
)
