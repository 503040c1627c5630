/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates of the slab of the processor that the thread runs on, without a lock or an atomic operation.
 *
 * Each is a restartable sequence (rseq(2)): it looks up the slab, reads and computes, and ends with the
 * one instruction that stores. A thread that is preempted, migrated or interrupted by a signal before
 * that instruction begins anew, so while a sequence runs nothing else updates this slab, and the slab
 * never holds half an update, whatever becomes of the thread.
 *
 * All functions return false, having done nothing, if the update must go another way (cells.h): there is
 * no slab for the processor yet, the kernel or the C library has no rseq for this thread (an old
 * kernel, GLIBC_TUNABLES=glibc.pthread.rseq=0, seccomp, valgrind), or the build has none (not x86-64,
 * the thread sanitizer). Any thread may call them, in a signal handler too.
 *
 * The slabs are numbered by the concurrency id of the thread, which the kernel chooses below the number
 * of threads and of processors in the affinity mask; before Linux 6.3 by the processor. Either way two
 * threads that run at the same time have different numbers.
 *
 * Sources: include/uapi/linux/rseq.h; "Restartable Sequences" in the manual of the GNU C library; Intel
 * SDM volume 3, 9.1.1, and AMD64 APM volume 2, 7.3.2: with AVX, an aligned store of 16 bytes is atomic.
 */
#pragma once

#include "prom/atomic.h"

#include <stdbool.h>
#include <stddef.h>

enum { PROM_CPUS_MAX = 1024 }; /* slabs of processors; those with a higher number have none */

/* How observations are kept: both words change at once. */
struct pair {
        uint64_t sum; /* a double */
        uint64_t count;
} __attribute__((aligned(16)));

/* Where the thread's numbers are, from its thread pointer. Set before there is a handle, and not changed.
 * The GNU C library has this memory even if there is no rseq. */
struct percpu {
        ptrdiff_t cs; /* rseq_cs; 4 bytes before it is cpu_id, which is negative without rseq */
        ptrdiff_t id; /* what the slabs are numbered by */
        bool usable;  /* false: no slab is made, so that every update goes another way */
        uint64_t *cells[PROM_CPUS_MAX]; /* of each slab; NULL: there is none yet */
};
extern struct percpu prom_percpu_;

#if defined(__x86_64__) && defined(__LP64__) && defined(__linux__) && !defined(PROM_CHECK_THREADS)
#if __has_include(<sys/rseq.h>)
#define PROM_RSEQ 1
#endif
#endif

#ifdef PROM_RSEQ

/* The parts of a sequence. It begins with the address of the slab's cells in %rax, and a jump to 74 is
 * its failure. The address of the descriptor does not stay behind: the code may be unloaded. */
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

/* Takes the word of a cell out of the slab, which is 0 from then on, and no sequence is under way that
 * has seen it: it would have run on this processor. */
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

/* The number of the slab, which may be another one at once; false without rseq. */
static inline bool percpu_number(uint32_t *ret)
{
        const char *thread = __builtin_thread_pointer();
        if (!prom_percpu_.usable || *(const volatile int32_t *)(thread + prom_percpu_.cs - 4) < 0)
                return false;
        *ret = *(const volatile uint32_t *)(thread + prom_percpu_.id);
        return *ret < PROM_CPUS_MAX;
}

/* Both words at one moment, while other processors update them. */
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
