/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the OpenAPI document with the implementation, in both directions. Each route is in the
 * document, and each operation of the document is a route. Each member of a real answer is in the
 * schema of that answer, with its type, and each property of each schema occurs in some answer.
 */
#include "api/openapi.h"
#include "api_fixture.h"
#include "backend/registry.h"
#include "base/fs.h"

#include <ctype.h>

static json_t *document;
static json_t *seen; /* "Schema.property" of each member that an answer had */

static int load(void **state)
{
        document = json_loadb((const char *)api_openapi, api_openapi_size, JSON_REJECT_DUPLICATES,
                              NULL);
        seen = json_object();
        return document ? 0 : -1;
}

static int unload(void **state)
{
        json_decref(document);
        json_decref(seen);
        return 0;
}

/* Follows "$ref": "#/components/…". *name becomes its last component. */
static json_t *resolve(json_t *node, const char **name)
{
        const char *ref;

        while ((ref = json_string_value(json_object_get(node, "$ref"))) != NULL) {
                char path[128], *rest = path + 2, *word;

                snprintf(path, sizeof(path), "%s", ref);
                node = document;
                while ((word = strsep(&rest, "/")) != NULL)
                        node = json_object_get(node, word);
                if (!node)
                        fail_msg("%s leads nowhere", ref);
                *name = strrchr(ref, '/') + 1;
        }
        return node;
}

/* ---- values against schemas ---- */

