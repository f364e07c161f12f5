/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of the lexer: it counts what a reader would, in any language; nothing that it is given stops it, or takes it long. */
#include "predict/lexer.h"

#include "golden.h"

#include <string.h>
#include <time.h>

#define HOSTILE_BYTES (1024 * 1024)
#define HOSTILE_SECONDS 2
#define COST_BYTES (10 * 1024)

/* Files of tests/golden/code, counted by hand. */
static const struct {
    const char *language, *file;
    struct code_traits traits; /* compressed_bytes: not by hand */
    const char *imports;
} cases[] = {
    {"python", "script.py", {0, 24, 5, 3, 7, 5, 2, 1, 4, 2, 2}, "os sys concurrent numpy"},
    {"c", "program.c.txt", {0, 25, 6, 2, 5, 2, 2, 1, 1, 3, 1}, "stdio.h my.h"},
    {"javascript", "module.js", {0, 16, 3, 2, 9, 3, 6, 4, 2, 2, 2}, "fs lodash"},
    {"go", "main.go", {0, 25, 3, 2, 5, 3, 3, 1, 2, 1, 1}, "fmt os sync/atomic"},
    {"rust", "main.rs", {0, 12, 3, 3, 6, 3, 2, 1, 3, 2, 1}, "std rayon rand"},
    {"ruby", "class.rb", {0, 21, 3, 2, 3, 2, 2, 1, 2, 3, 1}, "json lib/x"},
    {"shell", "walk.sh", {0, 15, 2, 2, 5, 2, 1, 1, 0, 1, 0}, "lib.sh common.sh"},
    {"lua", "table.lua", {0, 14, 4, 2, 4, 1, 3, 2, 1, 1, 0}, "cjson"},
    {"perl", "list.pl", {0, 15, 3, 2, 1, 2, 1, 1, 1, 1, 0}, "strict List::Util"},
    {"haskell", "Main.hs", {0, 14, 2, 2, 6, 2, 3, 1, 0, 1, 1}, "Data.Map Control.Concurrent"},
    {"ocaml", "main.ml", {0, 13, 3, 2, 5, 1, 2, 1, 1, 1, 0}, "Printf"},
    {"erlang", "main.erl", {0, 11, 1, 1, 4, 1, 2, 1, 0, 1, 1}, "x.hrl"},
    {"lisp", "main.lisp", {0, 8, 3, 2, 9, 1, 2, 1, 1, 1, 0}, "asdf"},
    {"pascal", "main.pas", {0, 19, 4, 3, 2, 2, 2, 1, 0, 1, 0}, "SysUtils Classes"},
    {"ada", "main.adb", {0, 19, 3, 2, 4, 2, 2, 1, 0, 1, 1}, "Ada.Text_IO Ada.Command_Line"},
    {"fortran", "main.f90", {0, 24, 3, 2, 11, 1, 1, 1, 1, 2, 0}, "iso_fortran_env"},
    {"java", "A.java", {0, 22, 3, 2, 6, 2, 3, 1, 2, 1, 1}, "java.util.List java.util.concurrent"},
    {"php", "page.php", {0, 12, 2, 2, 2, 2, 2, 1, 1, 2, 0}, "Foo\\Bar vendor/autoload.php"},
    {"cobol", "unknown.txt", {0, 6, 2, 2, 2, 1, 1, 1, 0, 1, 0}, "foo"},
};

static char *read_code(const char *file, gsize *ret_length)
{
    g_autofree char *relative = g_build_filename("golden", "code", file, NULL);
    g_autofree char *path = golden_tests_path(relative);
    char *source = NULL;
    ck_assert_msg(g_file_get_contents(path, &source, ret_length, NULL), "%s: cannot be read", path);
    return source;
}

static void check_traits(const char *what, const struct code_traits *traits, const struct code_traits *wanted)
{
    struct code_traits alike = *wanted;
    alike.compressed_bytes = traits->compressed_bytes;
    g_autofree char *text = codec_encode_text(&code_traits_codec, traits, CODEC_STORE);
    g_autofree char *wanted_text = codec_encode_text(&code_traits_codec, &alike, CODEC_STORE);
    ck_assert_msg(g_str_equal(text, wanted_text), "%s: %s, not %s", what, text, wanted_text);
}

static char *join_imports(const struct code_imports *imports)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < imports->count; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? " " : "", imports->names[i]);
    return g_string_free(text, FALSE);
}

