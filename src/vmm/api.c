/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/api.h"

#include "base/cleanup.h"
#include "vmm/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How an error about a body begins. */
#define UNREADABLE "An error occurred when deserializing the json body of a request"

/* A path as Firecracker reads it: it ignores leading slashes and everything after the second
 * part. */
struct route {
        char name[64]; /* the first part, "" for "/"; a longer one is cut and matches nothing */
        char id[96];   /* the second part, or "" */
};

static void split_path(struct route *ret, const char *path)
{
        size_t n;

        path += strspn(path, "/");
        n = strcspn(path, "/");
        snprintf(ret->name, sizeof(ret->name), "%.*s", (int)n, path);
        path += n + (path[n] == '/');
        snprintf(ret->id, sizeof(ret->id), "%.*s", (int)strcspn(path, "/"), path);
}

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

        /* A path or a cut name may not be valid UTF-8. */
        if (!json)
                json = json_pack("{s:s}", "fault_message", "Invalid request: not UTF-8");
        put_json(ret, 400, json);
}

/* Firecracker names only the first part of the path. */
static void no_such(struct api_reply *ret, const char *method, const struct route *r)
{
        char text[256];

        snprintf(text, sizeof(text), "Invalid request method and/or path: %.16s %.160s.", method,
                 r->name);
        fault(ret, text);
}

/* Answers a request according to the result of its operation. */
static void finish(struct api *api, struct api_reply *ret, int r, const struct err *err)
{
        if (r < 0)
                fault(ret, err->msg);
        else if (r == 0)
                ret->status = 204;
        else
                api->busy = true; /* the reply's status stays 0 */
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

static void handle_get(struct api *api, const struct route *r, struct api_reply *ret)
{
        const struct vm_section *s = vm_section_find(r->name, strlen(r->name));

        if (!r->name[0]) {
                api->metrics->get_instance_info_count++;
                put_json(ret, 200,
                         json_pack("{s:s, s:s, s:s, s:s}", "id", api->id, "state",
                                   state_name(api->state), "vmm_version", VMM_API_VERSION,
                                   "app_name", "vulcan-vmm"));
        } else if (strcmp(r->name, "version") == 0) {
                api->metrics->get_vmm_version_count++;
                put_json(ret, 200, json_pack("{s:s}", "firecracker_version", VMM_API_VERSION));
        } else if (strcmp(r->name, "vm") == 0 && strcmp(r->id, "config") == 0) {
                put_json(ret, 200, vm_config_dump(api->cfg));
        } else if (strcmp(r->name, "machine-config") == 0) {
                api->metrics->get_machine_cfg_count++;
                put_json(ret, 200, vm_config_dump_section(api->cfg, s));
        } else if (s && vm_section_refusal(s)) {
                fault(ret, vm_section_refusal(s));
        } else {
                no_such(ret, "GET", r);
        }
}

static const char before_start[] =
        "The requested operation is not supported before starting the microVM.";
static const char after_start[] =
        "The requested operation is not supported after starting the microVM.";

/* Runs the operation that the body's only field names. */
static int run_word(struct api *api, const json_t *body, const char *field,
                    int (*run)(struct api *, const char *, struct err *), struct err *err)
{
        const char *word = json_string_value(json_object_get(body, field));

        if (!word)
                return err_set(err, EBADMSG, "%s: missing or not a string", field);
        if (json_object_size(body) != 1)
                return err_set(err, EBADMSG, "unknown field besides \"%s\"", field);
        return run(api, word, err);
}

static int run_action(struct api *api, const char *word, struct err *err)
{
        if (strcmp(word, "InstanceStart") == 0) {
                struct err why = ERR_INIT;
                int r;

                if (api->state != VM_NOT_STARTED)
                        return err_set(err, EBUSY, "%s", after_start);
                r = api->ops->start(api->arg, &why);
                return r < 0 ? err_set(err, -r, "Start microvm error: %s", why.msg) : r;
        }
        if (strcmp(word, "SendCtrlAltDel") == 0 || strcmp(word, "FlushMetrics") == 0) {
                if (api->state == VM_NOT_STARTED)
                        return err_set(err, EBUSY, "%s", before_start);
                return word[0] == 'S' ? api->ops->ctrl_alt_del(api->arg, err)
                                      : api->ops->flush_metrics(api->arg, err);
        }
        return err_set(err, EBADMSG,
                       "action_type: \"%.64s\" is not InstanceStart, FlushMetrics or "
                       "SendCtrlAltDel",
                       word);
}

static int run_state(struct api *api, const char *word, struct err *err)
{
        bool pause = strcmp(word, "Paused") == 0;

        if (!pause && strcmp(word, "Resumed") != 0)
                return err_set(err, EBADMSG, "state: \"%.64s\" is not Paused or Resumed", word);
        if (api->state == VM_NOT_STARTED)
                return err_set(err, EBUSY, "%s", before_start);
        if (api->state == (pause ? VM_PAUSED : VM_RUNNING))
                return 0;
        return pause ? api->ops->pause(api->arg, err) : api->ops->resume(api->arg, err);
}

/* Prefixes an error about a section with Firecracker's words for it. */
static int explain(const struct vm_section *s, int r, struct err *err)
{
        static const struct {
                const char *section, *words;
        } kinds[] = {
                {"boot-source", "Boot source error"},
                {"drives", "Drive config error"},
                {"entropy", "Entropy config error"},
                {"logger", "Logger error"},
                {"metrics", "Metrics error"},
                {"machine-config", "Machine config error"},
                {"vsock", "Vsock config error"},
                {"network-interfaces", "Network config error"},
        };

        if (r == -EBADMSG)
                return err_wrap(err, UNREADABLE);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && r != -ENOTSUP && r != -ENOKEY;
             i++) {
                if (strcmp(kinds[i].section, vm_section_name(s)) == 0)
                        return err_wrap(err, "%s", kinds[i].words);
        }
        return r;
}

