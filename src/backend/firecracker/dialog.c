/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/dialog.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CHUNK = 64 * 1024, /* bytes of code or standard input in one frame, and of one receive */
};

static int add_frame(struct dialog *d, enum wire_type type, const void *payload, size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];
        int r;

        wire_header(header, type, (uint32_t)n);
        r = buf_add(&d->out, header, sizeof(header));
        return r < 0 ? r : buf_add(&d->out, payload, n);
}

/* Receives once into d->in. Bytes received, -EAGAIN, -ECONNRESET at the end. */
static int receive(struct dialog *d, int fd, struct err *err)
{
        size_t room = d->in.max - d->in.len;
        ssize_t n;
        int r;

        if (room > d->room)
                room = d->room;
        r = buf_reserve(&d->in, room);
        if (r < 0)
                return err_set(err, -r, "out of memory");
        do {
                n = recv(fd, d->in.data + d->in.len, room, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n <= 0)
                return err_set(err, ECONNRESET, "the connection to the guest agent ended");
        buf_commit(&d->in, (size_t)n);
        if ((size_t)n == room && d->room < CHUNK)
                d->room *= 2;
        return (int)n;
}

int dialog_read_hello(struct dialog *d, int fd, struct wire_hello *ret, struct err *err)
{
        struct wire_hello hello;
        struct wire_frame frame;
        ssize_t used;
        int r = receive(d, fd, err);

        if (r < 0)
                return r;
        used = wire_decode((const uint8_t *)d->in.data, d->in.len, &frame, err);
        if (used == 0)
                return -EAGAIN;
        if (used < 0)
                return err_wrap(err, "the guest agent sent garbage");
        if (frame.type != WIRE_HELLO)
                return err_set(err, EPROTO, "the guest agent began with %s instead of HELLO",
                               wire_type_name(frame.type));
        if ((r = wire_hello_decode(frame.payload, frame.len, &hello, err)) < 0)
                return r;
        if (hello.protocol != WIRE_PROTOCOL) {
                r = err_set(
                        err, EPROTO,
                        "the guest agent speaks protocol %d, this program %d: run `make images`",
                        hello.protocol, WIRE_PROTOCOL);
                wire_hello_release(&hello);
                return r;
        }
        buf_consume(&d->in, (size_t)used);
        *ret = hello;
        return 0;
}

/* True if `pairs` has an entry with the same name as the first `name_len` bytes of `word`. */
static bool has_name(char *const *pairs, size_t n, const char *word, size_t name_len)
{
        for (size_t i = 0; i < n; i++) {
                if (strncmp(pairs[i], word, name_len) == 0 && pairs[i][name_len] == '=')
                        return true;
        }
        return false;
}

/* The runtime's environment with the workload's on top. `copy` is cut into words in place. */
static const char **merge_env(char *copy, const struct workload_spec *spec, size_t *ret_n)
{
        size_t words = strlen(copy) / 2 + 1;
        const char **env = calloc(words + spec->n_env, sizeof(*env));
        char *rest = copy;
        size_t n = 0;

        if (!env)
                return NULL;
        while (rest) {
                char *word = strsep(&rest, " \t");
                size_t name = strcspn(word, "=");

                if (word[name] == '=' && !has_name(spec->env, spec->n_env, word, name))
                        env[n++] = word;
        }
        for (size_t i = 0; i < spec->n_env; i++)
                env[n++] = spec->env[i];
        *ret_n = n;
        return env;
}

static void set_network(struct wire_network *network, const struct net_lease *lease)
{
        network->enabled = true;
        network->address = lease->address;
        network->gateway = lease->gateway;
        for (int i = 0; i < lease->n_dns && i < WIRE_DNS_MAX; i++)
                network->dns[network->n_dns++] = lease->dns[i];
}

static void sha256_hex(const void *bytes, size_t n, char ret[WIRE_SHA256_LEN + 1])
{
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx ctx;

        sha256_init(&ctx);
        sha256_update(&ctx, n, bytes);
        sha256_digest(&ctx, sizeof(digest), digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* Cuts up to `max` words out of `text`, in place. Returns their number. */
static size_t split(char *text, const char **ret, size_t max)
{
        size_t n = 0;

        while (text && n < max) {
                char *word = strsep(&text, " \t");

                if (*word)
                        ret[n++] = word;
        }
        return n;
}

/* True if the entry point comes as a file of its own, next to the archive. */
static bool is_sent(const struct workload_spec *spec)
{
        for (size_t i = 0; i < spec->n_files && spec->entrypoint; i++)
                if (strcmp(spec->files[i].name, spec->entrypoint) == 0)
                        return true;
        return false;
}

/* What the agent looks for in an archive. The texts are cut into words in place. */
static void set_entry(struct wire_entry *entry, const struct workload_spec *spec,
                      const struct image_runtime *runtime, char *names, char *suffixes)
{
        entry->arg = image_entry_arg(runtime);
        entry->wanted = spec->archive && entry->arg >= 0 && !is_sent(spec);
        entry->path = spec->entrypoint;
        entry->n_names = split(names, entry->names, WIRE_ENTRY_NAMES_MAX);
        entry->n_suffixes = split(suffixes, entry->suffixes, WIRE_ENTRY_SUFFIXES_MAX);
}

static int add_request(struct dialog *d, const char *id, const struct workload_spec *spec,
                       const struct image_runtime *runtime, const struct net_lease *lease,
                       struct err *err)
{
        const char *entry = spec->entrypoint ? spec->entrypoint : runtime->file;
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_CONTROL_MAX);
        _cleanup_free_ char *words = strdup(runtime->env);
        _cleanup_free_ char *names = strdup(runtime->entrypoint ? runtime->entrypoint : "");
        _cleanup_free_ char *suffixes = strdup(runtime->suffix ? runtime->suffix : "");
        _cleanup_free_ const char **argv = NULL;
        _cleanup_free_ const char **env = NULL;
        struct wire_request request = {
                .protocol = WIRE_PROTOCOL,
                .id = id,
                .archive = spec->archive,
                .code_size = spec->code_size,
                .has_stdin = spec->stdin_fd >= 0,
                .timeout_ms = spec->limits.timeout_s * UINT64_C(1000),
                .processes_max = spec->limits.processes,
                .output_max = spec->limits.output_max,
                .wall_clock_ms = clock_wall_ms(),
                .files = (uint32_t)spec->n_files,
                .files_size = spec->files_size,
                .fetch = (const char *const *)spec->fetch,
                .n_fetch = spec->n_fetch,
                .fetch_max = spec->fetch_max,
        };
        char sha256[WIRE_SHA256_LEN + 1];
        int r;

        if (spec->code_size) {
                sha256_hex(spec->code, spec->code_size, sha256);
                request.code_sha256 = sha256;
        }
        r = image_command(runtime, entry, spec->args, spec->n_args, &argv, &request.argc, err);
        if (r < 0)
                return r;
        env = words ? merge_env(words, spec, &request.n_env) : NULL;
        if (!env || !names || !suffixes)
                return err_set(err, ENOMEM, "out of memory");
        request.argv = argv;
        request.env = env;
        if (!spec->archive)
                request.file = entry;
        set_entry(&request.entry, spec, runtime, names, suffixes);
        if (lease)
                set_network(&request.network, lease);
        if ((r = wire_request_encode(&request, &json, err)) < 0)
                return err_wrap(err, "the request to the guest agent");
        r = add_frame(d, WIRE_REQUEST, json.data, json.len);
        return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

int dialog_begin(struct dialog *d, const char *id, const struct workload_spec *spec,
                 const struct image_runtime *runtime, const struct net_lease *lease,
                 const struct dialog_events *events, void *ctx, struct err *err)
{
        int r;

        d->events = events;
        d->ctx = ctx;
        d->code = spec->code;
        d->code_left = spec->code_size;
        d->files = spec->files;
        d->n_files = spec->n_files;
        d->stdin_fd = spec->stdin_fd;
        if ((r = fetched_begin(&d->fetched, spec, err)) < 0)
                return r;
        d->request_ns = clock_ns();
        /* The PING goes ahead of the request in the same write: it measures the bare round trip and
         * costs none. */
        r = add_frame(d, WIRE_PING, &d->request_ns, sizeof(d->request_ns));
        if (r < 0)
                return err_set(err, -r, "out of memory");
        if ((r = add_request(d, id, spec, runtime, lease, err)) < 0)
                return r;
        d->request_ns = clock_ns();
        return 0;
}

/* Adds the next piece of some bytes to what is to be sent. */
static int add_piece(struct dialog *d, enum wire_type type, const uint8_t **bytes, size_t *left)
{
        size_t n = *left < CHUNK ? *left : CHUNK;
        int r = add_frame(d, type, *bytes, n);

        if (r == 0) {
                *bytes += n;
                *left -= n;
        }
        return r;
}

static int add_file(struct dialog *d, struct err *err)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_FILE_MAX);
        const struct workload_file *f = d->files;
        char sha256[WIRE_SHA256_LEN + 1];
        struct wire_file file = {
                .name = f->name, .mode = f->mode, .size = f->size, .sha256 = sha256};
        int r;

        sha256_hex(f->bytes, f->size, sha256);
        if ((r = wire_file_encode(&file, &json, err)) < 0)
                return err_wrap(err, "a file for the guest agent");
        if ((r = add_frame(d, WIRE_FILE, json.data, json.len)) < 0)
                return err_set(err, -r, "out of memory");
        d->data = f->bytes;
        d->data_left = f->size;
        d->files++;
        d->n_files--;
        return 0;
}

static bool has_more(const struct dialog *d)
{
        return d->code_left || d->data_left || d->n_files;
}

/* Adds the next piece of code or files. */
static int add_more(struct dialog *d, struct err *err)
{
        int r;

        if (d->code_left)
                r = add_piece(d, WIRE_CODE, &d->code, &d->code_left);
        else if (d->data_left)
                r = add_piece(d, WIRE_DATA, &d->data, &d->data_left);
        else
                return add_file(d, err);
        return r < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

bool dialog_wants_write(const struct dialog *d)
{
        return d->out_at < d->out.len || has_more(d);
}

int dialog_write(struct dialog *d, int fd, struct err *err)
{
        while (dialog_wants_write(d)) {
                ssize_t n;
                int r;

                if (has_more(d) && d->out.len - d->out_at < CHUNK && (r = add_more(d, err)) < 0)
                        return r;
                n = send(fd, d->out.data + d->out_at, d->out.len - d->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0) {
                        /* What is left cannot be sent, and need not: only reading matters now. */
                        d->code_left = d->data_left = d->n_files = 0;
                        d->stdin_fd = -1;
                        d->out_at = d->out.len = 0;
                        return err_set(err, ECONNRESET, "the connection to the guest agent ended");
                }
                d->out_at += (size_t)n;
                if (d->out_at == d->out.len)
                        d->out_at = d->out.len = 0;
        }
        return 0;
}

int dialog_stdin_fd(const struct dialog *d)
{
        return dialog_wants_write(d) ? -1 : d->stdin_fd;
}

void dialog_read_stdin(struct dialog *d)
{
        uint8_t *at;
        ssize_t n;

        if (d->stdin_fd < 0 || buf_reserve(&d->out, WIRE_HEADER_SIZE + CHUNK) < 0)
                return;
        at = (uint8_t *)d->out.data + d->out.len;
        n = read(d->stdin_fd, at + WIRE_HEADER_SIZE, CHUNK);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                n = 0; /* an empty frame is the end; an error of the source ends it too */
                d->stdin_fd = -1;
        }
        wire_header(at, WIRE_STDIN, (uint32_t)n);
        buf_commit(&d->out, WIRE_HEADER_SIZE + (size_t)n);
}

static void note_response(struct dialog *d)
{
        if (d->answered)
                return;
        d->answered = true;
        d->events->first_response(d->ctx, clock_ns() - d->request_ns);
}

static int handle(struct dialog *d, const struct wire_frame *f, struct err *err)
{
        int r;

        switch (f->type) {
        case WIRE_STDOUT:
        case WIRE_STDERR:
                note_response(d);
                r = d->events->output(d->ctx,
                                      f->type == WIRE_STDOUT ? WORKLOAD_STDOUT : WORKLOAD_STDERR,
                                      f->payload, f->len);
                return r < 0 ? err_set(err, -r, "output: %s", strerror(-r)) : 0;
        case WIRE_FILE:
                note_response(d);
                r = fetched_file(&d->fetched, f->payload, f->len, err);
                return r < 0 ? err_wrap(err, "the guest agent's files") : 0;
        case WIRE_DATA:
                r = fetched_data(&d->fetched, f->payload, f->len, err);
                return r < 0 ? err_wrap(err, "the guest agent's files") : 0;
        case WIRE_RESULT:
                note_response(d);
                r = wire_result_decode(f->payload, f->len, &d->result, err);
                if (r < 0)
                        return err_wrap(err, "the guest agent's RESULT");
                d->has_result = true;
                return 0;
        case WIRE_PONG:
                if (d->ponged)
                        break; /* one PING was sent */
                d->ponged = true;
                d->events->pong(d->ctx, clock_ns() - d->request_ns);
                return 0;
        default:
                break;
        }
        return err_set(err, EPROTO, "the guest agent sent %s out of turn", wire_type_name(f->type));
}

int dialog_read(struct dialog *d, int fd, struct err *err)
{
        struct wire_frame frame;
        size_t at = 0;
        int r = receive(d, fd, err);

        if (r < 0)
                return r == -EAGAIN ? 0 : r;
        while (!d->has_result) {
                ssize_t used =
                        wire_decode((const uint8_t *)d->in.data + at, d->in.len - at, &frame, err);

                if (used < 0)
                        return err_wrap(err, "the guest agent sent garbage");
                if (used == 0)
                        break;
                if ((r = handle(d, &frame, err)) < 0)
                        return r;
                at += (size_t)used;
        }
        buf_consume(&d->in, at);
        return 0;
}

struct workload_fetch *dialog_fetched(struct dialog *d, const char *why)
{
        if (d->has_result && d->result.error)
                why = "the program was not run";
        else if (d->has_result)
                why = d->result.fetch_error;
        return fetched_end(&d->fetched, why);
}

void dialog_release(struct dialog *d)
{
        fetched_release(&d->fetched);
        if (d->has_result)
                wire_result_release(&d->result);
        buf_release(&d->in);
        buf_release(&d->out);
        *d = DIALOG_INIT;
}
