// The client with raw system calls, in many goroutines: Go's runtime interrupts its threads with signals.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

const (
	page              = 4096
	rounds            = 50
	goroutines        = 8
	sysMemfdCreate    = 319 // x86-64; 279 on arm64
	dmaHeapIoctlAlloc = 0xC0184800
	dmaBufIoctlSync   = 0x40086200
	udmabufCreateList = 0x40087543
	fAddSeals         = 1033
	fSealShrink       = 2
	allowSealing      = 2
)

type allocation struct {
	len     uint64
	fd      uint32
	fdFlags uint32
	flags   uint64
}

type item struct {
	memfd, pad   uint32
	offset, size uint64
}

type list struct {
	flags, count uint32
	items        [2]item
}

func must(what string, err error) {
	if err != nil && err != syscall.Errno(0) {
		fmt.Fprintln(os.Stderr, what, err)
		os.Exit(1)
	}
}

func ioctl(what string, fd int, request uintptr, argument unsafe.Pointer) int {
	for {
		result, _, err := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
		if err == syscall.EINTR {
			continue
		}
		must(what, err)
		return int(result)
	}
}

func mapped(fd int, offset int64, length int) []byte {
	bytes, err := syscall.Mmap(fd, offset, length, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	must("mmap", err)
	return bytes
}

func expect(what string, ok bool) {
	if !ok {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func heap(node int) {
	data := allocation{len: 2 * page, fdFlags: syscall.O_RDWR | syscall.O_CLOEXEC}
	ioctl("allocate", node, dmaHeapIoctlAlloc, unsafe.Pointer(&data))
	fd := int(data.fd)
	one, two := mapped(fd, 0, 2*page), mapped(fd, page, page)
	flags := uint64(3)
	ioctl("sync", fd, dmaBufIoctlSync, unsafe.Pointer(&flags))
	one[page] = 7
	expect("two mappings are one memory", two[0] == 7 && two[1] == 0)
	flags |= 4
	ioctl("sync", fd, dmaBufIoctlSync, unsafe.Pointer(&flags))
	must("munmap", syscall.Munmap(one))
	must("munmap", syscall.Munmap(two))
	must("close", syscall.Close(fd))
}

func udmabuf(node int) {
	number := uintptr(sysMemfdCreate)
	if runtime.GOARCH == "arm64" {
		number = 279
	}
	name := []byte("client\x00")
	result, _, err := syscall.Syscall(number, uintptr(unsafe.Pointer(&name[0])), allowSealing, 0)
	must("memfd_create", err)
	memfd := int(result)
	must("ftruncate", syscall.Ftruncate(memfd, 4*page))
	_, _, err = syscall.Syscall(syscall.SYS_FCNTL, uintptr(memfd), fAddSeals, fSealShrink)
	must("seal", err)
	windows := list{flags: 1, count: 2}
	windows.items[0] = item{memfd: uint32(memfd), offset: 3 * page, size: page}
	windows.items[1] = item{memfd: uint32(memfd), offset: page, size: page}
	fd := ioctl("create", node, udmabufCreateList, unsafe.Pointer(&windows))
	memory, view := mapped(memfd, 0, 4*page), mapped(fd, 0, 2*page)
	memory[3*page], view[page] = 33, 12
	expect("buffer and memfd are one memory", view[0] == 33 && memory[page] == 12)
	must("munmap", syscall.Munmap(memory))
	must("munmap", syscall.Munmap(view))
	must("close", syscall.Close(fd))
	must("close", syscall.Close(memfd))
}

func main() {
	node, err := syscall.Open("/dev/dma_heap/system", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	must("open", err)
	device, err := syscall.Open("/dev/udmabuf", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	must("open", err)
	var group sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for round := 0; round < rounds; round++ {
				heap(node)
				udmabuf(device)
				garbage := make([]byte, 1<<16)
				garbage[round] = 1
				runtime.Gosched()
			}
		}()
	}
	group.Wait()
	fmt.Println("go: heap and udmabuf work")
}
