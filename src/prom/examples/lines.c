/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the lines of its input: cc lines.c $(pkg-config --cflags --libs prom) */
#include <err.h>
#include <prom/prom.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
        struct prom_registry *registry = prom_default_registry();
        const struct prom_desc lines_desc = {.kind = PROM_COUNTER,
                                             .name = "app_lines_total",
                                             .help = "Lines read.",
                                             .labels = PROM_LABELS("kind")};
        const struct prom_desc bytes_desc = {.kind = PROM_HISTOGRAM,
                                             .name = "app_line_bytes",
                                             .help = "Bytes of a line.",
                                             PROM_BUCKETS(10, 100, 1000)};
        struct prom_family *lines, *bytes;
        struct prom_buf body = PROM_BUF_INIT;
        struct prom_error error;
        char line[4096];

        if (prom_register(registry, &lines_desc, &lines, &error) < 0 ||
            prom_register(registry, &bytes_desc, &bytes, &error) < 0)
                errx(1, "%s", error.msg);
        while (fgets(line, sizeof(line), stdin)) {
                prom_counter_inc(prom_counter_with(lines, *line == '#' ? "comment" : "text"));
                prom_histogram_observe(prom_histogram_with(bytes), strlen(line));
        }
        if (prom_render_text(registry, &body) < 0)
                errx(1, "out of memory");
        fwrite(body.data, 1, body.len, stdout);
        prom_buf_release(&body);
}
