/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FILE and DATA frames from a guest, in any order, while the host fetches files. The host keeps no
 * more than the requested size, and only files with requested names.
 */
#include "session/fetch.h"
#include "wire/frame.h"
#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 100 };

static void check(const struct workload_fetch *f)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < f->n_files; i++) {
                bytes += f->files[i].size;
                if (strstr(f->files[i].name, "..") == f->files[i].name ||
                    !wire_pattern_fits(f->notes[f->files[i].pattern].pattern, f->files[i].name))
                        abort();
        }
        if (bytes > MAX)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct workload_fetch *fetch;
        struct wire_frame frame;
        struct session_fetch f;
        struct err err = ERR_INIT;
        ssize_t n;
        int r = 0;

        spec.fetch_max = MAX;
        if (workload_spec_add_fetch(&spec, "out/*.png", &err) < 0 ||
            workload_spec_add_fetch(&spec, "dir", &err) < 0 ||
            workload_spec_add_fetch(&spec, "/tmp/x", &err) < 0 ||
            session_fetch_begin(&f, &spec, &err) < 0)
                abort();
        while (r == 0 && (n = wire_decode(data, size, &frame, &err)) > 0) {
                if (frame.type == WIRE_FILE)
                        r = session_fetch_file(&f, frame.payload, frame.len, &err);
                else if (frame.type == WIRE_DATA)
                        r = session_fetch_data(&f, frame.payload, frame.len, &err);
                data += n;
                size -= (size_t)n;
        }
        fetch = session_fetch_end(&f, r < 0 ? err.msg : NULL);
        check(fetch);
        workload_fetch_unref(fetch);
        session_fetch_release(&f);
        workload_spec_release(&spec);
        return 0;
}
