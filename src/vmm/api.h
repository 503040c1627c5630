/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's API without its transport: a method, a path and a body in, a status and a body out.
 *
 * Paths are read as Firecracker reads them: `path` as it was sent, undecoded; what follows the second
 * part means nothing. Messages begin with Firecracker's words for their kind ("Boot source error",
 * "The requested operation is not supported after starting the microVM."); what follows is ours.
 *
 * PUT and PATCH bodies go through the same table of sections as the configuration file (config.h).
 * Success is 204, or 200 with JSON; any error is 400 with {"fault_message": "…"}, what this
 * program does not have included. Starting, pausing and resuming need QEMU's answer: they may be
 * answered later (status 0 now, then `completed`), one at a time.
 *
 * Thread rule: the loop's thread.
 */
#pragma once

#include "base/buf.h"
#include "vmm/config.h"
#include "vmm/metrics.h"

enum {
        API_BODY_MAX = 51200,       /* bytes of a request's body, as Firecracker's default */
        API_REPLY_MAX = 256 * 1024, /* bytes of a reply's */
};

enum vm_state { VM_NOT_STARTED, VM_RUNNING, VM_PAUSED };

/* What the API can have done. 0: done, 1: begun, api_complete() will tell, -errno: refused. */
struct api_ops {
        int (*start)(void *arg, struct err *err);
        int (*pause)(void *arg, struct err *err);
        int (*resume)(void *arg, struct err *err);
        int (*flush_metrics)(void *arg, struct err *err);
        int (*ctrl_alt_del)(void *arg, struct err *err);
        /* A section of the configuration that takes effect at once was put. */
        int (*apply_logger)(void *arg, const struct vm_logger *logger, struct err *err);
        int (*apply_metrics)(void *arg, const struct vm_metrics_section *metrics, struct err *err);
        int (*apply_vsock)(void *arg, const struct vm_vsock *vsock, struct err *err);
};

struct api_reply {
        int status; /* 0: comes later */
        struct buf body;
};

#define API_REPLY_INIT ((struct api_reply){.body = BUF_INIT(API_REPLY_MAX)})

struct api {
        struct vm_config *cfg;
        struct vmm_metrics *metrics;
        const char *id;
        enum vm_state state;
        const struct api_ops *ops;
        void *arg;
        bool busy; /* an answer is still to come */
        void (*completed)(void *arg, const struct api_reply *reply);
        void *completed_arg;
};

/* Answers a request. `ret` is to be released by buf_release(&ret->body). */
void api_handle(struct api *api, const char *method, const char *path, const char *body, size_t n,
                struct api_reply *ret);

/* The operation that was begun has ended: NULL for success. */
void api_complete(struct api *api, const char *error);
