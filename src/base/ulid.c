/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"

#include "base/clock.h"

#include <string.h>
#include <sys/random.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

int ulid_new(char ret[ULID_LEN + 1], struct err *err)
{
        unsigned char bytes[16];
        uint64_t ms = (uint64_t)clock_wall_ms();
        unsigned __int128 value = 0;

        for (int i = 0; i < 6; i++)
                bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
        if (getrandom(bytes + 6, 10, 0) != 10)
                return err_errno(err, "getrandom");
        for (int i = 0; i < 16; i++)
                value = value << 8 | bytes[i];
        for (int i = ULID_LEN - 1; i >= 0; i--) {
                ret[i] = alphabet[value & 31];
                value >>= 5;
        }
        ret[ULID_LEN] = '\0';
        return 0;
}

bool ulid_is_valid(const char *text)
{
        return strlen(text) == ULID_LEN && strspn(text, alphabet) == ULID_LEN && text[0] <= '7';
}
