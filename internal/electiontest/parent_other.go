//go:build !linux

package electiontest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
