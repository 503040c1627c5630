/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One workload in the guest, from its request to its result. The agent (agent.c) owns the
 * connection and the poll loop and tells the job what happened; the job never blocks.
 *
 *     NONE --request--> CODE --all of it--> UNPACK --unpacked--> FILES --all of them--> RUN
 *                         `------ no archive ---------------------^                      |
 *                         |                                                            ended
 *                         |                                                              v
 *                         `----- anything failed, time limit: kill, then ------------> DRAIN
 *                                                                                        |
 *                                        ENDED <-- all found -- FETCH <-- files wanted --+--> ENDED
 *
 * Whatever goes wrong after the request is the job's result, with `error` set, not an error of the
 * functions: those fail only for what breaks the protocol (-EPROTO).
 */
#pragma once

#include "base/err.h"
#include "guest/entry.h"
#include "guest/feed.h"
#include "guest/guest.h"
#include "guest/inbound.h"
#include "guest/outbox.h"
#include "guest/program.h"
#include "guest/relay.h"
#include "guest/usage.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        JOB_REAP_MAX = 64,            /* at once: orphans may end as fast as they are reaped */
        JOB_FETCH_MS = WIRE_FETCH_MS, /* for the files that the host wants back */
        JOB_DRAIN_MS = 2000, /* from the kill of what was left to the end of waiting for it */
};

enum job_state {
        JOB_NONE,
        JOB_CODE,
        JOB_UNPACK,
        JOB_FILES,
        JOB_RUN,
        JOB_DRAIN,
        JOB_FETCH,
        JOB_ENDED,
};

struct job {
        struct guest *guest;
        enum job_state state;
        struct wire_request request;
        struct wire_result result;
        struct err error;                 /* what result.error points to */
        struct inbound_check code_check;  /* CODE still to come */
        struct inbound files;             /* FILE and DATA still to come */
        int workdir;                      /* directory the program starts in */
        char project[PATH_MAX];           /* its path, where it is not that of the guest */
        const char *top;                  /* where that was, until it was changed; or NULL */
        char entry[BENEATH_PATH_MAX + 2]; /* the archive's entry point, a word of the command */
        int code;                         /* file that takes the code; -1: none */
        struct feed archive, input;       /* to the unpacker, to the program's standard input */
        struct program program; /* or the unpacker, or the search for files, while it runs */
        struct relay relay;     /* from the search to the host */
        struct err fetch_error; /* what result.fetch_error points to */
        int timer;              /* timerfd: time limit, then the end of draining */
        int pressure;           /* reports that memory runs out; -1: nothing does */
        bool full;              /* memory has run out */
        bool by_itself;         /* the program ended, but for a SIGKILL */
        bool overdue;           /* JOB_DRAIN_MS have passed */
        bool childless;         /* no process is left */
        uint64_t started_ns;
        uint64_t output_left; /* bytes of output that may still go to the host */
        struct usage usage;
};

int job_init(struct job *j, struct guest *g, struct err *err);
void job_release(struct job *j);

/* The frames of the host. -EPROTO: not at this time, or malformed. */
int job_request(struct job *j, const void *payload, size_t n, struct err *err);
int job_code(struct job *j, const void *bytes, size_t n, struct err *err);
int job_file(struct job *j, const void *payload, size_t n, struct err *err);
int job_data(struct job *j, const void *bytes, size_t n, struct err *err);
int job_stdin(struct job *j, const void *bytes, size_t n, struct err *err);

/* True if a frame of n bytes can be taken now; else ask again after a feed moved or a child ended. */
bool job_has_room(const struct job *j, enum wire_type type, size_t n);

/*
 * Moves a part of stream 0 or 1 (program.out[]) to the outbox, or drops it. Returns how many bytes;
 * 0: there are none now, there is no room, or the stream has ended.
 */
size_t job_pump(struct job *j, int stream, struct outbox *o);

/* The descriptor of the search for files, to poll for POLLIN while there is room for what it found;
 * -1: none. job_found() moves some of that to the outbox. */
int job_found_fd(const struct job *j, const struct outbox *o);
void job_found(struct job *j, struct outbox *o);

/* Children have ended. If there are more than JOB_REAP_MAX, SIGCHLD comes again. */
void job_reap(struct job *j);

/* The timer is readable. */
void job_time(struct job *j);

/* The descriptor `pressure` reported: kills what runs if there is no memory left for it. */
void job_press(struct job *j);

/* Ends the draining if there is nothing left to wait for. Call after all of the above. */
void job_settle(struct job *j, struct outbox *o);

/* Kills all that runs. */
void job_kill(struct job *j);