static bool type_fits(const char *type, json_t *value)
{
        return (strcmp(type, "null") == 0 && json_is_null(value)) ||
               (strcmp(type, "string") == 0 && json_is_string(value)) ||
               (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
               (strcmp(type, "number") == 0 && json_is_number(value)) ||
               (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
               (strcmp(type, "array") == 0 && json_is_array(value)) ||
               (strcmp(type, "object") == 0 && json_is_object(value));
}

static void check_type(json_t *schema, json_t *value, const char *where)
{
        json_t *type = json_object_get(schema, "type"), *one, *choices;
        bool fits = json_is_string(type) && type_fits(json_string_value(type), value);
        size_t i;

        json_array_foreach(type, i, one) fits |= type_fits(json_string_value(one), value);
        if (!fits)
                fail_msg("%s is not of its type", where);
        choices = json_object_get(schema, "enum");
        fits = !choices;
        json_array_foreach(choices, i, one) fits |= json_equal(one, value);
        if (!fits)
                fail_msg("%s is not one of its values", where);
}

static void check(json_t *schema, json_t *value, const char *where);

static void check_object(json_t *schema, json_t *value, const char *where)
{
        json_t *properties = json_object_get(schema, "properties");
        json_t *more = json_object_get(schema, "additionalProperties"), *member, *name;
        const char *key;
        char path[256];
        size_t i;

        json_object_foreach(value, key, member)
        {
                json_t *property = json_object_get(properties, key);

                snprintf(path, sizeof(path), "%s.%s", where, key);
                if (!property && properties)
                        fail_msg("%s is not in the document", path);
                if (!property && json_is_object(more))
                        property = more;
                json_object_set_new(seen, path, json_true());
                if (property)
                        check(property, member, path);
        }
        json_array_foreach(json_object_get(schema, "required"), i, name)
        {
                if (!json_object_get(value, json_string_value(name)))
                        fail_msg("%s.%s is required and missing", where, json_string_value(name));
        }
}

static void check(json_t *schema, json_t *value, const char *where)
{
        const char *name = where;
        json_t *item;
        size_t i;

        schema = resolve(schema, &name);
        check_type(schema, value, name);
        if (json_is_object(value))
                check_object(schema, value, name);
        json_array_foreach(value, i, item) check(json_object_get(schema, "items"), item, name);
}

/* ---- operations ---- */

static json_t *operation_of(const char *method, const char *pattern)
{
        json_t *path = json_object_get(json_object_get(document, "paths"), pattern);
        char lower[16];
        size_t i;

        for (i = 0; method[i] && i < sizeof(lower) - 1; i++)
                lower[i] = (char)tolower((unsigned char)method[i]);
        lower[i] = '\0';
        return json_object_get(path, lower);
}

/* Sends a request and compares status, content type and body with the document. */
static json_t *ask_documented(struct daemon *d, const char *method, const char *pattern,
                              const char *path, const char *body, unsigned want)
{
        struct answer a = ask(&d->served, method, path, body);
        json_t *operation = operation_of(method, pattern), *response, *content, *json = NULL;
        char status[16], type[64] = "";
        const char *name = "", *header = a.headers ? strstr(a.headers, "Content-Type: ") : NULL;

        assert_non_null(operation);
        snprintf(status, sizeof(status), "%u", a.status);
        if (a.status != want)
                fail_msg("%s %s: %u instead of %u: %s", method, path, a.status, want, a.body);
        response = json_object_get(json_object_get(operation, "responses"), status);
        if (!response)
                fail_msg("%s %s: the document has no answer %s", method, pattern, status);
        assert_non_null(header);
        sscanf(header, "Content-Type: %63[^;\r\n]", type);
        content = json_object_get(json_object_get(resolve(response, &name), "content"), type);
        if (!content)
                fail_msg("%s %s: the document has no %s", method, pattern, type);
        if (strcmp(type, "application/json") == 0) {
                json = json_loadb(a.body, a.body_size, 0, NULL);
                assert_non_null(json);
                check(json_object_get(content, "schema"), json, pattern);
        }
        answer_release(&a);
        return json;
}

static void the_document_has_every_route_and_no_other(void **state)
{
        static const char *const methods[] = {"get", "post", "put", "patch", "delete"};
        size_t n, operations = 0;
        const struct http_route *routes = api_routes(&n);
        json_t *item;
        const char *key;

        for (size_t i = 0; i < n; i++)
                if (!operation_of(routes[i].method, routes[i].pattern))
                        fail_msg("%s %s is not in the document", routes[i].method,
                                 routes[i].pattern);
        json_object_foreach(json_object_get(document, "paths"), key, item)
        {
                for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
                        operations += json_object_get(item, methods[i]) != NULL;
        }
        assert_int_equal(operations, n); /* so the document has no other */
        assert_string_equal(json_string_value(json_object_get(document, "openapi")), "3.1.0");
}

/* The table of docs/api.md has a row for each route; its pattern may be followed by parameters. */
static void the_page_has_every_route(void **state)
{
        struct buf page = BUF_INIT(1 << 20);
        struct err err = ERR_INIT;
        size_t n;
        const struct http_route *routes = api_routes(&n);

        if (fs_read(SOURCE_DIR "/docs/api.md", &page, &err) < 0)
                fail_msg("%s", err.msg);
        for (size_t i = 0; i < n; i++) {
                const char *row = page.data;
                char start[128];
                size_t len = (size_t)snprintf(start, sizeof(start), "\n| `%s %s", routes[i].method,
                                              routes[i].pattern);

                while ((row = strstr(row, start)) != NULL && !strchr("`?", row[len]))
                        row++;
                if (!row)
                        fail_msg("docs/api.md: no row for %s %s", routes[i].method,
                                 routes[i].pattern);
        }
        buf_release(&page);
}

/* A submission may ask for "auto" and for the isolation of each backend of the product. */
static void the_document_has_the_isolation_of_every_backend(void **state)
{
        json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
        json_t *fields = json_object_get(json_object_get(schemas, "Order"), "properties");
        json_t *choices = json_object_get(json_object_get(fields, "isolation"), "enum"), *choice;
        size_t i;

        for (const struct backend_ops *const *b = backend_registry; *b; b++) {
                bool found = false;

                json_array_foreach(choices, i, choice) found |=
                        strcmp(json_string_value(choice), (*b)->isolation) == 0;
                if (!found)
                        fail_msg("%s is not an isolation of the document", (*b)->isolation);
        }
}

/* Each documented member of a submission is accepted, and no other. */
static void submissions_have_the_documented_members(void **state)
{
        struct daemon *d = daemon_new(1, 4, NULL);
        json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
        json_t *fields = json_object_get(json_object_get(schemas, "Order"), "properties"), *field;
        json_t *resources = json_object_get(json_object_get(fields, "resources"), "properties");
        const char *key;
        char body[128];

        json_object_foreach(fields, key, field)
        {
                if (strcmp(key, "input") == 0) /* any value is valid */
                        continue;
                snprintf(body, sizeof(body), "{\"%s\": [[]]}", key);
                assert_refused(d, "POST", "/v1/workloads", body, 400, key);
        }
        json_object_foreach(resources, key, field)
        {
                snprintf(body, sizeof(body), "{\"resources\": {\"%s\": []}}", key);
                assert_refused(d, "POST", "/v1/workloads", body, 400, key);
        }
        assert_refused(d, "POST", "/v1/workloads", "{\"other\": 1}", 400, "other: unknown field");
        json_decref(ask_documented(
                d, "POST", "/v1/workloads", "/v1/workloads",
                "{\"runtime\":\"sh\",\"code\":\"exit 0\",\"args\":[\"a\"],\"env\":{\"A\":\"b\"},"
                "\"input\":\"x\",\"network\":\"none\",\"isolation\":\"auto\",\"entrypoint\":null,"
                "\"resources\":{\"cpus\":1,\"mem_mb\":64,\"timeout_s\":5}}",
                201));
        daemon_stop(d);
        daemon_free(d);
}

/* The documented query parameters are those that an operation lists when it rejects an unknown
 * one. */
static void requests_take_the_documented_parameters(void **state)
{
        static const struct {
                const char *method, *pattern, *path;
        } asked[] = {
                {"POST", "/v1/workloads", "/v1/workloads?other=1"},
                {"GET", "/v1/workloads", "/v1/workloads?other=1"},
                {"GET", "/v1/workloads/{id}/logs", "/v1/workloads/x/logs?other=1"},
                {"GET", "/v1/workloads/{id}/logs/history", "/v1/workloads/x/logs/history?other=1"},
        };
        struct daemon *d = daemon_new(1, 4, NULL);
        json_t *parameter;
        size_t j;

        for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
                json_t *operation = operation_of(asked[i].method, asked[i].pattern);
                char want[128] = "other: unknown parameter; there are", *end = want + strlen(want);
                char before = ':';
                json_t *json = ask_json(d, asked[i].method, asked[i].path, "{}", 400);

                json_array_foreach(json_object_get(operation, "parameters"), j, parameter)
                {
                        if (strcmp(text_in(parameter, "in"), "query") != 0)
                                continue;
                        end += sprintf(end, "%c %s", before, text_in(parameter, "name"));
                        before = ',';
                }
                assert_string_equal(text_in(json, "error"), want);
                json_decref(json);
        }
        daemon_stop(d);
        daemon_free(d);
}

static json_t *submit_documented(struct daemon *d, const char *how, const char *code, unsigned want)
{
        char body[128];
        const char *pattern = strstr(how, "async") ? how : "/v1/workloads";

        snprintf(body, sizeof(body), "{\"runtime\":\"sh\",\"code\":\"%s\"}", code);
        return ask_documented(d, "POST", pattern, how, body, want);
}

static void ask_all(struct daemon *d)
{
        json_t *said = submit_documented(d, "/v1/workloads", "say bytes \\u0001\\n", 201);
        json_t *accepted = submit_documented(d, "/v1/workloads?wait=false", "hang", 202);
        const char *id = text_in(said, "id"), *running = text_in(accepted, "id");
        char path[128];

        json_decref(submit_documented(d, "/v1/workloads/async", "exit 1", 202));
#define ASK(method, pattern, status, ...)                                                          \
        do {                                                                                       \
                snprintf(path, sizeof(path), __VA_ARGS__);                                         \
                json_decref(ask_documented(d, method, pattern, path, NULL, status));               \
        } while (0)
        ASK("GET", "/v1/workloads/{id}", 200, "/v1/workloads/%s", id);
        ASK("GET", "/v1/workloads/{id}", 200, "/v1/workloads/%s", running);
        ASK("GET", "/v1/workloads/{id}", 404, "/v1/workloads/none");
        ASK("DELETE", "/v1/workloads/{id}", 409, "/v1/workloads/%s", id);
        ASK("DELETE", "/v1/workloads/{id}", 404, "/v1/workloads/none");
        ASK("DELETE", "/v1/workloads/{id}", 200, "/v1/workloads/%s", running);
        ASK("GET", "/v1/workloads", 200, "/v1/workloads?limit=2");
        ASK("GET", "/v1/workloads", 400, "/v1/workloads?limit=none");
        ASK("GET", "/v1/workloads/{id}/logs", 200, "/v1/workloads/%s/logs", id);
        ASK("GET", "/v1/workloads/{id}/logs", 400, "/v1/workloads/%s/logs?format=none", id);
        ASK("GET", "/v1/workloads/{id}/logs", 404, "/v1/workloads/none/logs");
        ASK("GET", "/v1/workloads/{id}/logs/history", 200, "/v1/workloads/%s/logs/history", id);
        ASK("GET", "/v1/workloads/{id}/logs/history", 400, "/v1/workloads/%s/logs/history?limit=0",
            id);
        ASK("GET", "/v1/workloads/{id}/logs/history", 404, "/v1/workloads/none/logs/history");
        ASK("GET", "/v1/openapi.json", 200, "/v1/openapi.json");
        ASK("GET", "/v1/backends", 200, "/v1/backends");
        ASK("GET", "/v1/stats", 200, "/v1/stats");
        ASK("GET", "/healthz", 200, "/healthz");
        ASK("GET", "/metrics", 200, "/metrics");
        json_decref(said);
        json_decref(accepted);
}

/* Removes the chunk headers of a chunked body, in place. */
static void dechunk(char *body)
{
        char *to = body, *from = body;
        size_t n;

        while ((n = strtoul(from, &from, 16)) != 0) {
                memmove(to, from + 2, n);
                to += n;
                from += 2 + n + 2;
        }
        *to = '\0';
}

/* The data of an event of a log has a documented schema. */
static void ask_events(struct daemon *d)
{
        json_t *ref = json_pack("{s:s}", "$ref", "#/components/schemas/LogLine");
        json_t *dropped = json_pack("{s:s}", "$ref", "#/components/schemas/LogDropped"), *json;
        struct output_log *log = output_log_begin(d->output, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        char line[OUTPUT_LINE_MAX], *data;
        struct answer a;
        int n = 0;

        memset(line, '\xff', sizeof(line));
        output_log_write(log, WORKLOAD_STDERR, line, sizeof(line));
        output_log_write(log, WORKLOAD_STDERR, "x",
                         1); /* so the first line is partial, and not UTF-8 */
        for (int i = 0; i < 3; i++)
                output_log_write(log, WORKLOAD_STDERR, "ok\n", 3);
        output_log_end(&log);
        a = ask(&d->served, "GET", "/v1/workloads/01ARZ3NDEKTSV4RRFFQ69G5FAV/logs?format=json",
                NULL);
        dechunk(a.body);
        for (data = strstr(a.body, "data: "); data; data = strstr(data + 1, "data: ")) {
                bool lost;

                data[strcspn(data, "\n")] = '\0';
                json = json_loads(data + 6, 0, NULL);
                if (!json)
                        assert_string_equal(data, "data: stream complete");
                lost = json && json_object_get(json, "count");
                if (json)
                        check(lost ? dropped : ref, json, "");
                n += lost;
                json_decref(json);
                *(data + strlen(data)) = '\n';
        }
        assert_int_equal(n, 1);
        answer_release(&a);
        json_decref(ref);
        json_decref(dropped);
}

static void answers_match_their_documented_schemas(void **state)
{
        struct daemon *d = daemon_with(1, 4, NULL, 2, 0);
        json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
        json_t *schema, *property;
        const char *name, *key;
        char path[256];

        json_decref(ask_documented(
                d, "POST", "/v1/workloads", "/v1/workloads",
                "{\"runtime\":\"sh\",\"code\":\"both\",\"files\":{\"a\":{\"base64\":\"/w==\","
                "\"mode\":\"0755\"},\"b\":\"text\"},\"fetch\":[\"a\",\"b\",{\"base64\":\"6Q==\"}]}",
                201));
        ask_all(d);
        ask_events(d);
        daemon_stop(d);
        daemon_free(d);
        json_object_foreach(schemas, name, schema)
        {
                if (strcmp(name, "Order") == 0) /* is only sent by clients */
                        continue;
                json_object_foreach(json_object_get(schema, "properties"), key, property)
                {
                        snprintf(path, sizeof(path), "%s.%s", name, key);
                        if (!json_object_get(seen, path))
                                fail_msg("%s is in the document and in no answer", path);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_document_has_every_route_and_no_other),
                cmocka_unit_test(the_page_has_every_route),
                cmocka_unit_test(the_document_has_the_isolation_of_every_backend),
                cmocka_unit_test(submissions_have_the_documented_members),
                cmocka_unit_test(requests_take_the_documented_parameters),
                cmocka_unit_test(answers_match_their_documented_schemas),
        };

        return cmocka_run_group_tests(tests, load, unload);
}
