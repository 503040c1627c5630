/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the vsock device, in Unix sockets: the listener at `uds_path`, the CONNECT
 * line of a client, and the sockets that listen for the guest. Thread rule: the loop's thread.
 */
#pragma once

#include "vmm/loop.h"

#include <stdint.h>

enum {
        VSOCK_UDS_PATH_MAX = 107, /* what sun_path holds */
        VSOCK_ACCEPT_BATCH = 32,  /* clients accepted a turn */
};

struct vsock_listener {
        struct loop *loop;
        struct loop_source src; /* owns the descriptor */
        char path[VSOCK_UDS_PATH_MAX + 1];
        bool paused; /* out of descriptors: vsock_listener_resume() continues */
        void (*accepted)(void *arg, int fd); /* takes over the descriptor, which is non-blocking */
        void *arg;
};

#define VSOCK_LISTENER_INIT ((struct vsock_listener){.src = {.fd = -1}})

/* Listens at `path`. -EADDRINUSE when it exists, -ENAMETOOLONG. */
int vsock_listener_init(struct vsock_listener *l, struct loop *loop, const char *path,
                        void (*accepted)(void *arg, int fd), void *arg, struct err *err);

/* Closes and removes the socket. A listener that never listened is fine. */
void vsock_listener_release(struct vsock_listener *l);

/* Listens again after a descriptor has been closed; does nothing if it was not paused. */
void vsock_listener_resume(struct vsock_listener *l);

/* Connects to <uds_path>_<port>. Returns a non-blocking descriptor or -errno. */
int vsock_dial_uds(const char *uds_path, uint32_t port);

/* Parses "CONNECT <port>" without its newline. Spaces around the number are fine. -EINVAL,
 * -ERANGE. */
int vsock_parse_connect(const char *line, uint32_t *ret_port);
