# SPDX-License-Identifier: Apache-2.0
"""The metrics library by itself: built in its own directory, installed, and used with pkg-config
alone."""
import gzip
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

import vulcan

PROM = os.path.join(vulcan.ROOT, "src", "prom")
EXAMPLES = os.path.join(PROM, "examples")
NO_CODECS = ["-Disal=disabled", "-Dzstd=disabled"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
LIBC = {"libc.so.6", "ld-linux-x86-64.so.2"}
GZIP_LIBRARIES = {"libisal.so.2"}

# Built as users build it, without sanitizers; once is enough.
pytestmark = pytest.mark.skipif(vulcan.SANITIZED,
                                reason="the same in each variant: see the plain one")


def run(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


HEADERS = "collector", "exposition", "inline", "metrics", "prom", "reader", "testing"


class Installed:
    """The library, installed in a prefix of its own."""

    def __init__(self, folder, *options):
        self.build, self.prefix = str(folder / "build"), str(folder / "prefix")
        run("meson", "setup", self.build, PROM, f"--prefix={self.prefix}", "--libdir=lib",
            "-Dbuildtype=debug", "-Dexamples=false", *options)
        run("ninja", "-C", self.build)
        run("meson", "install", "-C", self.build)
        self.env = dict(os.environ, PKG_CONFIG_PATH=f"{self.prefix}/lib/pkgconfig")

    def pkg_config(self, *args):
        return run("pkg-config", *args, "prom", env=self.env).split()

    def needed(self, library="libprom.so"):
        text = run("readelf", "-d", f"{self.prefix}/lib/{library}")
        return set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))

    def compile(self, source, out, static=False, compiler="cc", flags=()):
        libs = self.pkg_config("--libs", *(["--static"] if static else []))
        if static:
            libs = ["-l:libprom.a" if lib == "-lprom" else lib for lib in libs]
        run(compiler, *flags, *WARNINGS, *self.pkg_config("--cflags"), source, "-o", out, *libs)
        return str(out)

    def execute(self, program, **options):
        return subprocess.run([program], capture_output=True, text=True, check=False, timeout=vulcan.LIMIT_S,
                              env=dict(self.env, LD_LIBRARY_PATH=f"{self.prefix}/lib"), **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    for tool in ("meson", "ninja", "pkg-config", "cc", "readelf", "nm"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}")
    return Installed(tmp_path_factory.mktemp("prom"))


@pytest.fixture(scope="module")
def bare(installed, tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("bare"), *NO_CODECS, "-Dpush=disabled")


def exported(library):
    text = run("nm", "-D", "--defined-only", library)
    return {line.split()[-1] for line in text.splitlines()}


def declared(header):
    """The names of functions and variables that a header declares, as the preprocessor sees it."""
    with open(header, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    text = re.sub(r"^#.*?(?<!\\)$", "", text, flags=re.M | re.S)
    text = re.sub(r"__attribute__\(\(.*?\)\)(?=[ ;\n])", "", text)
    text = re.sub(r"static inline[^;{]*(;|\{.*?^\})", "", text, flags=re.S | re.M)
    text = re.sub(r"^typedef[^;]*;", "", text, flags=re.M)
    names = set(re.findall(r"\b(prom_\w+)\((?!\*)", text))
    variables = re.findall(r"^extern (?!\"C\")[^;(]*\b(prom_\w+)(?:\[\w*\])?\s*;", text, flags=re.M)
    return names | set(variables)


def test_headers_libraries_and_pkg_config_are_installed(installed):
    files = {os.path.relpath(os.path.join(folder, name), installed.prefix)
             for folder, _, names in os.walk(installed.prefix) for name in names}
    wanted = {*(f"include/prom/{name}.h" for name in HEADERS), "lib/libprom.a", "lib/libprom.so", "lib/libprom.so.2",
              "lib/libprom.so.0.3.0", "lib/pkgconfig/prom.pc"}
    assert wanted <= files
    assert all("push" in name for name in files - wanted), files - wanted
    soname = run("readelf", "-d", f"{installed.prefix}/lib/libprom.so")
    assert "[libprom.so.2]" in soname
    assert installed.pkg_config("--modversion") == ["0.3.0"]


def test_only_the_headers_functions_are_exported(installed):
    names = exported(f"{installed.prefix}/lib/libprom.so")
    said = set().union(*(declared(f"{PROM}/{name}.h") for name in HEADERS))
    assert names == said, names ^ said
    assert all(name.startswith("prom_") for name in names)
    push = f"{installed.prefix}/lib/libprom-push.so"
    if os.path.exists(push):
        assert exported(push) == declared(os.path.join(PROM, "push.h"))


def test_it_depends_only_on_libc_and_its_codecs(installed, bare):
    assert installed.needed() - LIBC <= GZIP_LIBRARIES | {"libzstd.so.1"}
    assert bare.needed() <= LIBC


def test_it_can_be_loaded_at_run_time(installed):
    """Its thread-local storage must fit into that of a running program."""
    library = f"{installed.prefix}/lib/libprom.so"
    code = f"import ctypes; print(ctypes.CDLL({library!r}).prom_now_ns() != 0)"
    assert run(shutil.which("python3"), "-c", code) == "True\n"


def test_it_can_be_unloaded_before_a_thread_that_counted_ends(installed):
    """None of its code runs when such a thread ends or forks, and the kernel does not access it."""
    library = f"{installed.prefix}/lib/libprom.so"
    code = (f"import _ctypes, ctypes, os, threading; lib = ctypes.CDLL({library!r})\n"
            "pointer = ctypes.c_void_p\n"
            "lib.prom_registry_new.restype = pointer\n"
            "lib.prom_counter_with_values.restype = pointer\n"
            "lib.prom_counter_value.restype = ctypes.c_double\n"
            "desc = (pointer * 64)(1)\n"  # a counter's kind, name and help
            "texts = [ctypes.create_string_buffer(s) for s in (b'c_total', b'h')]\n"
            "desc[1], desc[2] = map(ctypes.addressof, texts)\n"
            "family, registry = pointer(), pointer(lib.prom_registry_new())\n"
            "assert lib.prom_register(registry, desc, ctypes.byref(family), None) == 0\n"
            "counter = pointer(lib.prom_counter_with_values(family, None, 0))\n"
            "def count():\n"
            "    lib.prom_counter_inc(counter)\n"
            "    assert lib.prom_counter_value(counter) == 1\n"
            "    lib.prom_registry_free(registry)\n"
            "    _ctypes.dlclose(lib._handle)\n"
            "    assert 'libprom' not in open('/proc/self/maps').read()\n"
            "    if os.fork() == 0:\n"
            "        os._exit(0)\n"
            "    os.wait()\n"
            "thread = threading.Thread(target=count); thread.start(); thread.join(); print('ended')")
    assert run(shutil.which("python3"), "-c", code) == "ended\n"


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_the_example_that_counts_lines_works(installed, tmp_path, static):
    program = installed.compile(f"{EXAMPLES}/lines.c", tmp_path / "lines", static)
    linked = run("readelf", "-d", program)
    assert ("libprom.so.2" in linked) is not static
    done = installed.execute(program, input="# one\ntwo\n" + "x" * 500 + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'app_lines_total{kind="comment"} 1\n' in done.stdout
    assert 'app_lines_total{kind="text"} 2\n' in done.stdout
    assert 'app_line_bytes_bucket{le="100"} 2\n' in done.stdout
    assert "app_line_bytes_sum 511\n" in done.stdout


def test_the_readme_shows_the_example(installed):
    with open(f"{EXAMPLES}/lines.c", encoding="utf-8") as f:
        code = f.read().split("*/\n", 2)[2].lstrip()  # without its first two comments
    with open(os.path.join(vulcan.ROOT, "README.md"), encoding="utf-8") as f:
        assert code in f.read()
    assert len(code.splitlines()) <= 35


class Pool:
    """The example with the pool of threads, running."""

    def __init__(self, installed, program):
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True, env=dict(
            installed.env, LD_LIBRARY_PATH=f"{installed.prefix}/lib"))
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:")

    def get(self, query="", url=None, method="GET", **headers):
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        request = urllib.request.Request((url or self.url) + query, headers=names, method=method)
        try:
            with urllib.request.urlopen(request, timeout=vulcan.LIMIT_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_the_example_with_a_pool_of_threads_works(installed, tmp_path, static):
    pool = Pool(installed, installed.compile(f"{EXAMPLES}/pool.c", tmp_path / "pool", static))
    try:
        status, headers, body = pool.get()
        assert (status, int(headers["Content-Length"])) == (200, len(body))
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
        counts = [float(n) for n in re.findall(rb'pool_jobs_total{result="prime"} (\d+)', body)]
        assert len(counts) == 1 and b"\nprocess_threads 6\n" in body
        status, headers, coded = pool.get(Accept_Encoding="gzip")
        if headers["Content-Encoding"]:
            assert headers["Content-Encoding"] == "gzip"
            assert b"\npool_busy_threads " in gzip.decompress(coded)
        status, headers, body = pool.get("?name[]=pool_jobs_total&name%5B%5D=pool_queued_jobs")
        assert set(re.findall(rb"^# TYPE (\S+)", body, re.M)) == {b"pool_jobs_total",
                                                                   b"pool_queued_jobs"}
        status, headers, body = pool.get(method="HEAD")
        assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 1000
        assert pool.get(url=pool.url + "x")[0] == 404
        assert pool.get(Accept_Encoding="identity;q=0, *;q=0")[0] == 406
    finally:
        pool.close()


def test_push_is_found_by_pkg_config(installed, tmp_path):
    if not os.path.exists(f"{installed.prefix}/lib/libprom-push.so"):
        pytest.skip("built without libprom-push: apt-get install libsnappy-dev")
    assert {"libcurl.so.4", "libsnappy.so.1", "libprom.so.2"} <= installed.needed("libprom-push.so")
    flags = run("pkg-config", "--cflags", "--libs", "prom-push", env=installed.env).split()
    program = str(tmp_path / "client")
    run("cc", *WARNINGS, os.path.join(vulcan.ROOT, "tests/integration/push_client.c"), "-o",
        program, *flags)
    words = [program, "put", "http://127.0.0.1:1", "--attempts", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=vulcan.LIMIT_S,
                          env=dict(installed.env, LD_LIBRARY_PATH=f"{installed.prefix}/lib"))
    assert done.returncode == 1 and "Connection refused" in done.stderr, done


def test_without_codecs_bodies_are_plain(bare, tmp_path):
    pool = Pool(bare, bare.compile(f"{EXAMPLES}/pool.c", tmp_path / "pool"))
    try:
        status, headers, body = pool.get(Accept_Encoding="gzip, zstd")
        assert (status, headers["Content-Encoding"], headers["Vary"]) == (200, None, "Accept")
        assert b"prom_scrape_bytes_total{encoding=\"identity\"}" in body and b"gzip" not in body
    finally:
        pool.close()


def test_a_subproject_serves_gzip(installed, tmp_path):
    folder = tmp_path / "app"
    (folder / "subprojects").mkdir(parents=True)
    (folder / "subprojects" / "prom").symlink_to(PROM)
    shutil.copy(f"{EXAMPLES}/pool.c", folder / "pool.c")
    (folder / "meson.build").write_text(
        "project('app', 'c', default_options: ['default_library=static'])\n"
        "executable('pool', 'pool.c', dependencies: dependency('prom', fallback: 'prom'))\n")
    run("meson", "setup", str(folder / "build"), str(folder), "--force-fallback-for=prom",
        "-Dbuildtype=debug", "-Dprom:isal=enabled", "-Dprom:zstd=disabled",
        "-Dprom:push=disabled", "-Dprom:examples=false")
    run("ninja", "-C", str(folder / "build"), "pool")
    pool = Pool(installed, str(folder / "build" / "pool"))
    try:
        status, headers, coded = pool.get(Accept_Encoding="gzip")
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert b"\npool_busy_threads " in gzip.decompress(coded)
    finally:
        pool.close()


LANGUAGES = [
    ("cc", "c", "c99"), ("cc", "c", "gnu17"), ("clang", "c", "c99"), ("clang", "c", "c17"),
    ("c++", "c++", "c++11"), ("c++", "c++", "c++17"), ("clang++", "c++", "c++11"), ("clang++", "c++", "c++20"),
]


@pytest.mark.parametrize("compiler,language,standard", LANGUAGES)
def test_the_header_compiles_as_strict_c_and_as_cplusplus(installed, tmp_path, compiler, language, standard):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    source = os.path.join(vulcan.ROOT, "tests/integration/prom_user.c")
    shutil.copy(source, tmp_path / "user.c" if language == "c" else tmp_path / "user.cc")
    flags = [f"-std={standard}", "-O2", "-pedantic", "-Wshadow", "-Wconversion", "-Wsign-conversion"]
    user = installed.compile(tmp_path / ("user.c" if language == "c" else "user.cc"), tmp_path / "user",
                             compiler=compiler, flags=flags)
    done = installed.execute(user)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not registered" not in done.stdout
    counters = [line for line in done.stdout.splitlines() if line.startswith("c_total{")]
    assert sorted(counters) == [
        'c_total{code="200",method="GET"} 2', 'c_total{code="200",method="PUT"} 1',
        'c_total{code="204",method="GET"} 1', 'c_total{code="205",method="GET"} 0.5',
        'c_total{code="500",method="GET"} 1']
    assert done.stdout.endswith("\n2 2\n")
    for line in ("g 2", "h_count 1", "s_count 1", 'i_info{version="2"} 1', 'st{st="off"} 1',
                 'labelled{version="1.0"} 2', "plain_seconds_count 1"):
        assert f"\n{line}\n" in done.stdout


@pytest.mark.parametrize("compiler", ["c++", "clang++"])
@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_a_collector_that_throws_costs_its_own_metrics(installed, tmp_path, compiler, static):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    source = os.path.join(vulcan.ROOT, "tests/integration/prom_throw.cc")
    done = installed.execute(installed.compile(source, tmp_path / "throw", static, compiler=compiler,
                                               flags=["-std=c++11", "-pthread"]))
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third, _ = (part.partition("\n")[2] for part in done.stdout.split("-- ")[1:])
    assert {"one 1", "two 2", "exits 3"} <= set(first.splitlines())
    samples = [line for line in second.splitlines() if not line.startswith("#")]
    assert samples == [f'prom_collect_failures_total{{family="{name}"}} {n}'
                       for name, n in (("exits", 1), ("one", 1), ("throws", 2), ("two", 1))]
    assert {"one 1", "two 2", "exits 3"} <= set(third.splitlines())
    assert done.stdout.endswith("-- visit left\n")


@pytest.mark.parametrize("compiler,language", [("cc", "c"), ("c++", "c++")])
def test_too_many_label_values_are_one_error(installed, tmp_path, compiler, language):
    values = ", ".join(f'"{i}"' for i in range(17))
    source = tmp_path / "many.c"
    source.write_text("#include <prom/prom.h>\n"
                      f"void f(struct prom_family *x) {{ prom_counter_inc(prom_counter_with(x, {values})); }}\n")
    done = subprocess.run([compiler, "-x", language, "-c", *installed.pkg_config("--cflags"),
                           str(source), "-o", "/dev/null"], capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    assert done.returncode != 0 and len(errors) == 1, done.stderr
    assert "a metric has at most 16 labels (PROM_LABELS_MAX)" in errors[0]


def test_a_plugin_can_be_unloaded(installed, tmp_path):
    source = os.path.join(vulcan.ROOT, "tests/integration/prom_plugin.c")
    libs = ["-l:libprom.a" if lib == "-lprom" else lib for lib in installed.pkg_config("--libs", "--static")]
    run("cc", "-shared", "-fPIC", *installed.pkg_config("--cflags"), source, "-o", tmp_path / "plugin.so", *libs)
    run("cc", "-DPROM_PLUGIN_HOST", source, "-o", tmp_path / "host", "-pthread", "-ldl")
    done = subprocess.run([tmp_path / "host", tmp_path / "plugin.so"], capture_output=True, text=True,
                          check=False, timeout=vulcan.LIMIT_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "unloaded\n", "")
