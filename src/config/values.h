/* SPDX-License-Identifier: Apache-2.0 */
/* The values of all settings, and the source of each. Plain data. */
#pragma once

#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        SETTINGS_TEXT_MAX = 4096, /* bytes of a string or path, including the NUL */
        SETTINGS_COUNT_MAX = 64,  /* rows of the table */
};

/* The verbs that have a setting. Bits. */
enum settings_verb {
        SETTINGS_SERVE = 1,  /* vulcan serve */
        SETTINGS_RUN = 2,    /* vulcan run, in-process */
        SETTINGS_CLIENT = 4, /* verbs that send requests to a daemon */
        SETTINGS_DOCTOR = 8, /* vulcan doctor */
};

enum settings_source {
        SETTINGS_FROM_DEFAULT,
        SETTINGS_FROM_FILE,
        SETTINGS_FROM_ENVIRONMENT,
        SETTINGS_FROM_FLAG,
};

struct settings {
        char config[SETTINGS_TEXT_MAX];     /* the settings file; "": none */
        char listen[SETTINGS_TEXT_MAX];     /* ADDRESS:PORT, [ADDRESS]:PORT */
        char token_file[SETTINGS_TEXT_MAX]; /* "": no token */
        char ca_file[SETTINGS_TEXT_MAX];    /* "": the system's */
        bool allow_public;
        char state_dir[SETTINGS_TEXT_MAX]; /* absolute */
        char images[SETTINGS_TEXT_MAX];    /* "": see image_dir() */
        char vmm[SETTINGS_TEXT_MAX];       /* "auto", "firecracker", "qemu" or an absolute path */
        char server[SETTINGS_TEXT_MAX];    /* URL of a daemon; "": none */
        char net_bridge[SETTINGS_TEXT_MAX];
        char net_pool[SETTINGS_TEXT_MAX];
        char net_refuse[SETTINGS_TEXT_MAX]; /* networks, separated by commas */
        unsigned net_connections;           /* per guest and second; 0: no limit */
        unsigned net_packets;
        uint64_t net_bandwidth;          /* bytes */
        char node_id[SETTINGS_TEXT_MAX]; /* default: the host's name */
        unsigned max_vms;
        unsigned max_memory_mb;
        unsigned max_queue;
        unsigned drain_s;
        unsigned max_connections;
        unsigned boot_timeout_s;
        uint64_t output_max;        /* bytes that a workload may write */
        uint64_t output_record_max; /* bytes that its record keeps */
        uint64_t fetch_max;         /* bytes of files that a workload returns */
        unsigned records_max;
        uint64_t records_size_max;
        unsigned log_lines_max; /* lines per workload */
        uint64_t log_size_max;  /* bytes of all logs */
        unsigned log_age_max_s;
        char push[SETTINGS_TEXT_MAX];            /* URL of a Pushgateway; "": none */
        char remote_write[SETTINGS_TEXT_MAX];    /* URL of a remote-write receiver; "": none */
        char push_token_file[SETTINGS_TEXT_MAX]; /* for both; "": no token */
        char push_instance[SETTINGS_TEXT_MAX];   /* "": from node_id and the process */
        unsigned push_timeout_s;
        enum log_level log_level;
        char log_format[SETTINGS_TEXT_MAX]; /* "text" or "json" */
        char access_log[SETTINGS_TEXT_MAX]; /* "off", "errors" or "on" */

        /* Private: the source of row i and, for the file, the line. */
        uint8_t source[SETTINGS_COUNT_MAX];
        unsigned line[SETTINGS_COUNT_MAX];
};