static int put_section(struct api *api, const struct vm_section *s, json_t *body, const char *id,
                       bool partial, struct err *err)
{
        bool is_metrics = strcmp(vm_section_name(s), "metrics") == 0;
        int r = 0;

        if (api->state != VM_NOT_STARTED)
                return err_set(err, EBUSY, "%s", after_start);
        if (is_metrics && api->cfg->has_metrics)
                r = err_set(err, EBUSY,
                            "Cannot initialize the metrics system due to bad user input: "
                            "Reinitialization of metrics not allowed.");
        if (r == 0)
                r = vm_config_put(api->cfg, s, body, id, partial, err);
        if (r == 0 && strcmp(vm_section_name(s), "logger") == 0)
                r = api->ops->apply_logger(api->arg, &api->cfg->logger, err);
        if (r == 0 && is_metrics) {
                r = api->ops->apply_metrics(api->arg, &api->cfg->metrics, err);
                api->cfg->has_metrics = r == 0;
        }
        /* As in Firecracker, a former device's socket is gone even if the new one fails. */
        if (r == 0 && strcmp(vm_section_name(s), "vsock") == 0) {
                r = api->ops->apply_vsock(api->arg, &api->cfg->vsock, err);
                api->cfg->has_vsock = r == 0;
        }
        return r < 0 ? explain(s, r, err) : r;
}

#define COUNT(m, field)                                                                            \
        {                                                                                          \
                &(m)->field##_count, &(m)->field##_fails                                           \
        }

struct counters {
        uint64_t *count, *fails;
};

/* The counters of a request; {NULL} if Firecracker's metrics have none for it. */
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

/* Firecracker can unplug these devices if it has PCI; this program cannot. */
static int unplug(const struct route *r, struct err *err)
{
        static const char *const pluggable[] = {"drives", "pmem", "network-interfaces"};

        for (size_t i = 0; i < sizeof(pluggable) / sizeof(pluggable[0]); i++) {
                if (strcmp(r->name, pluggable[i]) == 0)
                        return err_set(err, ENOTSUP, "DELETE of %s is not supported by vulcan-vmm",
                                       r->name);
        }
        return -ENOENT;
}

