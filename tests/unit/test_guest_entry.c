/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an archive that is started, and its directory. */
#include "guest_maker.h"
#include "guest_session.h"

#include "guest/entry.h"

static const struct wire_entry python = {
        .names = {"main.py", "__main__.py"},
        .n_names = 2,
        .suffixes = {".py"},
        .n_suffixes = 1,
};

static const struct wire_entry node = {
        .names = {"package.json:main", "main.js", "index.js"},
        .n_names = 3,
        .suffixes = {".js", ".mjs"},
        .n_suffixes = 2,
};

/* Creates files from a list separated by blanks: "a/b" is an empty file, "a/" a directory, "a->b" a
 * link, "a=text" a file with text. */
static struct testdir make(const char *files)
{
        struct testdir p = testdir_new();
        char copy[2048], *rest = copy, *word;

        assert_true(strlen(files) < sizeof(copy));
        strcpy(copy, files);
        while ((word = strsep(&rest, " ")) != NULL) {
                char *arrow = strstr(word, "->"), *text = strchr(word, '=');
                int fd;

                for (char *slash = strchr(word, '/'); slash && (!text || slash < text);
                     slash = strchr(slash + 1, '/')) {
                        if (arrow && slash > arrow)
                                break;
                        *slash = '\0';
                        mkdirat(p.fd, word, 0755);
                        *slash = '/';
                }
                if (!*word || word[strlen(word) - 1] == '/')
                        continue;
                if (arrow) {
                        *arrow = '\0';
                        assert_int_equal(symlinkat(arrow + 2, p.fd, word), 0);
                        continue;
                }
                if (text)
                        *text++ = '\0';
                fd = openat(p.fd, word, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                if (text)
                        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
                close(fd);
        }
        return p;
}

static void expect(const char *files, const struct wire_entry *wanted, const char *path,
                   const char *root, const char *found)
{
        struct testdir p = make(files);
        struct wire_entry w = *wanted;
        struct err err = ERR_INIT;
        struct entry e;

        w.wanted = true;
        w.path = path;
        if (entry_find(p.fd, &w, &e, &err) < 0)
                fail_msg("%s: %s", files, err.msg);
        assert_string_equal(e.root, root);
        assert_string_equal(e.path, found);
        testdir_release(&p);
}

static void expect_error(const char *files, const struct wire_entry *wanted, const char *path,
                         const char *message)
{
        struct testdir p = make(files);
        struct wire_entry w = *wanted;
        struct err err = ERR_INIT;
        struct entry e;

        w.wanted = true;
        w.path = path;
        assert_true(entry_find(p.fd, &w, &e, &err) < 0);
        assert_string_equal(err.msg, message);
        testdir_release(&p);
}

static void candidates_are_tried_in_order(void **state)
{
        expect("app.py main.py lib/x.py", &python, NULL, "", "main.py");
        expect("__main__.py app.py", &python, NULL, "", "__main__.py");
        expect("index.js lib/a.js", &node, NULL, "", "index.js");
        expect("index.js main.js", &node, NULL, "", "main.js");
        expect("src/app.py main.py->src/app.py", &python, NULL, "", "main.py");
}

static void the_only_file_with_a_suffix_is_the_entry_point(void **state)
{
        expect("app.py README.md data.csv", &python, NULL, "", "app.py");
        expect("app.py test_app.py .hidden.py", &python, NULL, "", "app.py");
        expect("test_app.py README.md", &python, NULL, "", "test_app.py");
        expect("tool.mjs lib/a.js", &node, NULL, "", "tool.mjs");
        expect("tool.js tool.test.js tool.spec.js", &node, NULL, "", "tool.js");
        expect("-c.py", &python, NULL, "", "-c.py");
}

static void an_only_directory_is_searched(void **state)
{
        expect("proj/main.py proj/lib/x.py", &python, NULL, "proj", "main.py");
        expect("proj/app.py ._proj .gitignore __MACOSX/proj/main.py", &python, NULL, "proj",
               "app.py");
        expect("main.py proj/main.py", &python, NULL, "", "main.py");
        expect("package-1.0/package.json={\"main\":\"lib/cli\"} package-1.0/lib/cli.js", &node,
               NULL, "package-1.0", "lib/cli.js");
        /* A link to a directory does not count: the program would start elsewhere. */
        expect_error(
                "proj->/tmp", &python, NULL,
                "no entry point in the archive: there is no main.py, __main__.py, nor a single "
                ".py; name one with --entrypoint (entrypoint in the API)");
}

static void package_json_names_the_entry_point(void **state)
{
        static const char *const bad[] = {
                "[]",
                "{\"main\":3}",
                "{\"main\":\"../x.js\"}",
                "{\"main\":\"/x.js\"}",
                "{\"main\":\"gone.js\"}",
                "{\"main\":",
                "{\"name\":\"x\"}",
        };
        char files[256];

        expect("package.json={\"main\":\"./server.js\"} server.js index.js", &node, NULL, "",
               "server.js");
        expect("package.json={\"main\":\"lib\"} lib/index.js index.js", &node, NULL, "", "lib");
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                snprintf(files, sizeof(files), "package.json=%s index.js x.js", bad[i]);
                expect(files, &node, NULL, "", "index.js");
        }
        expect("package.json->/dev/zero index.js", &node, NULL, "", "index.js");
}

