/* SPDX-License-Identifier: MIT */
/* See memory.h. */

#include "probes/memory.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u

static pid_t self;

void
memory_start(void)
{
	self = getpid();
}

size_t
memory_copy(uint64_t address, void *to, size_t bytes)
{
	struct iovec local = {.iov_base = to, .iov_len = bytes};
	struct iovec remote[MEMORY_MAX / PAGE + 1];
	size_t count = 0;
	long copied;

	/* Page by page: an element is copied whole or not at all. */
	for (size_t at = 0, part; at < bytes && at < MEMORY_MAX; at += part) {
		part = PAGE - (address + at) % PAGE;
		if (part > bytes - at)
			part = bytes - at;
		remote[count++] = (struct iovec){
			.iov_base = (void *)(uintptr_t)(address + at), .iov_len = part};
	}
	copied = syscall(SYS_process_vm_readv, self, &local, 1, remote, count, 0);
	return copied > 0 ? (size_t)copied : 0;
}

int
memory_gather(const uint64_t *addresses, size_t count, size_t bytes, void *to)
{
	struct iovec local = {.iov_base = to, .iov_len = count * bytes};
	struct iovec remote[MEMORY_THINGS];

	if (count > MEMORY_THINGS)
		return -1;
	for (size_t i = 0; i < count; i++)
		remote[i] = (struct iovec){
			.iov_base = (void *)(uintptr_t)addresses[i], .iov_len = bytes};
	return syscall(SYS_process_vm_readv, self, &local, 1, remote, count, 0) ==
			       (long)(count * bytes)
		       ? 0
		       : -1;
}

uint64_t
memory_pointer(uint64_t address)
{
	uint64_t pointer;

	return memory_copy(address, &pointer, sizeof(pointer)) == sizeof(pointer)
		       ? pointer
		       : 0;
}