/* What holds for any text. */
static void check_sound(const struct code_traits *traits, const struct code_imports *imports, gsize length)
{
    ck_assert_uint_le(traits->lines, length);
    ck_assert_uint_le(traits->loop_depth, traits->loops);
    ck_assert_uint_le(traits->recursive, traits->functions);
    ck_assert_uint_le(traits->calls, length);
    ck_assert_uint_le(traits->functions, length);
    ck_assert_uint_le(imports->count, MIN(traits->imports, CODE_IMPORTS_MAX));
    for (guint i = 0; i < imports->count; i++)
        ck_assert(imports->names[i][0] != '\0' && g_utf8_validate(imports->names[i], -1, NULL));
}

/* Rule: loops in comments and strings are none, and what is one is counted, in every family of languages. */
START_TEST(test_languages)
{
    gsize length;
    g_autofree char *source = read_code(cases[_i].file, &length);
    struct code_traits traits;
    struct code_imports imports;
    code_lex(&traits, &imports, cases[_i].language, source, length);
    check_sound(&traits, &imports, length);
    check_traits(cases[_i].file, &traits, &cases[_i].traits);
    g_autofree char *names = join_imports(&imports);
    ck_assert_str_eq(names, cases[_i].imports);
}
END_TEST

/* Rule: each language that is listed has its own words, and is found in any case and with a version. */
START_TEST(test_names)
{
    static const char *const names[][2] = {
        {"python", "Python3.11"}, {"lua", "LUA5.4"}, {"c", "c11"}, {"ruby", "ruby3.2"}, {"javascript", "js"}};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        static const char source[] = "# for\n-- for\n// for\nfor (;;) { f(); }\n";
        struct code_traits one, other;
        code_traits_of_source(&one, names[i][0], source, strlen(source));
        code_traits_of_source(&other, names[i][1], source, strlen(source));
        check_traits(names[i][1], &other, &one);
    }
}
END_TEST

static const struct {
    const char *language, *source;
    struct code_traits traits;
} details[] = {
    {NULL, "", {0}},
    {NULL, "\n \n\t\n", {0}},
    {"python", "x = 1", {.lines = 1}},
    {"python",
     "\xef\xbb\xbf"
     "for x in y: z()",
     {.lines = 1, .loops = 1, .loop_depth = 1, .calls = 1}},
    {"python", "\xef\xbb\xbf", {0}},
    {"python", "x = 1\r\n\r\n# y\r\ny = 2\r\n", {.lines = 2}},
    {"python", "'''a\n\nb'''", {.lines = 2}},
    {"python", "x = (1 +\n  2)\nfor y in (1,\n2):\n  pass\nwhile x: pass", {.lines = 6, .loops = 2, .loop_depth = 1}},
    {"python", "import a as b, c\nfrom . import d\nfrom .e import f\n", {.lines = 3, .imports = 4}},
    {"python", "def f():\n  def g():\n    f()\n  g()\ng()\n", {.lines = 5, .functions = 2, .recursive = 1, .calls = 3}},
    {"python",
     "class A:\n  async def f(self):\n    self.f()\n  def g(self): super().g()\n",
     {.lines = 4, .functions = 2, .recursive = 1, .calls = 3, .threads = 1}},
    {"c", "for (;;)\n  for (;;)\n    x;\nfor (;;);", {.lines = 4, .loops = 3, .loop_depth = 2}},
    {"c", "do { x; } while (y);\ndo { } while (z);", {.lines = 2, .loops = 2, .loop_depth = 1}},
    {"c", "int f(int a);\nint f(int a) { return a; }", {.lines = 2, .functions = 1}},
    {"c", "char *s = \"for (\\\"\", c = '\\'', d = '\"'; /* for */ // for", {.lines = 1}},
    {"c", "#if X \\\n for\n#endif", {.lines = 3}},
    {"c++", "auto s = R\"x(for \" )\")x\"; auto f = 1;", {.lines = 1}},
    {"c++", "int A::f() const noexcept { return g(); }", {.lines = 1, .functions = 1, .calls = 1}},
    {"rust", "fn f<'a>(x: &'a str) { loop { } }", {.lines = 1, .functions = 1, .loops = 1, .loop_depth = 1}},
    {"lua", "--[==[ for ]] ]==] x = [[\nfor\n]]", {.lines = 3}},
    {"ruby",
     "x += 1 while x < 3\nif x then y end\nz = if x\n 1\nend\nfor i in x do\nend\n",
     {.lines = 7, .loops = 2, .loop_depth = 1, .conditionals = 2}},
    {"shell", "cat <<'A B' for\n", {.lines = 1, .loops = 0, .calls = 1}},
    {"shell", "x=$(y | z) && for i in 1; do :; done", {.lines = 1, .loops = 1, .loop_depth = 1, .calls = 2}},
    {"perl", "s{for}{while}; my %h = (y => 1); q(for (a) b);", {.lines = 1}},
    {"javascript", "x = y / 2; z = /for \"/.test(x) / 1;", {.lines = 1, .calls = 1}},
    {"javascript", "const f = (x) => { return f(x); };", {.lines = 1, .functions = 1, .calls = 1, .recursive = 1}},
    {"php", "function ($x) use ($y) { }", {.lines = 1, .functions = 1}},
    {"go", "for i := 0; i < 3; i++ {\n for {\n }\n}\n", {.lines = 4, .loops = 2, .loop_depth = 2}},
    {"lisp", "(for) for (f (g))", {.lines = 1, .loops = 1, .loop_depth = 1, .calls = 2}},
    {"fortran",
     "DO I = 1, 2\nEND DO\nIF (X) THEN\nEND IF\n",
     {.lines = 4, .loops = 1, .loop_depth = 1, .conditionals = 1}},
    {"julia", "b = [x for x in a]\nfor i in b\nend\n", {.lines = 3, .loops = 2, .loop_depth = 1, .allocations = 1}},
    {"swift", "repeat { f() } while x", {.lines = 1, .loops = 1, .loop_depth = 1, .calls = 1}},
    {"typescript",
     "const f = (n: number): void => { f(1); }",
     {.lines = 1, .functions = 1, .calls = 1, .recursive = 1}},
    {"clojure", "(ns a (:require [b :as c] [d]))\n(def x 3)", {.lines = 2, .imports = 2, .calls = 1}},
    {"racket", "(define x 3)\n(define (f x) (f x))", {.lines = 2, .functions = 1, .recursive = 1, .calls = 1}},
    {"chapel", "forall i in 1..3 do for j in i do f(j);", {.lines = 1, .loops = 2, .loop_depth = 2, .calls = 1}},
    {"csharp", "var s = @\"c:\\\"; f(); // for", {.lines = 1, .calls = 1}},
    {"pascal", "WHILE a DO BEGIN { for } END;", {.lines = 1, .loops = 1, .loop_depth = 1}},
};

