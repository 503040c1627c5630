/* SPDX-License-Identifier: Apache-2.0 */
#include "http/gate.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * By descriptor. Any thread of the program may call recv() for any descriptor, so this table is read by
 * all of them, but a registered descriptor is only ever received from on its daemon's thread, which also
 * registered it. Other threads must see either NULL or a complete gate in the entries of descriptors that
 * are not theirs, which they then ignore: they look at their own entry only, and that is NULL because
 * a descriptor belongs to one owner at a time. The release and the acquire order the contents of the gate
 * for a descriptor number that wanders from one daemon's thread to another's. Closing needs no order: the
 * kernel cannot hand the number out again before libmicrohttpd has closed it, later on the same thread.
 */
static struct http_gate *_Atomic gates[HTTP_GATE_FDS];

bool http_gate_open(int fd, struct http_gate *gate)
{
        if (fd < 0 || fd >= HTTP_GATE_FDS)
                return false;
        atomic_store_explicit(&gates[fd], gate, memory_order_release);
        return true;
}

void http_gate_close(int fd)
{
        if (fd >= 0 && fd < HTTP_GATE_FDS)
                atomic_store_explicit(&gates[fd], NULL, memory_order_relaxed);
}

bool http_gate_is_in_effect(void)
{
        return dlsym(RTLD_DEFAULT, "recv") == (void *)(uintptr_t)recv;
}

/* The dynamic linker resolves the recv() of every library of the program to this one. */
__attribute__((visibility("default"))) ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
        struct http_gate *gate = NULL;

        if (fd >= 0 && fd < HTTP_GATE_FDS)
                gate = atomic_load_explicit(&gates[fd], memory_order_acquire);
        return gate ? gate->receive(gate, bytes, n, flags)
                    : recvfrom(fd, bytes, n, flags, NULL, NULL);
}
