/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates of the current processor's slab, without locks or atomic instructions.
 *
 * Each update is a restartable sequence (rseq(2)): it looks up the slab, reads, computes, and ends
 * with a single store, which commits it.
 *
 * Why this is correct:
 *
 * - One writer. If the kernel preempts or migrates the thread, or delivers a signal to it, before
 *   the commit, it resumes the thread at the abort handler, which starts the sequence again. So
 *   between the first instruction of a sequence and its commit, no other thread has run on this
 *   slab number, and the value that was read is still current. No update is lost.
 * - No torn update. The commit is one store: of 8 bytes, or of 16 aligned bytes, which processors
 *   with AVX perform atomically (see the sources). A slab therefore never holds half an update,
 *   even if the thread is killed.
 * - Readers on other processors use relaxed loads of the same size (pair_load()). They need no
 *   ordering between cells: all that a scrape shows of a series either is in one cell or pair, or
 *   is summed from independent ones.
 * - The slab number. It is the concurrency id of the thread, which the kernel chooses below the
 *   number of threads and the number of usable processors; before Linux 6.3 it is the processor. In
 *   both cases two threads that run at the same time have different numbers. The number is read
 *   inside the sequence, so it cannot change before the commit. It passes from one thread to
 *   another only through context switches, which order their accesses to the slab.
 *
 * Every function returns false, with no effect, if the update has to take the slow path (cells.h).
 * This happens if the slab does not exist yet; if the thread is not registered with rseq (an old
 * kernel, GLIBC_TUNABLES=glibc.pthread.rseq=0, seccomp, valgrind); or if the build has no sequences
 * (not x86-64, or the thread sanitizer, which does not understand them). Any thread may call these
 * functions, also in a signal handler.
 *
 * Sources: include/uapi/linux/rseq.h; "Restartable Sequences" in the manual of the GNU C library;
 * Intel SDM volume 3, 9.1.1, and AMD64 APM volume 2, 7.3.2: with AVX, aligned 16-byte loads and
 * stores are atomic.
 */
#pragma once

#include "prom/atomic.h"

#include <stdbool.h>
#include <stddef.h>

enum { PROM_CPUS_MAX = 1024 }; /* slabs of processors; higher numbers take the slow path */

/* The observations of one bucket. Both words change in one store. */
struct pair {
        uint64_t sum; /* a double */
        uint64_t count;
} __attribute__((aligned(16)));

/* Where the rseq fields of a thread are, relative to its thread pointer. The offsets are written
 * once, before the first handle exists. glibc reserves this memory even if rseq is disabled, so
 * reading it is always safe. */
struct percpu {
        ptrdiff_t cs; /* rseq_cs; cpu_id, 4 bytes before it, is negative without rseq */
        ptrdiff_t id; /* the slab number */
        bool usable;  /* false: no slab is created, so every update takes the slow path */
        uint64_t *cells[PROM_CPUS_MAX]; /* by slab number; NULL: the slab does not exist yet */
};
extern struct percpu prom_percpu_;

#if defined(__x86_64__) && defined(__LP64__) && defined(__linux__) && !defined(PROM_CHECK_THREADS)
#if __has_include(<sys/rseq.h>)
#define PROM_RSEQ 1
#endif
#endif

#ifdef PROM_RSEQ

/* The parts of a sequence. PERCPU_BEGIN leaves the address of the slab's cells in %rax; a jump to
 * 74 makes the function return false.
 *
 * The labels: 77 is the descriptor (start 70, length to 71, abort handler 72), which 73 stores in
 * rseq_cs to enter the critical section. The kernel requires the signature word before the abort
 * handler. 71 is after the commit. Both exits clear rseq_cs: the kernel would otherwise read a
 * descriptor that is gone if the library is unloaded. Clearing it after the commit is harmless,
 * since a thread outside [70, 71) is not restarted. */
#define PERCPU_BEGIN                                                                               \
        ".pushsection __rseq_cs, \"aw\"\n"                                                         \
        ".balign 32\n"                                                                             \
        "77: .long 0, 0\n"                                                                         \
        ".quad 70f, 71f - 70f, 72f\n"                                                              \
        ".popsection\n"                                                                            \
        "73: leaq 77b(%%rip), %%rax\n"                                                             \
        "movq %%rax, %%fs:(%[cs])\n"                                                               \
        "70: cmpl $0, %%fs:-4(%[cs])\n"                                                            \
        "js 74f\n"                                                                                 \
        "movq %c[id](%[percpu]), %%rax\n"                                                          \
        "movl %%fs:(%%rax), %%eax\n"                                                               \
        "cmpl %[max], %%eax\n"                                                                     \
        "jae 74f\n"                                                                                \
        "movq %c[all](%[percpu],%%rax,8), %%rax\n"                                                 \
        "testq %%rax, %%rax\n"                                                                     \
        "jz 74f\n"
