// SPDX-License-Identifier: Apache-2.0
// A C++ program whose collectors throw: test_prom_package.py compiles it. Prints three scrapes.
#include <prom/prom.h>

#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <stdexcept>

static int calls;

static void collect(prom_emitter *emitter, void *)
{
        prom_emit(emitter, 0, 1);
        if (calls++ == 1)
                throw std::runtime_error("the second scrape fails");
        prom_emit(emitter, 1, 2);
}

static double exits(void *)
{
        if (calls == 2)
                pthread_exit(nullptr);
        return 3;
}

static double throws_always(void *)
{
        throw 42;
}

static int visit(const prom_view *, const prom_point *, void *)
{
        throw std::runtime_error("left");
}

int main()
{
        prom_registry *registry = prom_registry_new();
        prom_desc descs[4];
        std::memset(descs, 0, sizeof(descs));
        const char *const names[] = {"one", "two", "exits", "throws"};
        for (int i = 0; i < 4; i++) {
                descs[i].kind = PROM_GAUGE;
                descs[i].name = names[i];
                descs[i].help = "h";
        }
        if (prom_register_value(registry, &descs[2], exits, nullptr, nullptr, nullptr) < 0 ||
            prom_register_value(registry, &descs[3], throws_always, nullptr, nullptr, nullptr) < 0 ||
            prom_register_collector(registry, descs, 2, collect, nullptr, nullptr, nullptr) < 0)
                return 1;
        prom_buf body = PROM_BUF_INIT;
        for (int i = 0; i < 3; i++) {
                if (prom_render_text(registry, &body) < 0)
                        return 1;
                std::printf("-- %d\n%s", i, body.data);
        }
        try {
                prom_visit(registry, visit, nullptr);
                return 1;
        } catch (const std::runtime_error &e) {
                std::printf("-- visit %s\n", e.what());
        }
        if (prom_render_text(registry, &body) < 0)
                return 1;
        prom_buf_release(&body);
        prom_registry_free(registry);
}
