/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heartbeat of event streams, for both ends. A log may be quiet for any time. The server then
 * sends a comment each period to show that it is alive; any other byte shows the same.
 */
#pragma once

enum {
        HTTP_HEARTBEAT_S = 15, /* the longest time without a byte on a stream */
        HTTP_HEARTBEATS_LOST =
                2, /* after that many missed heartbeats a client gives the server up */
};
