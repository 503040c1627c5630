/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One workload in the guest, from its request to its result. The agent (agent.c) owns the
 * connection and the poll loop and passes events to the job. The job never blocks.
 *
 *     NONE --request--> CODE --all of it--> UNPACK --unpacked--> FILES --all of them--> RUN
 *                         `------ no archive ---------------------^                      |
 *                         |                                                            ended
 *                         |                                                              v
 *                         `----- anything failed, time limit: kill, then ------------> DRAIN
 *                                                                                        |
 *                                        ENDED <-- all found -- FETCH <-- files wanted --+--> ENDED
 *
 * An error after the request is part of the job's result (`error`). The functions fail only if the
 * host breaks the protocol (-EPROTO).
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
        JOB_REAP_MAX = 64,            /* processes reaped a turn: orphans may end as fast */
        JOB_FETCH_MS = WIRE_FETCH_MS, /* limit of the search for files that the host wants back */
        JOB_DRAIN_MS = 2000,          /* wait for killed processes to end */
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
        struct err error;                /* what result.error points to */
        struct inbound_check code_check; /* of CODE */
        struct inbound files;            /* FILE and DATA */
        int workdir;                     /* the directory that the program starts in */
        char project[PATH_MAX];          /* its path, if it is not the guest's workdir */
        const char *top; /* the guest's former workdir, to restore; NULL: unchanged */
        char entry[BENEATH_PATH_MAX + 2]; /* the archive's entry point, as a word of argv */
        int code;                         /* the file for the code; -1: none */
        struct feed archive, input;       /* for the unpacker, for the program's standard input */
        struct program program; /* or the unpacker or the search for files, while one runs */
        struct relay relay;     /* from the search to the host */
        struct err fetch_error; /* what result.fetch_error points to */
        int timer;              /* timerfd: the limit of the current state */
        int pressure;           /* reports that memory runs out; -1: not available */
        bool full;              /* memory has run out */
        bool by_itself;         /* the program ended, and not by SIGKILL */
        bool overdue;           /* JOB_DRAIN_MS have passed */
        bool childless;         /* no child process is left */
        uint64_t started_ns;
        uint64_t output_left; /* bytes of output that may still go to the host */
        struct usage usage;
};

int job_init(struct job *j, struct guest *g, struct err *err);
void job_release(struct job *j);

/* Handle a frame from the host. -EPROTO: malformed, or not allowed in this state. */
int job_request(struct job *j, const void *payload, size_t n, struct err *err);
int job_code(struct job *j, const void *bytes, size_t n, struct err *err);
int job_file(struct job *j, const void *payload, size_t n, struct err *err);
int job_data(struct job *j, const void *bytes, size_t n, struct err *err);
int job_stdin(struct job *j, const void *bytes, size_t n, struct err *err);

/* True if a frame of n bytes can be handled now. If not, check again after a feed was flushed or a
 * child has ended. */
bool job_has_room(const struct job *j, enum wire_type type, size_t n);

/*
 * Moves or drops a piece of stream 0 or 1 (program.out[]). Returns the number of bytes; 0: none
 * available, no room in the outbox, or the stream has ended.
 */
size_t job_pump(struct job *j, int stream, struct outbox *o);

/* The descriptor of the search for files, to poll for POLLIN; -1: no search, or no room in the
 * outbox. job_found() moves its frames to the outbox. */
int job_found_fd(const struct job *j, const struct outbox *o);
void job_found(struct job *j, struct outbox *o);

/* Reaps children. If there are more than JOB_REAP_MAX, it raises SIGCHLD again. */
void job_reap(struct job *j);

/* Handles the timer, which is readable. */
void job_time(struct job *j);

/* Handles a report of `pressure`: kills the program if its memory is used up. */
void job_press(struct job *j);

/* Leaves the states DRAIN and FETCH if nothing is left to wait for. Call after all of the above. */
void job_settle(struct job *j, struct outbox *o);

/* Kills all processes of the job. */
void job_kill(struct job *j);
