/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which part of an output came from which stream: a run-length code beside it, so that the output is
 * kept once. A run is LEB128 of length * 2 + (standard error); so the code has no more bytes than the
 * output. Thread rule: pure functions.
 */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

/* Says that n more bytes came from a stream. -ENOMEM, -ENOBUFS; then nothing has changed. */
int streams_add(struct buf *runs, enum workload_stream stream, size_t n);

/*
 * Adds the bytes of one stream to `ret`. -ENODATA if the runs do not fit the output: a record that
 * was made without them.
 */
int streams_take(const struct buf *runs, const struct buf *output, enum workload_stream stream,
                 struct buf *ret);