/* Requests that change something. Returns as api_ops do, or -ENOENT for an unknown path. */
static int change(struct api *api, bool put, const struct route *r, json_t *body, struct err *err)
{
        const struct vm_section *s = vm_section_find(r->name, strlen(r->name));
        bool action = put && strcmp(r->name, "actions") == 0;

        if (action || (!put && strcmp(r->name, "vm") == 0)) {
                int done = action ? run_word(api, body, "action_type", run_action, err)
                                  : run_word(api, body, "state", run_state, err);

                return done == -EBADMSG ? err_wrap(err, UNREADABLE) : done;
        }
        if (!s)
                return -ENOENT;
        if (vm_section_refusal(s))
                return err_set(err, ENOTSUP, "%s", vm_section_refusal(s));
        if (vm_section_is_list(s) && !r->id[0])
                return err_set(err, EINVAL, "The ID cannot be empty.");
        if (vm_section_is_list(s) && strspn(r->id, VM_ID_CHARACTERS) != strlen(r->id))
                return err_set(err, EINVAL,
                               "API Resource IDs can only contain alphanumeric characters and "
                               "underscores.");
        if (!put && vm_section_is_list(s))
                return err_set(err, ENOTSUP, "PATCH of %s is not supported by vulcan-vmm",
                               vm_section_name(s));
        if (!put && strcmp(vm_section_name(s), "machine-config") != 0)
                return -ENOENT;
        if (!put && json_object_size(body) == 0 && json_is_object(body))
                return err_set(err, EINVAL, "Empty PATCH request.");
        return put_section(api, s, body, vm_section_is_list(s) ? r->id : NULL, !put, err);
}

/* Parses the body and carries out the request. */
static int change_from_text(struct api *api, bool put, const struct route *r, const char *body,
                            size_t n, struct err *err)
{
        const struct vm_section *s = vm_section_find(r->name, strlen(r->name));
        json_error_t e;
        json_t *json;
        int done;

        if (n == 0)
                return err_set(err, EINVAL, "Empty %s request.", put ? "PUT" : "PATCH");
        if (api->busy)
                return err_set(err, EBUSY, "Another operation is in progress.");
        if (s && vm_section_refusal(s))
                return err_set(err, ENOTSUP, "%s", vm_section_refusal(s));
        json = json_loadb(body, n, JSON_REJECT_DUPLICATES, &e);
        done = json ? change(api, put, r, json, err)
                    : err_set(err, EBADMSG, UNREADABLE ": not valid JSON: %s", e.text);
        json_decref(json);
        return done;
}

void api_handle(struct api *api, const char *method, const char *path, const char *body, size_t n,
                struct api_reply *ret)
{
        bool put = strcmp(method, "PUT") == 0;
        struct counters c = {0};
        struct err err = ERR_INIT;
        struct route route = {0};
        int r;

        split_path(&route, path);
        if (strcmp(method, "GET") == 0) {
                if (n)
                        fault(ret, "GET request cannot have a body.");
                else
                        handle_get(api, &route, ret);
                return;
        }
        if (put || strcmp(method, "PATCH") == 0) {
                if (n) /* Firecracker does not count requests without a body */
                        c = counters_of(api->metrics, route.name, put);
                if (c.count)
                        ++*c.count;
                r = change_from_text(api, put, &route, body, n, &err);
        } else {
                r = strcmp(method, "DELETE") != 0 ? -ENOENT
                    : n                           ? err_set(&err, EINVAL, "Empty Delete request.")
                                                  : unplug(&route, &err);
        }
        if (r < 0 && c.fails)
                ++*c.fails;
        if (r == -ENOENT && !err.code)
                no_such(ret, method, &route);
        else
                finish(api, ret, r, &err);
}