#define PERCPU_END                                                                                 \
        "71: movq $0, %%fs:(%[cs])\n"                                                              \
        ".pushsection .text.unlikely, \"ax\"\n"                                                    \
        ".byte 0x0f, 0xb9, 0x3d\n" /* ud1, with the signature as an operand */                     \
        ".long 0x53053053\n"                                                                       \
        "72: jmp 73b\n"                                                                            \
        "74: movq $0, %%fs:(%[cs])\n"                                                              \
        "jmp %l[fail]\n"                                                                           \
        ".popsection\n"
#define PERCPU_INPUTS                                                                              \
        [cs] "r"(prom_percpu_.cs), [percpu] "r"(&prom_percpu_),                                    \
                [id] "i"(offsetof(struct percpu, id)), [all] "i"(offsetof(struct percpu, cells)),  \
                [max] "i"(PROM_CPUS_MAX)

/* Adds n to a cell. */
static inline bool percpu_add(uint32_t cell, uint64_t n)
{
        __asm__ goto volatile(PERCPU_BEGIN "addq %[n], (%%rax,%[cell],8)\n" PERCPU_END
                              :
                              : PERCPU_INPUTS, [cell] "r"((uint64_t)cell), [n] "er"(n)
                              : "rax", "cc", "memory"
                              : fail);
        return true;
fail:
        return false;
}

/* Adds v to a cell that holds a double. */
static inline bool percpu_add_double(uint32_t cell, double v)
{
        __asm__ goto volatile(PERCPU_BEGIN "movsd (%%rax,%[cell],8), %%xmm15\n"
                                           "addsd %[v], %%xmm15\n"
                                           "movsd %%xmm15, (%%rax,%[cell],8)\n" PERCPU_END
                              :
                              : PERCPU_INPUTS, [cell] "r"((uint64_t)cell), [v] "x"(v)
                              : "rax", "xmm15", "cc", "memory"
                              : fail);
        return true;
fail:
        return false;
}

static const struct pair percpu_one = {0, 1};

/* Adds an observation to the pair in cells `cell` and the next one. */
static inline bool percpu_observe(uint64_t cell, double v)
{
        __asm__ goto volatile(PERCPU_BEGIN "movapd (%%rax,%[cell],8), %%xmm15\n"
                                           "paddq %[one], %%xmm15\n"
                                           "addsd %[v], %%xmm15\n"
                                           "movapd %%xmm15, (%%rax,%[cell],8)\n" PERCPU_END
                              :
                              : PERCPU_INPUTS, [cell] "r"(cell), [v] "x"(v), [one] "m"(percpu_one)
                              : "rax", "xmm15", "cc", "memory"
                              : fail);
        return true;
fail:
        return false;
}

/* Takes a word out of the current slab and leaves 0. Afterwards no sequence holds the old word: a
 * sequence that had read it ran on this slab number, so it has been aborted or has committed, and
 * one that starts now reads 0. The caller therefore owns what the word points to. The stores to
 * `out` precede the commit and are repeated if the sequence restarts. */
static inline bool percpu_take(uint32_t cell, uint64_t **ret_cells, uint64_t *ret_word)
{
        uint64_t *cells, word;
        uint64_t *out[2] = {NULL, NULL};
        __asm__ goto volatile(PERCPU_BEGIN "movq %%rax, (%[out])\n"
                                           "movq (%%rax,%[cell],8), %%rcx\n"
                                           "movq %%rcx, 8(%[out])\n"
                                           "movq $0, (%%rax,%[cell],8)\n" PERCPU_END
                              :
                              : PERCPU_INPUTS, [cell] "r"((uint64_t)cell), [out] "r"(out)
                              : "rax", "rcx", "cc", "memory"
                              : fail);
        cells = out[0];
        word = (uint64_t)(uintptr_t)out[1];
        *ret_cells = cells;
        *ret_word = word;
        return true;
fail:
        return false;
}

/* The current slab number, which may be outdated as soon as this returns. False without rseq. */
static inline bool percpu_number(uint32_t *ret)
{
        const char *thread = __builtin_thread_pointer();
        if (!prom_percpu_.usable || *(const volatile int32_t *)(thread + prom_percpu_.cs - 4) < 0)
                return false;
        *ret = *(const volatile uint32_t *)(thread + prom_percpu_.id);
        return *ret < PROM_CPUS_MAX;
}

/* Reads both words in one atomic load, while other processors update them. */
static inline struct pair pair_load(const struct pair *p)
{
        struct pair pair;
        __asm__ volatile("movdqa %1, %%xmm15\n"
                         "movdqa %%xmm15, %0"
                         : "=m"(pair)
                         : "m"(*p)
                         : "xmm15");
        return pair;
}

#else

static inline bool percpu_add(uint32_t cell, uint64_t n)
{
        return false;
}

static inline bool percpu_add_double(uint32_t cell, double v)
{
        return false;
}

static inline bool percpu_observe(uint64_t cell, double v)
{
        return false;
}

static inline bool percpu_take(uint32_t cell, uint64_t **ret_cells, uint64_t *ret_word)
{
        return false;
}

static inline bool percpu_number(uint32_t *ret)
{
        return false;
}

static inline struct pair pair_load(const struct pair *p)
{
        return (struct pair){LOAD(&p->sum), LOAD(&p->count)};
}

#endif
