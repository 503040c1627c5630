/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files and API requests. Input: one byte that selects, then the text. 0: a whole
 * configuration file; others: the body of one of the API's requests. The printed form of an
 * accepted configuration must be accepted too.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int done(void *arg, struct err *err)
{
        return 0;
}

static int begun(void *arg, struct err *err)
{
        return 1;
}

static int refused(void *arg, struct err *err)
{
        return err_set(err, ENOTSUP, "no");
}

static int logger(void *arg, const struct vm_logger *l, struct err *err)
{
        return 0;
}

static int metrics(void *arg, const struct vm_metrics_section *section, struct err *err)
{
        return 0;
}

static int vsock(void *arg, const struct vm_vsock *v, struct err *err)
{
        return 0;
}

static const struct api_ops ops = {begun, done, done, done, refused, logger, metrics, vsock};

static void try_file(const char *text, size_t n)
{
        struct vm_config cfg, again;
        struct err err = ERR_INIT;

        vm_config_init(&cfg);
        vm_config_init(&again);
        if (vm_config_parse(&cfg, text, n, &err) == 0) {
                json_t *dump = vm_config_dump(&cfg);
                char *printed = dump ? json_dumps(dump, 0) : NULL;

                if (!printed || vm_config_parse(&again, printed, strlen(printed), &err) < 0)
                        abort();
                free(printed);
                json_decref(dump);
        } else if (!err.msg[0]) {
                abort(); /* an error without a reason */
        }
        vm_config_release(&cfg);
        vm_config_release(&again);
}

static void try_request(unsigned which, const char *body, size_t n)
{
        static const char *const requests[][2] = {
                {"PUT", "/boot-source"},
                {"PUT", "/drives/a"},
                {"PUT", "/machine-config"},
                {"PATCH", "/machine-config"},
                {"PUT", "/vsock"},
                {"PUT", "/logger"},
                {"PUT", "/network-interfaces/a"},
                {"PUT", "/metrics"},
                {"PUT", "/entropy"},
                {"PUT", "/actions"},
                {"PATCH", "/vm"},
                {"PUT", "/balloon"},
        };
        const char *const *r = requests[which % (sizeof(requests) / sizeof(requests[0]))];
        struct vmm_metrics m = {0};
        struct vm_config cfg;
        struct api api = {.cfg = &cfg, .metrics = &m, .id = "a", .ops = &ops};
        struct api_reply reply = API_REPLY_INIT;

        vm_config_init(&cfg);
        api.state = which & 0x80 ? VM_RUNNING : VM_NOT_STARTED;
        api_handle(&api, r[0], r[1], body, n, &reply);
        if (reply.status != 0 && reply.status != 204 && reply.status != 400)
                abort();
        if ((reply.status == 400) != (reply.body.len > 0))
                abort(); /* an error has a message, success has none */
        buf_release(&reply.body);
        vm_config_release(&cfg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        if (data[0] == 0)
                try_file((const char *)data + 1, size - 1);
        else
                try_request(data[0], (const char *)data + 1, size - 1);
        return 0;
}
