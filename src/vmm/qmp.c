/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/qmp.h"

#include "vmm/logger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void answered(struct qmp *qmp, const char *error, const json_t *result)
{
        qmp_done_fn done = qmp->pending[qmp->first].done;
        void *arg = qmp->pending[qmp->first].arg;

        if (qmp->n_pending == 0)
                return; /* an answer without a command, which QEMU does not send */
        qmp->first = (qmp->first + 1) % QMP_PENDING_MAX;
        qmp->n_pending--;
        if (done)
                done(arg, error, result);
}

static void handle_message(struct qmp *qmp, const char *text, size_t n)
{
        json_error_t e;
        json_t *m = json_loadb(text, n, 0, &e);
        const json_t *error = json_object_get(m, "error");
        const char *event = json_string_value(json_object_get(m, "event"));

        if (!m)
                logger_error("QMP: not JSON: %s", e.text);
        else if (event && qmp->on_event)
                qmp->on_event(qmp->event_arg, event, json_object_get(m, "data"));
        else if (error) {
                const char *desc = json_string_value(json_object_get(error, "desc"));

                answered(qmp, desc ? desc : "unknown error", NULL);
        } else if (json_object_get(m, "return")) {
                qmp->ready = true;
                answered(qmp, NULL, json_object_get(m, "return"));
        }
        json_decref(m);
}

static void close_qmp(struct qmp *qmp)
{
        int fd = qmp->src.fd;

        if (fd < 0)
                return;
        loop_del(qmp->loop, &qmp->src);
        close(fd);
        while (qmp->n_pending > 0)
                answered(qmp, "QEMU closed its monitor", NULL);
}

static void qmp_ready(struct loop_source *src, uint32_t events)
{
        struct qmp *qmp = src->owner;
        ssize_t n = -1;
        char *end;

        (void)events;
        if (buf_reserve(&qmp->in, 4096) == 0)
                n = recv(src->fd, qmp->in.data + qmp->in.len, 4096, MSG_DONTWAIT);
        else
                errno = ENOBUFS;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                close_qmp(qmp);
                return;
        }
        buf_commit(&qmp->in, (size_t)n);
        while (src->fd >= 0 && (end = memchr(qmp->in.data, '\n', qmp->in.len)) != NULL) {
                size_t line = (size_t)(end - qmp->in.data);

                if (line > 1)
                        handle_message(qmp, qmp->in.data, line);
                buf_consume(&qmp->in, line + 1);
        }
}

int qmp_init(struct qmp *qmp, struct loop *loop, int fd, qmp_done_fn done, void *arg,
             struct err *err)
{
        *qmp = (struct qmp){.loop = loop,
                            .src = {.fd = -1, .ready = qmp_ready, .owner = qmp},
                            .in = BUF_INIT(QMP_LINE_MAX)};
        if (loop_add(loop, &qmp->src, fd, EPOLLIN, err) < 0) {
                close(fd);
                return -err->code;
        }
        return qmp_execute(qmp, "qmp_capabilities", done, arg, err);
}

void qmp_release(struct qmp *qmp)
{
        if (!qmp->loop)
                return;
        close_qmp(qmp);
        buf_release(&qmp->in);
        qmp->loop = NULL;
}

int qmp_execute(struct qmp *qmp, const char *command, qmp_done_fn done, void *arg, struct err *err)
{
        char text[128];
        int n = snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);
        int at = (qmp->first + qmp->n_pending) % QMP_PENDING_MAX;

        if (qmp->src.fd < 0)
                return err_set(err, EPIPE, "QEMU has ended");
        if (qmp->n_pending == QMP_PENDING_MAX)
                return err_set(err, EBUSY, "QEMU does not answer");
        /* QMP_PENDING_MAX short commands always fit into the socket's buffer. */
        if (send(qmp->src.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
                return err_errno(err, "cannot reach QEMU");
        qmp->pending[at].done = done;
        qmp->pending[at].arg = arg;
        qmp->n_pending++;
        return 0;
}
