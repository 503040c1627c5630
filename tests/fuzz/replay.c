/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays corpus files through a fuzz target: replay FILE|DIRECTORY... Prints the number of inputs.
 * Exits with code 0 if it could read all of them; a target reports a failure by crashing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
        FILE *f = fopen(path, "rb");
        uint8_t *data;
        size_t n;

        if (!f) {
                fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
                return -1;
        }
        data = malloc(1 << 20);
        n = data ? fread(data, 1, 1 << 20, f) : 0;
        fclose(f);
        if (!data)
                return -1;
        /* A copy of the exact size: the address sanitizer detects reads past its end. */
        uint8_t *exact = malloc(n ? n : 1);

        if (exact) {
                memcpy(exact, data, n);
                LLVMFuzzerTestOneInput(exact, n);
        }
        free(exact);
        free(data);
        return exact ? 1 : -1;
}

static int replay(const char *path)
{
        struct stat st;
        struct dirent *e;
        DIR *d;
        int count = 0;

        if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
                return replay_file(path);
        d = opendir(path);
        if (!d)
                return -1;
        while ((e = readdir(d)) != NULL) {
                char child[4096];
                int r;

                if (e->d_name[0] == '.')
                        continue;
                snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
                r = replay(child);
                if (r < 0) {
                        closedir(d);
                        return -1;
                }
                count += r;
        }
        closedir(d);
        return count;
}

int main(int argc, char **argv)
{
        int count = 0;

        for (int i = 1; i < argc; i++) {
                int r = replay(argv[i]);

                if (r < 0)
                        return 1;
                count += r;
        }
        printf("%d inputs replayed\n", count);
        return count > 0 ? 0 : 1;
}
