/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's API without its transport: it maps a method, a path and a body to a status and a
 * body.
 *
 * Paths are read as Firecracker reads them: undecoded, and ignoring everything after the second
 * part. Error messages begin with Firecracker's words for their kind ("Boot source error", "The
 * requested operation is not supported after starting the microVM."); the rest of the text is ours.
 *
 * PUT and PATCH bodies use the same table of sections as the configuration file (config.h). Success
 * is 204, or 200 with JSON. Every error is 400 with {"fault_message": "…"}, including features that
 * this program lacks. Operations that need QEMU's answer (start, pause, resume, flush) complete
 * later: the reply has status 0, and `completed` delivers the real one. Only one can be pending.
 *
 * Thread rule: the loop's thread.
 */
#pragma once

#include "base/buf.h"
#include "vmm/config.h"
#include "vmm/metrics.h"

enum {
        API_BODY_MAX = 51200,       /* bytes of a request's body; Firecracker's default */
        API_REPLY_MAX = 256 * 1024, /* bytes of a reply's body */
};

enum vm_state { VM_NOT_STARTED, VM_RUNNING, VM_PAUSED };

/* The operations of the API. 0: done; 1: begun, api_complete() follows; -errno: refused. */
struct api_ops {
        int (*start)(void *arg, struct err *err);
        int (*pause)(void *arg, struct err *err);
        int (*resume)(void *arg, struct err *err);
        int (*flush_metrics)(void *arg, struct err *err);
        int (*ctrl_alt_del)(void *arg, struct err *err);
        /* Sections of the configuration that take effect before the start. */
        int (*apply_logger)(void *arg, const struct vm_logger *logger, struct err *err);
        int (*apply_metrics)(void *arg, const struct vm_metrics_section *metrics, struct err *err);
        int (*apply_vsock)(void *arg, const struct vm_vsock *vsock, struct err *err);
};

struct api_reply {
        int status; /* 0: follows later */
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
        bool busy; /* an operation is pending */
        void (*completed)(void *arg, const struct api_reply *reply);
        void *completed_arg;
};

/* Answers a request. The caller releases ret->body by buf_release(). */
void api_handle(struct api *api, const char *method, const char *path, const char *body, size_t n,
                struct api_reply *ret);

/* Reports that the pending operation has completed. `error` is NULL for success. */
void api_complete(struct api *api, const char *error);
