/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which part of an output came from which stream, as a run-length code, so that the output of both
 * streams is stored once and in order. A run is LEB128(length * 2 + (1 if standard error)); the
 * code is never longer than the output. Thread rule: pure functions.
 */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

/* Adds n bytes of a stream. -ENOMEM, -ENOBUFS: `runs` is unchanged. */
int streams_add(struct buf *runs, enum workload_stream stream, size_t n);

/*
 * Appends the bytes of one stream to `ret`. -ENODATA: the runs do not cover the output, as in
 * records of early versions, which have none.
 */
int streams_take(const struct buf *runs, const struct buf *output, enum workload_stream stream,
                 struct buf *ret);
