/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many MB/s of output pass through engine, output log and file, and what limits them. A backend
 * without a VM writes a fixed number of bytes, in lines of a given length, in pieces as large as
 * those of the wire. The clock stops when the last byte is in the file. The same run measures the
 * same bytes only split into lines (nothing is written), the same chunks only inserted into SQLite,
 * and only written to a file.
 *
 * Writers that are not limited are faster than any file. Lines that were not stored are counted;
 * rows with a limited rate show up to which rate there are none.
 *
 *     bench_engine_output [DIR] [MB]          DIR: for the file (default: $TMPDIR, /tmp)
 */
#include "backend/backend.h"
#include "base/clock.h"
#include "base/fs.h"
#include "engine/engine.h"
#include "output/output.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, CHUNK = OUTPUT_CHUNK_MAX, VMS = 2 };

static size_t total = 512 << 20;
static char piece[PIECE];
static size_t pace; /* MB/s of all writers together; 0: no limit */

/* ---- a backend that writes ---- */

static void capabilities(struct backend *b, struct backend_capabilities *ret)
{
        *ret = (struct backend_capabilities){
                .name = "writer", .isolation = "none", .runtimes = {"sh"}, .n_runtimes = 1};
}

static int resolve(struct backend *b, struct workload_spec *spec, struct err *err)
{
        return 0;
}

static void execute(struct backend *b, const struct backend_task *task,
                    struct workload_outcome *ret)
{
        uint64_t start = clock_ns();

        ret->status = WORKLOAD_COMPLETED;
        ret->exit_code = 0;
        for (size_t n = 0; n < (size_t)atoi(task->spec->code) * PIECE; n += PIECE) {
                uint64_t due = pace ? start + n * VMS * 1000 / pace : 0; /* MB/s: bytes a us */
                uint64_t now = pace ? clock_ns() : 0;

                if (now < due)
                        usleep((unsigned)((due - now) / NS_PER_US));
                task->sink.output(task->sink.ctx, WORKLOAD_STDOUT, piece, PIECE);
        }
}

static int cleanup(struct backend *b, struct backend_run *run)
{
        return -ENOENT;
}

static void free_backend(struct backend *b)
{
}

static const struct backend_ops ops = {
        .capabilities = capabilities,
        .resolve = resolve,
        .execute = execute,
        .cleanup = cleanup,
        .free = free_backend,
};

/* ---- measurements ---- */

struct result {
        double seconds;
        uint64_t lost, last_seq; /* lines */
};

static char dir[256];

static struct output_store *open_store(void)
{
        char path[300], moved_to[PATH_MAX];
        struct output_store *store;
        struct err error = ERR_INIT;

        snprintf(path, sizeof(path), "%s/logs.db", dir);
        if (output_store_open(path, &store, moved_to, &error) < 0)
                errx(1, "%s", error.msg);
        return store;
}

static void close_store(struct output_store *store)
{
        char path[300];

        output_store_close(store);
        snprintf(path, sizeof(path), "%s/logs.db", dir);
        unlink(path);
}

static struct output *open_output(struct output_store *store)
{
        struct output_config config = {
                .store = store, .lines_max = UINT64_MAX, .size_max = UINT64_C(1) << 40};
        struct output *output;
        struct err error = ERR_INIT;

        if (output_new(&config, &output, &error) < 0)
                errx(1, "%s", error.msg);
        return output;
}

static void count(struct output *output, const char *id, struct result *r)
{
        struct output_summary summary;

        if (output_summary(output, id, &summary, NULL) < 0)
                errx(1, "the log of %s is gone", id);
        r->lost += summary.lost;
        r->last_seq += summary.last_seq;
}

/* Engine, output log and file, with VMS concurrent workloads. */
static struct result whole_path(void)
{
        struct output_store *store = open_store();
        struct output *output = open_output(store);
        struct backend backend = {&ops};
        struct engine_config config = {.backends = {&backend},
                                       .n_backends = 1,
                                       .output = output,
                                       .max_vms = VMS,
                                       .node_id = "bench"};
        struct result r = {0};
        struct engine *engine;
        struct err error = ERR_INIT;
        char ids[VMS][ULID_LEN + 1];
        uint64_t start;

        if (engine_new(&config, &engine, &error) < 0)
                errx(1, "%s", error.msg);
        start = clock_ns();
        for (int i = 0; i < VMS; i++) {
                struct workload_spec spec = WORKLOAD_SPEC_INIT;
                struct engine_sink sink = {0};
                char code[32];

                snprintf(spec.runtime, sizeof(spec.runtime), "sh");
                snprintf(code, sizeof(code), "%zu", total / VMS / PIECE);
                spec.code = strdup(code);
                spec.code_size = strlen(code);
                if (engine_submit(engine, &spec, "auto", &sink, ids[i], &error) < 0)
                        errx(1, "%s", error.msg);
        }
        engine_drain(engine);
        for (struct workload w; engine_get(engine, ids[0], &w, NULL) == 0; workload_release(&w))
                usleep(1000);
        for (struct workload w; engine_get(engine, ids[1], &w, NULL) == 0; workload_release(&w))
                usleep(1000);
        output_sync(output);
        r.seconds = (double)(clock_ns() - start) / NS_PER_S;
        for (int i = 0; i < VMS; i++)
                count(output, ids[i], &r);
        engine_free(engine);
        output_free(output);
        close_store(store);
        return r;
}

