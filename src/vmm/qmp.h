/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's monitor protocol (docs/interop/qmp-spec.rst) over a connected socket. Commands can be sent
 * before earlier ones are answered; the answers arrive in order. Events are passed to on_event.
 *
 *     qmp_init(&qmp, loop, fd, on_ready, arg, &err);  sends qmp_capabilities
 *     qmp_execute(&qmp, "stop", on_stopped, arg, &err);
 *
 * Thread rule: the loop's thread.
 */
#pragma once

#include "base/buf.h"
#include "vmm/loop.h"

#include <jansson.h>

enum {
        QMP_PENDING_MAX = 16,      /* commands without an answer */
        QMP_LINE_MAX = 256 * 1024, /* bytes of one message */
};

/* `error` is NULL on success, else QEMU's description; `result` is the value it returned. */
typedef void (*qmp_done_fn)(void *arg, const char *error, const json_t *result);

struct qmp {
        struct loop *loop;
        struct loop_source src; /* owns the descriptor */
        struct buf in;
        struct {
                qmp_done_fn done;
                void *arg;
        } pending[QMP_PENDING_MAX];
        int first, n_pending;
        bool ready; /* QEMU has built the machine and answers */
        void (*on_event)(void *arg, const char *name, const json_t *data);
        void *event_arg;
};

/* Takes over the descriptor. `done` is called with the answer to qmp_capabilities. */
int qmp_init(struct qmp *qmp, struct loop *loop, int fd, qmp_done_fn done, void *arg,
             struct err *err);
void qmp_release(struct qmp *qmp);

/* Sends a command without arguments. -EPIPE: no connection; -EBUSY: QMP_PENDING_MAX are pending. */
int qmp_execute(struct qmp *qmp, const char *command, qmp_done_fn done, void *arg, struct err *err);