/* Rule: as is said of each in lexer-table.h. */
START_TEST(test_details)
{
    struct code_traits traits;
    code_traits_of_source(&traits, details[_i].language, details[_i].source, strlen(details[_i].source));
    check_traits(details[_i].source, &traits, &details[_i].traits);
}
END_TEST

/* Rule: no text stops the lexer, or costs more than its size: its beginning is looked at, and each byte of it a few times. */
static const char *const hostile[] = {
    "(",           "[",          "{",
    "((}]",        "\"",         "'",
    "'''",         "\"\"\"",     "`",
    "/*",          "(*",         "{-",
    "/[",          "=/",         "/ =/",
    "[=",          "[[",         "--[[",
    "<<",          "<<A\n",      "<<A ",
    "<<<",         "r#",         "R\"",
    "R\"(",        "q{",         "s{",
    "s/",          "x y/",       "#",
    "\n#",         "#if \\\n",   "\\\n",
    "\\",          "\n=begin",   "\n=a\n",
    "for ",        "for(",       "for{",
    "\nfor x:\n ", "do ",        "end ",
    "end if ",     "begin ",     "if ",
    "while ",      "do{",        "def a",
    "\ndef a(",    "def ",       "function a(){",
    "a(){",        "a=>",        "let a b",
    "import ",     "import a,",  "from .",
    "require('",   "a ",         "a(",
    "a.",          "a::",        "\t",
    "\r",          "\v",         "\xff",
    "\xc3(",       "\xe2\x82",   "async ",
    "$",           "@a",         "1.2",
    "a\n",         " a\n",       "\n  a(\n",
    "%",           "-->",        "=>",
    "#|",          "|#",         "f a\nf(",
    "new a(",      "#include <", "#include \"a",
};

static const char *const tongues[] = {"python", "c++",   "javascript", "rust", "ruby",   "shell",   "lua",
                                      "perl",   "ocaml", "erlang",     "lisp", "pascal", "fortran", "unknown"};

static double check_hostile(const char *language, const char *source, gsize length)
{
    const clock_t start = clock();
    struct code_traits traits;
    struct code_imports imports;
    code_lex(&traits, &imports, language, source, length);
    check_sound(&traits, &imports, length);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

START_TEST(test_hostile)
{
    const gsize length = strlen(hostile[_i]);
    g_autofree char *source = g_malloc(HOSTILE_BYTES);
    for (gsize i = 0; i < HOSTILE_BYTES; i++)
        source[i] = hostile[_i][i % length];
    for (guint i = 0; i < G_N_ELEMENTS(tongues); i++) {
        const double seconds = check_hostile(tongues[i], source, HOSTILE_BYTES);
        ck_assert_msg(seconds < HOSTILE_SECONDS, "\"%s\" in %s: %.1f s", hostile[_i], tongues[i], seconds);
    }
}
END_TEST

/* Rule: NULs, and any bytes, are text too; nothing beyond the length is looked at. */
START_TEST(test_bytes)
{
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)_i);
    for (guint i = 0; i < 200; i++) {
        const gsize length = (gsize)g_rand_int_range(random, 0, 300);
        g_autofree char *source = g_malloc(MAX(length, 1)); /* exactly, so that a sanitizer sees a step too far */
        for (gsize k = 0; k < length; k++)
            source[k] =
                (char)(g_rand_boolean(random) ? g_rand_int_range(random, 0, 256)
                                              : "\n\0 \t\"'`(){}[]<>/*#-=;:.\\afor"[g_rand_int_range(random, 0, 28)]);
        for (guint k = 0; k < G_N_ELEMENTS(tongues); k++)
            check_hostile(tongues[k], source, length);
    }
}
END_TEST

