/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of an event stream agree on. A log may be quiet for as long as its program likes; a
 * comment each period shows that the server is alive, and any byte counts as one.
 */
#pragma once

enum {
        HTTP_HEARTBEAT_S = 15,    /* the longest that a server leaves a stream without a byte */
        HTTP_HEARTBEATS_LOST = 2, /* a server that misses this many in a row is dead */
};
