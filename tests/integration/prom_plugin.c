/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that links the metrics library, and, with PROM_PLUGIN_HOST, the program that loads it: a
 * thread counts in the plugin and exits after the plugin has been unloaded. */
#ifndef PROM_PLUGIN_HOST
#include <prom/prom.h>

static struct prom_registry *registry;
static struct prom_family *family;

int plugin_open(void)
{
        const struct prom_desc desc = {.kind = PROM_HISTOGRAM,
                                       .name = "plugin_seconds",
                                       .help = "h",
                                       .native_factor = 1.1};
        registry = prom_registry_new();
        return prom_register(registry, &desc, &family, NULL);
}

void plugin_count(void)
{
        prom_histogram_observe(prom_histogram_with(family), 1);
}

int plugin_close(void)
{
        struct prom_buf body = PROM_BUF_INIT;
        int r = prom_render_text(registry, &body);
        prom_buf_release(&body);
        prom_registry_free(registry);
        return r;
}
#else
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t counted, closed;

static void *count(void *plugin_count)
{
        ((void (*)(void))plugin_count)();
        sem_post(&counted);
        sem_wait(&closed);
        return NULL; /* thread-exit handlers of the library would run here */
}

int main(int argc, char **argv)
{
        for (int i = 0; i < 3; i++) {
                void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
                pthread_t thread;
                if (!plugin)
                        return fprintf(stderr, "%s\n", dlerror()), 1;
                sem_init(&counted, 0, 0);
                sem_init(&closed, 0, 0);
                if (((int (*)(void))dlsym(plugin, "plugin_open"))() < 0)
                        return 2;
                pthread_create(&thread, NULL, count, dlsym(plugin, "plugin_count"));
                sem_wait(&counted);
                if (((int (*)(void))dlsym(plugin, "plugin_close"))() < 0 || dlclose(plugin) != 0)
                        return 3;
                if (dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD))
                        return 4; /* still loaded: the test would prove nothing */
                int status;
                pid_t pid = fork(); /* fork handlers of the library would run here */
                if (pid == 0)
                        _exit(0);
                waitpid(pid, &status, 0);
                sem_post(&closed);
                pthread_join(thread, NULL);
                if (status != 0)
                        return 5;
        }
        puts("unloaded");
        return argc != 2;
}
#endif
