/* SPDX-License-Identifier: Apache-2.0 */
/* SANITIZED is 1 where a sanitizer brings its own allocator and maps address space for itself, else 0:
 * gcc says it with macros, clang by __has_feature(). */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
        __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#define SANITIZED 0
#endif