static void the_requested_entry_point_must_exist(void **state)
{
        expect("main.py src/app.py", &python, "src/app.py", "", "src/app.py");
        expect("main.py src/app.py", &python, "./src//app.py", "", "src/app.py");
        expect("proj/src/app.py proj/main.py", &python, "src/app.py", "proj", "src/app.py");
        expect("proj/src/app.py", &python, "proj/src/app.py", "", "proj/src/app.py");
        expect("pkg/__main__.py x.py", &python, "pkg", "", "pkg");
        expect_error("a.py b.py", &python, "c.py",
                     "the archive has no c.py; name one with --entrypoint (entrypoint in the API): "
                     "a.py, b.py");
        expect_error("a.py", &python, "../a.py", "entry point \"../a.py\" leaves the archive");
}

static void an_error_lists_the_candidates(void **state)
{
        expect_error(
                "b.py a.py lib/main.py test_a.py .venv/x.py node_modules/y.py", &python, NULL,
                "no entry point in the archive: there is no main.py, __main__.py, nor a single "
                ".py; name one with --entrypoint (entrypoint in the API): a.py, b.py, "
                "lib/main.py");
        expect_error(
                "a.py b.py c.py d.py e.py f.py", &python, NULL,
                "no entry point in the archive: there is no main.py, __main__.py, nor a single "
                ".py; name one with --entrypoint (entrypoint in the API): a.py, b.py, c.py, "
                "d.py, e.py, ...");
        expect_error(
                "cmd/server/main.py cmd/client/main.py x/", &python, NULL,
                "no entry point in the archive: there is no main.py, __main__.py, nor a single "
                ".py; name one with --entrypoint (entrypoint in the API): cmd/client/main.py, "
                "cmd/server/main.py");
        expect_error(
                "README.md", &python, NULL,
                "no entry point in the archive: there is no main.py, __main__.py, nor a single "
                ".py; name one with --entrypoint (entrypoint in the API)");
}

/* ---- through the agent ---- */

static void expect_output(struct maker *m, const char *const *argv, size_t argc,
                          const struct wire_entry *entry, const char *output)
{
        struct wire_request q = session_request(argv, argc);
        struct session s;

        maker_end(m);
        q.archive = true;
        session_code(&q, m->bytes, m->used);
        q.entry = *entry;
        q.entry.wanted = true;
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, m->bytes, m->used);
        session_await_result(&s);
        if (s.result.error)
                assert_string_equal(s.result.error, output);
        else
                assert_string_equal(s.texts[0].data, output);
        maker_free(m);
        session_finish(&s);
}

static void a_program_starts_in_the_directory_of_its_project(void **state)
{
        static const char *const argv[] = {"sh", "", "one", "two"};
        struct wire_entry sh = {
                .arg = 1, .names = {"main.sh"}, .n_names = 1, .suffixes = {".sh"}, .n_suffixes = 1};
        struct maker *m = maker_new(true);

        add(m, "proj/lib/words", S_IFREG | 0644, "found\n");
        add(m, "proj/main.sh", S_IFREG | 0755, "echo $0 $@ ${PWD##*/}; cat lib/words\n");
        expect_output(m, argv, 4, &sh, "main.sh one two proj\nfound\n");

        m = maker_new_of(MADE_ZIP);
        add(m, "a.sh", S_IFREG | 0755, "echo a\n");
        add(m, "sub/b.sh", S_IFREG | 0755, "echo $0; cat a.sh\n");
        sh.path = "sub/b.sh";
        expect_output(m, argv, 2, &sh, "sub/b.sh\necho a\n");

        m = maker_new(true);
        add(m, "-x.sh", S_IFREG | 0755, "echo $0\n");
        sh.path = NULL;
        expect_output(m, argv, 2, &sh, "./-x.sh\n");

        m = maker_new(true);
        add(m, "a.sh", S_IFREG | 0755, "echo a\n");
        add(m, "b.sh", S_IFREG | 0755, "echo b\n");
        expect_output(
                m, argv, 2, &sh,
                "no entry point in the archive: there is no main.sh, nor a single .sh; name one "
                "with --entrypoint (entrypoint in the API): a.sh, b.sh");
}

static void an_entry_point_can_be_the_command_itself(void **state)
{
        static const char *const argv[] = {"main"};
        struct wire_entry own = {.arg = 0, .names = {"main"}, .n_names = 1};
        struct maker *m = maker_new(true);

        add(m, "main", S_IFREG | 0755, "#!/bin/sh\necho $0\n");
        expect_output(m, argv, 1, &own, "./main\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(candidates_are_tried_in_order),
                cmocka_unit_test(the_only_file_with_a_suffix_is_the_entry_point),
                cmocka_unit_test(an_only_directory_is_searched),
                cmocka_unit_test(package_json_names_the_entry_point),
                cmocka_unit_test(the_requested_entry_point_must_exist),
                cmocka_unit_test(an_error_lists_the_candidates),
                cmocka_unit_test(a_program_starts_in_the_directory_of_its_project),
                cmocka_unit_test(an_entry_point_can_be_the_command_itself),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