/* Rule: cut anywhere, code is still code. */
START_TEST(test_cut)
{
    gsize length;
    g_autofree char *source = read_code(cases[_i].file, &length);
    for (gsize cut = 0; cut <= length; cut++) {
        g_autofree char *part = g_memdup2(source, MAX(cut, 1));
        check_hostile(cases[_i].language, part, cut);
    }
}
END_TEST

/* Rule: repetition tells; of what is too large, the beginning speaks for the whole. */
START_TEST(test_compressed)
{
    g_autofree char *same = g_strnfill(4 * CODE_LEXED_MAX, 'x'), *mixed = g_malloc(4 * CODE_LEXED_MAX);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (gsize i = 0; i < 4 * CODE_LEXED_MAX; i++)
        mixed[i] = (char)g_rand_int_range(random, 0, 256);
    struct code_traits traits;
    code_traits_of_source(&traits, NULL, same, 4 * CODE_LEXED_MAX);
    ck_assert_int_lt(traits.compressed_bytes, 4 * CODE_LEXED_MAX / 500);
    code_traits_of_source(&traits, NULL, mixed, 4 * CODE_LEXED_MAX);
    ck_assert_int_gt(traits.compressed_bytes, 4 * CODE_LEXED_MAX);
    ck_assert_int_lt(traits.compressed_bytes, 4 * CODE_LEXED_MAX + 4096);
    code_traits_of_source(&traits, "c", "int x;", 6);
    ck_assert_int_eq(traits.compressed_bytes, 14); /* zlib.compress(b"int x;", 6) */
    code_traits_of_source(&traits, "c", "", 0);
    ck_assert_int_eq(traits.compressed_bytes, 0);
}
END_TEST

/* Rule: a name is told once, and no more than are wanted. */
START_TEST(test_imports)
{
    g_autoptr(GString) source = g_string_new("import a\nimport a.b\n");
    for (guint i = 0; i < 2 * CODE_IMPORTS_MAX; i++)
        g_string_append_printf(source, "import m%u\n", i);
    struct code_traits traits;
    struct code_imports imports;
    code_lex(&traits, &imports, "python", source->str, source->len);
    ck_assert_uint_eq(traits.imports, 2 * CODE_IMPORTS_MAX + 2);
    ck_assert_uint_eq(imports.count, CODE_IMPORTS_MAX);
    ck_assert_str_eq(imports.names[0], "a");
    ck_assert_str_eq(imports.names[1], "m0");
}
END_TEST

/* What 10 KiB cost, for the reader of the log; the bound is far above. */
START_TEST(test_cost)
{
    gsize length;
    g_autofree char *sample = read_code("script.py", &length);
    g_autoptr(GString) source = g_string_new(NULL);
    for (guint i = 0; source->len < COST_BYTES; i++)
        g_string_append_printf(source, "%sdef f%u(x):\n    return x * %u\n", sample, i, i * i);
    struct code_traits traits;
    const clock_t start = clock();
    for (guint i = 0; i < 100; i++)
        code_traits_of_source(&traits, "python", source->str, COST_BYTES);
    const double us = (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC / 100;
    g_print("lexer: 10 KiB of Python in %.0f us of CPU time\n", us);
    ck_assert_double_lt(us, 50000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lexer");
    TCase *tcase = tcase_create("lexer");
    tcase_add_loop_test(tcase, test_languages, 0, G_N_ELEMENTS(cases));
    tcase_add_test(tcase, test_names);
    tcase_add_loop_test(tcase, test_details, 0, G_N_ELEMENTS(details));
    tcase_add_loop_test(tcase, test_hostile, 0, G_N_ELEMENTS(hostile));
    tcase_add_loop_test(tcase, test_bytes, 0, 10);
    tcase_add_loop_test(tcase, test_cut, 0, G_N_ELEMENTS(cases));
    tcase_add_test(tcase, test_compressed);
    tcase_add_test(tcase, test_imports);
    tcase_add_test(tcase, test_cost);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