/* Only splitting into lines, on one thread; lines that the file is too slow for are dropped. */
static struct result cutting(void)
{
        struct output_store *store = open_store();
        struct output *output = open_output(store);
        struct output_log *log = output_log_begin(output, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        uint64_t start = clock_ns();
        struct result r = {0};

        for (size_t n = 0; n < total; n += PIECE)
                output_log_write(log, WORKLOAD_STDOUT, piece, PIECE);
        r.seconds = (double)(clock_ns() - start) / NS_PER_S;
        output_log_end(&log);
        output_sync(output);
        count(output, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &r);
        output_free(output);
        close_store(store);
        return r;
}

/* The same bytes as chunks, inserted by the store. */
static struct result inserting(void)
{
        struct output_store *store = open_store();
        struct output_chunk chunk = {.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV", .size = CHUNK};
        char *bytes = malloc(CHUNK);
        struct result r = {0};
        struct err error = ERR_INIT;
        uint64_t start;

        memset(bytes, 'x', CHUNK);
        chunk.bytes = bytes;
        start = clock_ns();
        for (size_t n = 0; n < total;) {
                output_store_begin(store, &error);
                for (size_t batch = 0; batch < OUTPUT_BATCH_MAX; batch += CHUNK, n += CHUNK) {
                        chunk.first_seq = chunk.last_seq = n / CHUNK + 1;
                        if (output_store_add(store, &chunk, &error) < 0)
                                errx(1, "%s", error.msg);
                }
                output_store_commit(store, &error);
        }
        r.seconds = (double)(clock_ns() - start) / NS_PER_S;
        r.last_seq = chunk.last_seq;
        free(bytes);
        close_store(store);
        return r;
}

/* The same bytes written to a plain file, with fdatasync() as often as SQLite's checkpoints call
 * it. */
static struct result writing(void)
{
        char path[300], *bytes = malloc(CHUNK);
        struct result r = {0};
        uint64_t start;
        int fd;

        snprintf(path, sizeof(path), "%s/plain", dir);
        fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        memset(bytes, 'x', CHUNK);
        start = clock_ns();
        for (size_t n = 0; n < total; n += CHUNK) {
                if (write(fd, bytes, CHUNK) != CHUNK)
                        err(1, "%s", path);
                if (n % (64 << 20) == 0)
                        fdatasync(fd);
        }
        fdatasync(fd);
        r.seconds = (double)(clock_ns() - start) / NS_PER_S;
        close(fd);
        unlink(path);
        free(bytes);
        return r;
}

static void print(const char *what, size_t line, struct result r)
{
        char length[32] = "-";

        if (line)
                snprintf(length, sizeof(length), "%zu", line);
        printf("%-34s %6s %9.0f %9.2f %13.2f %%\n", what, length, (double)total / 1e6 / r.seconds,
               r.last_seq ? (double)r.last_seq / 1e6 / r.seconds : 0.0,
               r.last_seq ? 100.0 * (double)r.lost / (double)r.last_seq : 0.0);
        fflush(stdout);
}

int main(int argc, char **argv)
{
        static const size_t lengths[] = {16, 100, 1000, 10000};
        const char *base = argc > 1 ? argv[1] : getenv("TMPDIR");

        if (argc > 2)
                total = (size_t)atoi(argv[2]) << 20;
        snprintf(dir, sizeof(dir), "%s/bench_logs_XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(dir))
                err(1, "%s", dir);
        printf("%zu MiB of output; file in %s\n\n%-34s %6s %9s %9s %15s\n", total >> 20, dir,
               "path", "line", "MB/s", "Mlines/s", "lines lost");
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                memset(piece, 'x', sizeof(piece));
                for (size_t at = lengths[i] - 1; at < sizeof(piece); at += lengths[i])
                        piece[at] = '\n';
                print("engine, logs and file (2 writers)", lengths[i], whole_path());
                print("cutting into lines (1 writer)", lengths[i], cutting());
        }
        memset(piece, 'x', sizeof(piece));
        for (size_t at = 99; at < sizeof(piece); at += 100)
                piece[at] = '\n';
        for (pace = 100; pace <= 300; pace += 100)
                print("engine, logs and file, held back", 100, whole_path());
        pace = 0;
        print("chunks into SQLite alone", 0, inserting());
        print("a plain file", 0, writing());
        fs_remove_tree(dir, NULL);
        return 0;
}
