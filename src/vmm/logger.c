/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LOGGER_LINE_MAX = 1024 };

static const char *const names[] = {"Off", "Error", "Warn", "Info", "Debug", "Trace"};
static struct {
        const char *id;
        enum logger_level level;
        bool show_level, show_origin;
        int fd;
        uint64_t missed;
} logger = {.id = "anonymous-instance", .level = LOGGER_WARN, .fd = STDOUT_FILENO};

void logger_set_id(const char *id)
{
        logger.id = id;
}

int logger_level_parse(const char *text, enum logger_level *ret)
{
        if (strcasecmp(text, "Warning") == 0)
                text = "Warn";
        for (int i = LOGGER_OFF; i <= LOGGER_TRACE; i++) {
                if (strcasecmp(text, names[i]) == 0) {
                        *ret = (enum logger_level)i;
                        return 0;
                }
        }
        return -EINVAL;
}

void logger_set_level(enum logger_level level)
{
        logger.level = level;
}

void logger_set_show(bool level, bool origin)
{
        logger.show_level = level;
        logger.show_origin = origin;
}

int logger_open(const char *path, struct err *err)
{
        int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);

        if (fd < 0)
                return err_errno(err, "log_path: cannot open %s", path);
        if (logger.fd != STDOUT_FILENO)
                close(logger.fd);
        logger.fd = fd;
        return 0;
}

uint64_t logger_missed(void)
{
        return logger.missed;
}

static int put_head(char *line, size_t size, enum logger_level level, const char *file, int at)
{
        struct timespec now;
        struct tm tm;
        char when[32];
        size_t n;

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
        n = (size_t)snprintf(line, size, "%s.%09ld [%.64s:main", when, now.tv_nsec, logger.id);
        if (logger.show_level)
                n += (size_t)snprintf(line + n, size - n, ":%s", names[level]);
        if (logger.show_origin)
                n += (size_t)snprintf(line + n, size - n, ":%s:%d", file, at);
        n += (size_t)snprintf(line + n, size - n, "] ");
        return (int)n;
}

void logger_escape(char *ret, size_t size, const char *text)
{
        size_t n = 0;

        for (; *text; text++) {
                bool control = (unsigned char)*text < ' ' || *text == 0x7f;

                if (n + (control ? 4 : 1) >= size)
                        break;
                if (control)
                        n += (size_t)snprintf(ret + n, size - n, "\\x%02x", (unsigned char)*text);
                else
                        ret[n++] = *text;
        }
        ret[n] = '\0';
}

void logger_line(enum logger_level level, const char *file, int at, const char *fmt, ...)
{
        char line[LOGGER_LINE_MAX], text[LOGGER_LINE_MAX];
        va_list ap;
        int n;

        if (level > logger.level)
                return;
        n = put_head(line, sizeof(line), level, file, at);
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        logger_escape(line + n, sizeof(line) - (size_t)n - 1, text);
        n += (int)strlen(line + n);
        line[n++] = '\n';
        if (write(logger.fd, line, (size_t)n) != n)
                logger.missed++;
}
