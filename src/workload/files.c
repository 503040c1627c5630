/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/files.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void workload_file_release(struct workload_file *f)
{
        free(f->name);
        free(f->bytes);
        *f = (struct workload_file){0};
}

static void destroy(struct workload_fetch *f)
{
        for (size_t i = 0; i < f->n_files; i++)
                workload_file_release(&f->files[i]);
        for (size_t i = 0; i < f->n_notes; i++) {
                free(f->notes[i].pattern);
                free(f->notes[i].error);
        }
        free(f->files);
        free(f->notes);
        free(f);
}

int workload_fetch_add_note(struct workload_fetch *f, const char *pattern, const char *error)
{
        struct workload_note note = {.pattern = strdup(pattern),
                                     .error = error ? strdup(error) : NULL};
        struct workload_note *more = reallocarray(f->notes, f->n_notes + 1, sizeof(*more));

        if (more)
                f->notes = more;
        if (!more || !note.pattern || (error && !note.error)) {
                free(note.pattern);
                free(note.error);
                return -ENOMEM;
        }
        f->notes[f->n_notes++] = note;
        return 0;
}

struct workload_fetch *workload_fetch_new(char *const *patterns, size_t n)
{
        struct workload_fetch *f = calloc(1, sizeof(*f));

        if (!f)
                return NULL;
        atomic_init(&f->refs, 1);
        for (size_t i = 0; i < n; i++) {
                if (workload_fetch_add_note(f, patterns[i], NULL) < 0) {
                        destroy(f);
                        return NULL;
                }
        }
        return f;
}

int workload_fetch_add(struct workload_fetch *f, const struct workload_file *file)
{
        struct workload_file *more = f->files;

        assert(file->pattern < f->n_notes);
        if ((f->n_files & (f->n_files - 1)) == 0) /* a power of two, or none yet */
                more = reallocarray(more, f->n_files ? 2 * f->n_files : 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        f->files = more;
        f->files[f->n_files++] = *file;
        f->notes[file->pattern].n_files++;
        return 0;
}

void workload_fetch_fail(struct workload_fetch *f, size_t pattern, const char *error)
{
        assert(pattern < f->n_notes);
        if (!f->notes[pattern].error)
                f->notes[pattern].error = strdup(error);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct workload_file *)a)->name,
                      ((const struct workload_file *)b)->name);
}

void workload_fetch_seal(struct workload_fetch *f)
{
        if (f->n_files)
                qsort(f->files, f->n_files, sizeof(*f->files), by_name);
}

struct workload_fetch *workload_fetch_ref(struct workload_fetch *f)
{
        if (f)
                atomic_fetch_add(&f->refs, 1);
        return f;
}

void workload_fetch_unref(struct workload_fetch *f)
{
        if (f && atomic_fetch_sub(&f->refs, 1) == 1)
                destroy(f);
}
