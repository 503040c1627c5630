/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/guestmem.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

static bool overlaps(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
        return a < b + bn && b < a + an;
}

static int check_region(const struct guestmem *gm, uint64_t gpa, uint64_t size, uint64_t user_addr,
                        uint64_t offset, struct err *err)
{
        if (gm->n == GUESTMEM_REGIONS_MAX)
                return err_set(err, ENOSPC, "more than %d memory regions", GUESTMEM_REGIONS_MAX);
        if (size == 0 || gpa + size < gpa || user_addr + size < user_addr || offset + size < offset)
                return err_set(err, EINVAL, "memory region wraps around or is empty");
        for (int i = 0; i < gm->n; i++) {
                const struct guestmem_region *r = &gm->regions[i];

                if (overlaps(gpa, size, r->gpa, r->size) ||
                    overlaps(user_addr, size, r->user_addr, r->size))
                        return err_set(err, EINVAL, "memory regions overlap");
        }
        return 0;
}

int guestmem_map(struct guestmem *gm, uint64_t gpa, uint64_t size, uint64_t user_addr, int fd,
                 uint64_t offset, struct err *err)
{
        uint64_t slack = offset & 0xfff; /* mmap maps whole pages */
        struct stat st;
        void *map;
        int r = check_region(gm, gpa, size, user_addr, offset, err);

        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return err_errno(err, "memory region: fstat");
        if (!S_ISREG(st.st_mode) || offset + size > (uint64_t)st.st_size)
                return err_set(err, EINVAL, "memory region reaches past the end of its file");
        map = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                   (off_t)(offset - slack));
        if (map == MAP_FAILED)
                return err_errno(err, "memory region: mmap");
        gm->regions[gm->n++] = (struct guestmem_region){.gpa = gpa,
                                                        .size = size,
                                                        .user_addr = user_addr,
                                                        .host = (uint8_t *)map + slack,
                                                        .map = map,
                                                        .map_len = size + slack};
        return 0;
}

void guestmem_release(struct guestmem *gm)
{
        for (int i = 0; i < gm->n; i++) {
                if (gm->regions[i].map)
                        munmap(gm->regions[i].map, gm->regions[i].map_len);
        }
        gm->n = 0;
}

uint8_t *guestmem_at(const struct guestmem *gm, uint64_t gpa, uint64_t want, uint64_t *ret_len)
{
        for (int i = 0; i < gm->n; i++) {
                const struct guestmem_region *r = &gm->regions[i];

                if (gpa >= r->gpa && gpa - r->gpa < r->size) {
                        uint64_t room = r->size - (gpa - r->gpa);

                        *ret_len = want < room ? want : room;
                        return r->host + (gpa - r->gpa);
                }
        }
        return NULL;
}

uint8_t *guestmem_at_user(const struct guestmem *gm, uint64_t user_addr, uint64_t len)
{
        for (int i = 0; i < gm->n; i++) {
                const struct guestmem_region *r = &gm->regions[i];

                if (user_addr >= r->user_addr && user_addr - r->user_addr < r->size &&
                    len <= r->size - (user_addr - r->user_addr))
                        return r->host + (user_addr - r->user_addr);
        }
        return NULL;
}
