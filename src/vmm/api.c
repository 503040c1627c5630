/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/api.h"

#include "base/cleanup.h"
#include "vmm/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void put_json(struct api_reply *ret, int status, json_t *json)
{
        char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

        ret->status = text && buf_add(&ret->body, text, strlen(text)) == 0 ? status : 500;
        free(text);
        json_decref(json);
}

static void fault(struct api_reply *ret, const char *message)
{
        json_t *json = json_pack("{s:s}", "fault_message", message);

        /* A path, or a name that was cut, may be no UTF-8. */
        if (!json)
                json = json_pack("{s:s}", "fault_message", "Invalid request: not UTF-8");
        put_json(ret, 400, json);
}

static void no_such(struct api_reply *ret, const char *method, const char *path)
{
        char text[256];

        snprintf(text, sizeof(text), "Invalid request method and/or path: %.16s %.160s", method,
                 path);
        fault(ret, text);
}

/* Ends a request by the result of what it asked for. */
static void finish(struct api *api, struct api_reply *ret, int r, const struct err *err)
{
        if (r < 0)
                fault(ret, err->msg);
        else if (r == 0)
                ret->status = 204;
        else
                api->busy = true; /* the status stays 0 */
}

void api_complete(struct api *api, const char *error)
{
        struct api_reply reply = API_REPLY_INIT;

        if (!api->busy)
                return;
        api->busy = false;
        if (error)
                fault(&reply, error);
        else
                reply.status = 204;
        if (api->completed)
                api->completed(api->completed_arg, &reply);
        buf_release(&reply.body);
}

static const char *state_name(enum vm_state state)
{
        return state == VM_RUNNING ? "Running" : state == VM_PAUSED ? "Paused" : "Not started";
}

static void handle_get(struct api *api, const char *path, struct api_reply *ret)
{
        const struct vm_section *s = vm_section_find(path + 1, strlen(path + 1));

        if (strcmp(path, "/") == 0) {
                api->metrics->get_instance_info_count++;
                put_json(ret, 200,
                         json_pack("{s:s, s:s, s:s, s:s}", "id", api->id, "state",
                                   state_name(api->state), "vmm_version", VMM_API_VERSION,
                                   "app_name", "vulcan-vmm"));
        } else if (strcmp(path, "/version") == 0) {
                api->metrics->get_vmm_version_count++;
                put_json(ret, 200, json_pack("{s:s}", "firecracker_version", VMM_API_VERSION));
        } else if (strcmp(path, "/vm/config") == 0) {
                put_json(ret, 200, vm_config_dump(api->cfg));
        } else if (strcmp(path, "/machine-config") == 0) {
                api->metrics->get_machine_cfg_count++;
                put_json(ret, 200, vm_config_dump_section(api->cfg, s));
        } else if (s && vm_section_refusal(s)) {
                fault(ret, vm_section_refusal(s));
        } else {
                no_such(ret, "GET", path);
        }
}

/* Runs what the body's one field names. */
static int run_word(struct api *api, const json_t *body, const char *field,
                    int (*run)(struct api *, const char *, struct err *), struct err *err)
{
        const char *word = json_string_value(json_object_get(body, field));

        if (!word)
                return err_set(err, EINVAL, "%s: missing or no string", field);
        if (json_object_size(body) != 1)
                return err_set(err, EINVAL, "unknown field besides \"%s\"", field);
        return run(api, word, err);
}

static int run_action(struct api *api, const char *word, struct err *err)
{
        if (strcmp(word, "FlushMetrics") == 0)
                return api->ops->flush_metrics(api->arg, err);
        if (strcmp(word, "InstanceStart") == 0) {
                if (api->state != VM_NOT_STARTED)
                        return err_set(err, EBUSY,
                                       "The requested operation is not supported after "
                                       "starting the microVM.");
                return api->ops->start(api->arg, err);
        }
        if (strcmp(word, "SendCtrlAltDel") == 0) {
                if (api->state == VM_NOT_STARTED)
                        return err_set(err, EBUSY,
                                       "The requested operation is not supported "
                                       "before starting the microVM.");
                return api->ops->ctrl_alt_del(api->arg, err);
        }
        return err_set(err, EINVAL,
                       "action_type: \"%.64s\" is none of InstanceStart, "
                       "FlushMetrics, SendCtrlAltDel",
                       word);
}

static int run_state(struct api *api, const char *word, struct err *err)
{
        bool pause = strcmp(word, "Paused") == 0;

        if (!pause && strcmp(word, "Resumed") != 0)
                return err_set(err, EINVAL, "state: \"%.64s\" is none of Paused, Resumed", word);
        if (api->state == VM_NOT_STARTED)
                return err_set(err, EBUSY,
                               "The requested operation is not supported before "
                               "starting the microVM.");
        if (api->state == (pause ? VM_PAUSED : VM_RUNNING))
                return 0;
        return pause ? api->ops->pause(api->arg, err) : api->ops->resume(api->arg, err);
}

static int put_section(struct api *api, const struct vm_section *s, const json_t *body,
                       const char *id, bool partial, struct err *err)
{
        bool had_metrics = api->cfg->has_metrics;
        int r;

        if (api->state != VM_NOT_STARTED)
                return err_set(err, EBUSY,
                               "The requested operation is not supported after "
                               "starting the microVM.");
        if (strcmp(vm_section_name(s), "metrics") == 0 && had_metrics)
                return err_set(err, EBUSY, "The metrics system was already initialized.");
        r = vm_config_put(api->cfg, s, body, id, partial, err);
        if (r == 0 && strcmp(vm_section_name(s), "logger") == 0)
                r = api->ops->apply_logger(api->arg, &api->cfg->logger, err);
        if (r == 0 && strcmp(vm_section_name(s), "metrics") == 0) {
                r = api->ops->apply_metrics(api->arg, api->cfg->metrics.metrics_path, err);
                if (r < 0)
                        api->cfg->has_metrics = false;
        }
        return r;
}

#define COUNT(m, field)                                                                            \
        {                                                                                          \
                &(m)->field##_count, &(m)->field##_fails                                           \
        }

struct counters {
        uint64_t *count, *fails;
};

/* The counters of a request; {NULL} where Firecracker's file has none. */
static struct counters counters_of(struct vmm_metrics *m, const char *what, bool put)
{
        const struct {
                const char *name;
                bool put;
                struct counters c;
        } rows[] = {
                {"actions", true, COUNT(m, put_actions)},
                {"boot-source", true, COUNT(m, put_boot_source)},
                {"drives", true, COUNT(m, put_drive)},
                {"logger", true, COUNT(m, put_logger)},
                {"machine-config", true, COUNT(m, put_machine_cfg)},
                {"metrics", true, COUNT(m, put_metrics)},
                {"network-interfaces", true, COUNT(m, put_network)},
                {"vsock", true, COUNT(m, put_vsock)},
                {"machine-config", false, COUNT(m, patch_machine_cfg)},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                if (rows[i].put == put && strcmp(rows[i].name, what) == 0)
                        return rows[i].c;
        }
        return (struct counters){0};
}

/* Splits "/name/id"; false when there is more or the id is empty. */
static bool split_path(const char *path, size_t *ret_name_len, const char **ret_id)
{
        const char *slash = strchr(path + 1, '/');

        *ret_name_len = slash ? (size_t)(slash - path - 1) : strlen(path + 1);
        *ret_id = slash ? slash + 1 : NULL;
        return !slash || (slash[1] && !strchr(slash + 1, '/'));
}

/* Requests that change something; 0, 1 or -errno as the operations. -ENOENT: no such thing. */
static int change(struct api *api, const char *method, const char *path, const json_t *body,
                  struct err *err)
{
        bool put = strcmp(method, "PUT") == 0;
        const struct vm_section *s;
        const char *id;
        size_t n;

        if (put && strcmp(path, "/actions") == 0)
                return run_word(api, body, "action_type", run_action, err);
        if (!put && strcmp(path, "/vm") == 0)
                return run_word(api, body, "state", run_state, err);
        if (!split_path(path, &n, &id))
                return -ENOENT;
        s = vm_section_find(path + 1, n);
        if (!s || (!vm_section_refusal(s) && vm_section_is_list(s) != (id != NULL)))
                return -ENOENT;
        if (vm_section_refusal(s))
                return err_set(err, ENOTSUP, "%s", vm_section_refusal(s));
        if (!put && strcmp(vm_section_name(s), "machine-config") != 0)
                return vm_section_is_list(s)
                               ? err_set(err, ENOTSUP, "PATCH of %s is not supported by vulcan-vmm",
                                         vm_section_name(s))
                               : -ENOENT;
        return put_section(api, s, body, id, !put, err);
}

void api_handle(struct api *api, const char *method, const char *path, const char *body, size_t n,
                struct api_reply *ret)
{
        bool put = strcmp(method, "PUT") == 0;
        struct counters c;
        struct err err = ERR_INIT;
        char name[32] = "";
        json_error_t e;
        json_t *json;
        int r;

        if (path[0] != '/' || (!put && strcmp(method, "PATCH") != 0)) {
                if (path[0] == '/' && strcmp(method, "GET") == 0)
                        handle_get(api, path, ret);
                else
                        no_such(ret, method, path);
                return;
        }
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(path + 1, "/"), path + 1);
        c = counters_of(api->metrics, name, put);
        if (c.count)
                ++*c.count;
        json = json_loadb(body ? body : "", n, JSON_REJECT_DUPLICATES, &e);
        if (api->busy)
                r = err_set(&err, EBUSY, "Another operation is in progress.");
        else if (!json && vm_section_find(name, strlen(name)) &&
                 vm_section_refusal(vm_section_find(name, strlen(name))))
                r = err_set(&err, ENOTSUP, "%s",
                            vm_section_refusal(vm_section_find(name, strlen(name))));
        else if (!json)
                r = err_set(&err, EINVAL, "The body is not valid JSON: %s", e.text);
        else
                r = change(api, method, path, json, &err);
        json_decref(json);
        if (r < 0 && c.fails)
                ++*c.fails;
        if (r == -ENOENT && !err.code)
                no_such(ret, method, path);
        else
                finish(api, ret, r, &err);
}
